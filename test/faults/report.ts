// The verdict on one history: figures that a row prints, and the first violations of each check in words.

export type Check = 'C1' | 'C2' | 'C3' | 'C4' | 'C5' | 'C6' | 'C7' | 'C8';

export interface Violation {
  check: Check;
  client: string;
  channel: string;
  text: string;
}

/** Counts whose only good value is 0. */
export const FAULTS = {
  C1: 'phantoms',
  C2: 'fifoViolations',
  C3: 'silentGaps',
  C4: 'duplicates',
  C5: 'lostAccepted',
  C6: 'disagreements',
  C7: 'ownerOverlaps',
  C8: 'notLive',
} as const satisfies Record<Check, string>;

export type FaultName = (typeof FAULTS)[Check];

export interface Report extends Record<FaultName, number> {
  attempted: number;
  received: number;
  /** Of what was attempted outside the windows of faults, 0–1; 1 where nothing was. */
  acceptedShare: number;
  /** Gaps and lost states that receivers were told of. */
  gapsTold: number;
  /** From the end of a connection to the client's next welcome, ms; null where none ended. */
  recoveryP99Ms: number | null;
  /** The same of the slowest. */
  recoveryMaxMs: number | null;
  /** How connections ended that came back, by code. */
  closes: Record<string, number>;
  /** At most `VIOLATIONS_SHOWN` of each check. */
  violations: Violation[];
}

export const VIOLATIONS_SHOWN = 10;

export function emptyReport(): Report {
  const none = Object.fromEntries(Object.values(FAULTS).map((name) => [name, 0])) as Record<
    FaultName,
    number
  >;
  return {
    ...none,
    attempted: 0,
    received: 0,
    acceptedShare: 1,
    gapsTold: 0,
    recoveryP99Ms: null,
    recoveryMaxMs: null,
    closes: {},
    violations: [],
  };
}

/** Counts and explains; a count goes on when the explanations are enough. */
export function note(report: Report, violation: Violation): void {
  const name = FAULTS[violation.check];
  report[name]++;
  if (report[name] <= VIOLATIONS_SHOWN) report.violations.push(violation);
}

export function violationsOf(report: Report): number {
  return Object.values(FAULTS).reduce((sum, name) => sum + report[name], 0);
}

export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
