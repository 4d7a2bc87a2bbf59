// What the gateway is told of this page's figures, and the sums that it has of all pages.
import type { TestReport, TestSummary } from '../protocol/test-report.js';
import { deadline } from './waiting.js';

const PATH = '/test/results';
/** A gateway that hangs shall not hang the page. */
const TIMEOUT_MS = 10_000;

/** A report that does not arrive is missing from the sums, and nowhere else. */
export async function tell(report: TestReport, token: string): Promise<void> {
  if (report.measures.length === 0 && report.pairs.length === 0) return;
  await fetch(PATH, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify(report),
    signal: deadline(TIMEOUT_MS),
  }).catch(() => undefined);
}

/** Null where the gateway does not answer. */
export async function fetchSummary(): Promise<TestSummary | null> {
  try {
    const response = await fetch(PATH, { signal: deadline(TIMEOUT_MS) });
    // Of the server that served this very page.
    return response.ok ? ((await response.json()) as TestSummary) : null;
  } catch {
    return null;
  }
}
