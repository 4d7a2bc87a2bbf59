// Own signals on their way out, in order: a description waits for its first candidates, which then travel in it.
import type { Candidates } from './candidates.js';
import { fragmentsOf } from './ice-fragments.js';
import type { NegotiationSignal } from './signal.js';

type Described = Extract<NegotiationSignal, { sdp: string }>;

export class SignalOutbox {
  readonly #connection: Pick<RTCPeerConnection, 'localDescription'>;
  readonly #candidates: Candidates;
  readonly #write: (signal: NegotiationSignal) => void;
  /** What waits: a description, and what was said after it. */
  #held: NegotiationSignal[] | null = null;

  constructor(
    connection: Pick<RTCPeerConnection, 'localDescription'>,
    candidates: Candidates,
    write: (signal: NegotiationSignal) => void,
  ) {
    this.#connection = connection;
    this.#candidates = candidates;
    this.#write = write;
  }

  send(signal: NegotiationSignal): void {
    if (this.#held !== null) this.#held.push(signal);
    else if (this.#isCurrent(signal) && this.#candidates.areComing) {
      this.#held = [signal];
      void this.#candidates.first().then(() => this.#release());
    } else this.#pass(signal);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    // The connection may be further by now: then the description goes as it was made, and its candidates follow.
    for (const signal of held)
      this.#pass(
        this.#isCurrent(signal) ? { ...signal, sdp: this.#connection.localDescription?.sdp ?? '' } : signal,
      );
  }

  #pass(signal: NegotiationSignal): void {
    this.#write(signal);
    if (isDescribed(signal)) this.#candidates.follow(signal);
  }

  /** Whether it is the description that candidates are gathered for: not so what was only proposed. */
  #isCurrent(signal: NegotiationSignal): signal is Described {
    const { localDescription } = this.#connection;
    return (
      isDescribed(signal) &&
      localDescription?.type === signal.type &&
      fragmentsOf(localDescription) === fragmentsOf(signal)
    );
  }
}

function isDescribed(signal: NegotiationSignal): signal is Described {
  return signal.type === 'offer' || signal.type === 'answer';
}
