// The typed IPC messages between primary and worker: control only, bulk goes over links.
import type { Code } from '../protocol/codes.js';
import type { ClientId, WorkerId } from '../protocol/ids.js';
import type { TestReport, TestSummary } from '../protocol/test-report.js';
import type { Revocation, SessionPlace } from '../session/store/store.js';
import type { ServerAnswer, ServerCall } from '../relay/server-call.js';

/** How long senders keep what was accepted, ms: whoever comes later has nothing to send again. */
export const DOUBT_MS = 30_000;

export type ToWorker =
  /** Who runs on this node now. */
  | { type: 'siblings'; workers: WorkerId[] }
  /** Stop taking work, move the clients away, exit; `delayMs` is for load balancers to notice first. */
  | { type: 'drain'; delayMs: number }
  /** A worker of this node is dead: its sessions wait from now on. */
  | { type: 'retire'; worker: WorkerId }
  /** Another worker found, so long ago, that the store may have lost what it had accepted: this one is too young to know. */
  | { type: 'doubt'; agoMs: number }
  /** What all connection test pages of this node have told. */
  | { type: 'tests'; summary: TestSummary }
  /** Accept connections, or leave them to the other workers for a while. */
  | { type: 'accept'; accept: boolean; order: number }
  | { type: 'metrics'; id: number }
  | { type: 'locate'; id: number; client: ClientId }
  | { type: 'revoke'; id: number; revocation: Revocation }
  | { type: 'call'; id: number; calls: ServerCall[] };

export type ToPrimary =
  /** The worker accepts connections on this port. */
  | { type: 'ready'; port: number }
  /** A sign of life, once a second; a worker without is killed. */
  | { type: 'alive' }
  /**
   * How many connections the worker holds, where each accepts its own (null: it has no file descriptor left for one more), and the last
   * order to accept or not that it has carried out.
   */
  | { type: 'load'; connections: number | null; done: number }
  /** The worker's memory is nearly used up: it asks to be replaced. */
  | { type: 'recycle' }
  /** The store may have lost what it had accepted last. */
  | { type: 'doubt' }
  /** What a connection test page measured, checked by the worker. */
  | { type: 'tested'; report: TestReport }
  /** Answers a question, or, with 0, is what a worker that drained has counted in all. */
  | { type: 'metrics'; id: number; values: object[] }
  | { type: 'located'; id: number; places: SessionPlace[] | null }
  /** Null: done. */
  | { type: 'revoked'; id: number; refusal: Code | null }
  | { type: 'called'; id: number; answers: ServerAnswer[] };

const TO_PRIMARY: Record<ToPrimary['type'], true> = {
  ready: true,
  alive: true,
  load: true,
  recycle: true,
  doubt: true,
  tested: true,
  metrics: true,
  located: true,
  revoked: true,
  called: true,
};

/** A message from a worker, or null for anything else: a worker must not be able to confuse the primary. */
export function parseToPrimary(value: unknown): ToPrimary | null {
  if (typeof value !== 'object' || value === null || !('type' in value)) return null;
  const { type } = value;
  if (typeof type !== 'string' || !Object.hasOwn(TO_PRIMARY, type)) return null;
  if (type === 'ready')
    return 'port' in value && typeof value.port === 'number' ? { type, port: value.port } : null;
  if (type === 'load') {
    if (!('connections' in value && 'done' in value)) return null;
    const { connections, done } = value;
    const isCount = typeof connections === 'number' || connections === null;
    return isCount && typeof done === 'number' ? { type, connections, done } : null;
  }
  if (type === 'alive' || type === 'recycle' || type === 'doubt') return { type };
  // The report was parsed by the worker, field by field.
  if (type === 'tested') return 'report' in value ? (value as ToPrimary) : null;
  if (!('id' in value) || typeof value.id !== 'number') return null;
  // Written by the code of this same version in a process that the primary started: the fields are its own.
  return value as ToPrimary;
}
