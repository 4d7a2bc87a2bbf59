// What the primary asks its workers: each question has a number, by which the answer finds back.
import { type Code, CODES } from './protocol/codes.js';
import type { ClientId } from './protocol/ids.js';
import type { ServerAnswer, ServerCall } from './relay/server-call.js';
import type { Revocation, SessionPlace } from './session/store/store.js';
import type { ToPrimary, ToWorker } from './worker/control.js';

/** How long the admin port waits for a worker's answer, ms. */
const QUESTION_TIMEOUT_MS = 2_000;

export type Answer = Extract<ToPrimary, { type: 'metrics' | 'located' | 'revoked' | 'called' }>;

/** Who can be asked, and how they are reached. */
export interface Asked<Worker> {
  /** Those that serve: each has the whole store behind it. */
  ready(): Worker[];
  /** Those that count: also the ones that drain. */
  counting(): Worker[];
  tell(worker: Worker, question: ToWorker): void;
}

export class Questions<Worker> {
  private readonly waiting = new Map<number, (answer: Answer | null) => void>();
  private last = 0;

  constructor(private readonly asked: Asked<Worker>) {}

  /** Has every worker tell what it counted; done when they have, or did not in time. */
  async metrics(): Promise<void> {
    const told = this.asked
      .counting()
      .map((worker) => this.ask(worker, (id) => ({ type: 'metrics', id }), QUESTION_TIMEOUT_MS));
    await Promise.all(told);
  }

  /** Null where the store cannot be reached now. */
  async locate(client: ClientId): Promise<SessionPlace[] | null> {
    const [worker] = this.asked.ready();
    if (worker === undefined) return null;
    const answer = await this.ask(worker, (id) => ({ type: 'locate', id, client }), QUESTION_TIMEOUT_MS);
    return answer?.type === 'located' ? answer.places : null;
  }

  /** Resolves with why not; null where it is done. */
  async revoke(revocation: Revocation): Promise<Code | null> {
    const [worker] = this.asked.ready();
    if (worker === undefined) return 'unavailable';
    const answer = await this.ask(worker, (id) => ({ type: 'revoke', id, revocation }), QUESTION_TIMEOUT_MS);
    // Without an answer in time it may be done.
    return answer?.type === 'revoked' ? answer.refusal : 'unavailable';
  }

  /** The workers take turns. */
  async call(calls: ServerCall[], extraMs: number): Promise<ServerAnswer[]> {
    const ready = this.asked.ready();
    const worker = ready[this.last % ready.length];
    // Without a worker surely nothing has happened.
    if (worker === undefined) return refusals(calls, 'unavailable');
    const timeoutMs = QUESTION_TIMEOUT_MS + extraMs;
    const answer = await this.ask(worker, (id) => ({ type: 'call', id, calls }), timeoutMs);
    return answer?.type === 'called' ? answer.answers : refusals(calls, 'unknown_outcome');
  }

  answered(answer: Answer): void {
    this.settle(answer.id, answer);
  }

  private ask(worker: Worker, question: (id: number) => ToWorker, timeoutMs: number): Promise<Answer | null> {
    const id = ++this.last;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.settle(id, null);
      }, timeoutMs);
      this.waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.asked.tell(worker, question(id));
    });
  }

  private settle(id: number, answer: Answer | null): void {
    const resolve = this.waiting.get(id);
    this.waiting.delete(id);
    resolve?.(answer);
  }
}

function refusals(calls: readonly ServerCall[], code: Code): ServerAnswer[] {
  return calls.map(() => ({ status: 'refused', code, text: CODES[code].text }));
}
