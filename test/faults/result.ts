// What playing a row once came to, and the fields of its line.
import { FAULTS } from './report.js';
import type { Outcome } from './row.js';

export interface Result {
  row: string;
  title: string;
  seed: number;
  seconds: number;
  passed: boolean;
  /** Null where it did not come to an end. */
  outcome: Outcome | null;
  /** Why it did not pass, in words. */
  reasons: string[];
}

/** In this order: what is promised first, then the other checks, the time it took, and the row's own figures. */
export function fieldsOf({
  row,
  seed,
  seconds,
  passed,
  outcome,
}: Result): Record<string, number | string | null> {
  const report = outcome?.report;
  return {
    row,
    seed,
    verdict: passed ? 'pass' : 'FAIL',
    attempted: report?.attempted ?? 0,
    acceptedShare: report === undefined ? null : Math.round(report.acceptedShare * 1000) / 1000,
    lostAccepted: report?.lostAccepted ?? null,
    duplicates: report?.duplicates ?? null,
    fifoViolations: report?.fifoViolations ?? null,
    silentGaps: report?.silentGaps ?? null,
    gapsTold: report?.gapsTold ?? null,
    recoveryP99Ms: report?.recoveryP99Ms ?? null,
    // Those that are above stay where they are.
    ...Object.fromEntries(
      Object.values(FAULTS)
        .filter((name) => !PROMISED.has(name))
        .map((name) => [name, report?.[name] ?? null]),
    ),
    seconds,
    ...outcome?.figures,
  };
}

const PROMISED: ReadonlySet<string> = new Set(['lostAccepted', 'duplicates', 'fifoViolations', 'silentGaps']);
