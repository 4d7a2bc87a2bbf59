// HTTP requests of connections that another worker holds: any worker of any node takes them, and asks the one that knows.
import type { WorkerId } from '../protocol/ids.js';
import type { ErrandDoneEnvelope, ErrandEnvelope } from '../relay/envelope.js';
import { nodeOf, type Relay } from '../relay/relay.js';
import type { RandomPool } from '../session/random-pool.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import type { Errand, ErrandAnswer, ErrandOutcome, HttpConnections } from './http-connections.js';

/** Errands of one worker that may wait for others at once; past it they are `unavailable`. */
const PENDING_LIMIT = 10_000;
/** Longest wait for another worker beyond the wait of a poll, ms: longer than a flood may be slowed (10 s). */
const TIMEOUT_MS = 15_000;
/** 128 bits that nobody guesses. */
const SECRET_BYTES = 16;

/** `<worker>!<secret>`: whoever has a connection's id knows which worker holds it. */
const CONNECTION_ID = /^([A-Za-z0-9_-]{1,64}\.\d{1,9})!([A-Za-z0-9_-]{22})$/;

const OUTCOMES: Record<ErrandOutcome, true> = {
  taken: true,
  frames: true,
  again: true,
  out_of_order: true,
  wrong_type: true,
  gone: true,
  none: true,
  unavailable: true,
};
const NOTHING = new Uint8Array(0);
const UNAVAILABLE: ErrandAnswer = { outcome: 'unavailable', close: 0, body: NOTHING };

export interface ErrandsOptions {
  worker: WorkerId;
  relay: Pick<Relay, 'send'>;
  connections: HttpConnections;
  wheel: Pick<TimerWheel, 'in'>;
  random: RandomPool;
  /** Longest wait of a poll, ms. */
  silenceLimitMs: number;
}

export class Errands {
  private readonly pending = new Map<
    string,
    { settle: (answer: ErrandAnswer) => void; deadline: Deadline }
  >();
  private last = 0;

  constructor(private readonly options: ErrandsOptions) {}

  /** A new connection's id, and the part of it that is a secret. */
  newId(): { id: string; secret: string } {
    const secret = this.options.random.text(SECRET_BYTES);
    return { id: `${this.options.worker}!${secret}`, secret };
  }

  /** Does an errand here or where the connection is. */
  run(connection: string, errand: Errand): Promise<ErrandAnswer> {
    const [, worker, secret] = CONNECTION_ID.exec(connection) ?? [];
    if (worker === undefined || secret === undefined) {
      return Promise.resolve({ ...UNAVAILABLE, outcome: 'none' });
    }
    return new Promise((resolve) => {
      if (worker === this.options.worker) this.options.connections.run(secret, errand, resolve);
      // Checked by its form only: where there is no such worker, nobody is reached.
      else this.ask(worker as WorkerId, secret, errand, resolve);
    });
  }

  /** An errand that another worker was asked for. */
  receive({ origin, handle, connection, ...errand }: ErrandEnvelope): void {
    this.options.connections.run(connection, errand, (answer) => {
      this.options.relay.send(origin, { kind: 'errandDone', handle, ...answer });
    });
  }

  settle({ handle, outcome, close, body }: ErrandDoneEnvelope): void {
    const waiting = this.pending.get(handle);
    if (waiting === undefined || !isOutcome(outcome)) return;
    this.pending.delete(handle);
    waiting.deadline.cancel();
    waiting.settle({ outcome, close, body });
  }

  private ask(
    worker: WorkerId,
    connection: string,
    errand: Errand,
    settle: (answer: ErrandAnswer) => void,
  ): void {
    const { worker: origin, relay, wheel, silenceLimitMs } = this.options;
    if (this.pending.size >= PENDING_LIMIT) {
      settle(UNAVAILABLE);
      return;
    }
    const handle = String(++this.last);
    const deadline = wheel.in(TIMEOUT_MS + silenceLimitMs, () => {
      this.pending.delete(handle);
      settle(UNAVAILABLE);
    });
    this.pending.set(handle, { settle, deadline });
    if (relay.send(worker, { kind: 'errand', origin, handle, connection, ...errand })) return;
    this.pending.delete(handle);
    deadline.cancel();
    // A sibling that is not there is dead; the way to another node may only be cut for now.
    settle(nodeOf(worker) === nodeOf(origin) ? { ...UNAVAILABLE, outcome: 'none' } : UNAVAILABLE);
  }
}

function isOutcome(text: string): text is ErrandOutcome {
  return Object.hasOwn(OUTCOMES, text);
}
