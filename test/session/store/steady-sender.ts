// A sender that numbers what it sends and repeats what was not answered, as clients do; and what its reader finds.
import { GatewayError } from '../../../src/protocol/errors.js';
import type { Channel, Store } from '../../../src/session/store/store.js';
import { appendRequest, client, newSession } from './fixture.js';

export interface SteadySender {
  readonly accepted: number;
  /** Calls that ended otherwise, by code. */
  readonly failures: ReadonlyMap<string, number>;
  /** Answers that came later than any time-out allows. */
  readonly late: number;
  /** Accepted ones that the store had lost and got again. */
  readonly refilled: number;
  /** Sends so many, one after the other. */
  send(count: number): Promise<void>;
  /** Sends until it is stopped. */
  run(): void;
  stop(): Promise<void>;
}

/** A call ends by then in any trouble, ms: the time-out of a command, and that of a move. */
const LATE_MS = 5_000;

export function steadySender(store: Store, channel: Channel, name: string): SteadySender {
  const sender = { client: client(name), session: newSession(), generation: 1 };
  const failures = new Map<string, number>();
  let [accepted, late, refilled] = [0, 0, 0];
  let running: Promise<void> | null = null;
  let stopped = false;
  const sendOne = async (): Promise<void> => {
    const seq = accepted + 1;
    for (;;) {
      const startedAt = performance.now();
      const result = await store
        .append(appendRequest(channel, { sender, seq, body: Buffer.from(`${name} ${seq}`) }))
        .catch((error: unknown) => {
          if (error instanceof GatewayError) return { status: error.code };
          throw error;
        });
      if (performance.now() - startedAt > LATE_MS) late++;
      if (result.status === 'accepted' || result.status === 'duplicate') break;
      failures.set(result.status, (failures.get(result.status) ?? 0) + 1);
      if (result.status === 'out_of_order' && 'expected' in result) {
        if (result.expected > seq) throw new Error(`${name}: ${result.expected} is expected, not ${seq}`);
        refilled += seq - result.expected;
        accepted = result.expected - 1;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    accepted = seq;
  };
  return {
    get accepted() {
      return accepted;
    },
    get late() {
      return late;
    },
    get refilled() {
      return refilled;
    },
    failures,
    send: async (count) => {
      const last = accepted + count;
      while (accepted < last) await sendOne();
    },
    run: () => {
      running = (async () => {
        while (!stopped) await sendOne();
      })();
      // Whoever stops it hears of it.
      running.catch(() => undefined);
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}

/** All that a log holds, as text. */
export async function textsOf(store: Store, channel: Channel): Promise<string[]> {
  const texts: string[] = [];
  let after: string | null = null;
  for (;;) {
    const page = await store.read({ channel, from: { after }, limit: 500 });
    if (page.status === 'lost') throw new Error('lost');
    for (const { body } of page.entries) texts.push(Buffer.from(body).toString());
    if (!page.more) return texts;
    after = page.position;
  }
}

export function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);
}
