// Handles of what waits for an answer, `<worker>!<mark><number>`: who waits for it, and what for.
import type { WorkerId } from '../protocol/ids.js';

/** Requests, the most of them, have no mark. */
const MARKS = { request: '', call: 's', pair: 'p', move: 'm' } as const;
export type HandleKind = keyof typeof MARKS;

const OF_MARK: ReadonlyMap<string, HandleKind> = new Map([
  [MARKS.call, 'call'],
  [MARKS.pair, 'pair'],
  [MARKS.move, 'move'],
]);

/** @param number unique among those of the worker and the kind */
export function makeHandle(worker: WorkerId, kind: HandleKind, number: number): string {
  return `${worker}!${MARKS[kind]}${String(number)}`;
}

/** The worker that waits for the answer; null where no worker ever gave out such a handle. */
export function workerOf(handle: string): WorkerId | null {
  const worker = handle.slice(0, Math.max(handle.lastIndexOf('!'), 0));
  return /^[A-Za-z0-9_-]+\.\d+$/.test(worker) ? (worker as WorkerId) : null;
}

export function kindOf(handle: string): HandleKind {
  return OF_MARK.get(handle.charAt(handle.lastIndexOf('!') + 1)) ?? 'request';
}
