// What a row of the fault matrix is: a fault that is injected under load, what must hold, and the figure that it prints beside.
import type { Report } from './report.js';
import type { Scene } from './scene.js';

export interface Row {
  /** Of the matrix: F01–F52. */
  readonly id: string;
  readonly title: string;
  /** Belongs to the short subset that CI runs. */
  readonly quick: boolean;
  /** The fault makes the store lose what it had accepted; everywhere else a gap that is told is a failure. */
  readonly isLossy?: boolean;
  run(scene: Scene): Promise<Outcome>;
}

export interface Outcome {
  report: Report;
  /** The row's own figures. */
  figures: Record<string, number | string>;
  /** What of the row's own expectations did not hold; empty is a pass. */
  failures: string[];
}

/** Collects the expectations of a row that the checker does not know of. */
export class Expectations {
  readonly failures: string[] = [];

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.failures.push(otherwise);
  }
}
