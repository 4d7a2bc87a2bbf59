// What the senders of a history know: every message with its outcome, by sender and channel.
import type { HistoryEvent } from './history.js';

export type Outcome = 'pending' | 'accepted' | 'refused' | 'unknown' | 'expired';

/** One sender's messages into one channel; index `n - 1`. */
export interface Flow {
  readonly sender: string;
  readonly channel: string;
  readonly hashes: number[];
  readonly sentAt: number[];
  readonly settledAt: number[];
  readonly outcomes: Outcome[];
  readonly ids: (string | null)[];
}

/** Refusals after which the message may have been stored all the same. */
const UNKNOWN = new Set(['unknown_outcome', 'timeout', 'aborted', 'closed']);

export class SentMessages {
  readonly #byChannel = new Map<string, Map<string, Flow>>();

  *flows(): Generator<Flow> {
    for (const flows of this.#byChannel.values()) yield* flows.values();
  }

  flow(channel: string, sender: string): Flow | undefined {
    return this.#byChannel.get(channel)?.get(sender);
  }

  learn(event: HistoryEvent): void {
    switch (event.e) {
      case 'send': {
        const flow = this.#flowOf(event.ch, event.c);
        const i = event.n - 1;
        flow.hashes[i] = event.h;
        flow.sentAt[i] = event.t;
        flow.settledAt[i] = Infinity;
        flow.outcomes[i] = 'pending';
        flow.ids[i] = null;
        return;
      }
      case 'accepted':
        this.#settle(event, 'accepted').ids[event.n - 1] = event.id;
        return;
      case 'rejected':
        this.#settle(event, UNKNOWN.has(event.code) ? 'unknown' : 'refused');
        return;
      case 'expired':
        this.#settle(event, 'expired');
        return;
      default:
        return;
    }
  }

  #settle({ c, ch, n, t }: { c: string; ch: string; n: number; t: number }, outcome: Outcome): Flow {
    const flow = this.#flowOf(ch, c);
    flow.outcomes[n - 1] = outcome;
    flow.settledAt[n - 1] = t;
    return flow;
  }

  #flowOf(channel: string, sender: string): Flow {
    let flows = this.#byChannel.get(channel);
    if (flows === undefined) this.#byChannel.set(channel, (flows = new Map()));
    let flow = flows.get(sender);
    if (flow === undefined) {
      flow = { sender, channel, hashes: [], sentAt: [], settledAt: [], outcomes: [], ids: [] };
      flows.set(sender, flow);
    }
    return flow;
  }
}
