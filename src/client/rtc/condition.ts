// A connection as `Recovery` looks at it, where browsers say less, or other, than it needs.
import { fragmentsOf } from './ice-fragments.js';

export interface Condition {
  /** The connection's own word. */
  readonly connectionState: RTCPeerConnectionState;
  /** ICE has found a way, whatever the state. */
  readonly isIceUp: boolean;
  /** Offers of either side that were answered. */
  readonly rounds: number;
  /** This side's, as they were last agreed on: see `fragmentsOf`. */
  readonly fragments: string;
}

interface Negotiated {
  readonly peer: RTCPeerConnection;
  readonly counts: { readonly rounds: number };
}

/** Of a peer, as it is now. */
export class PeerCondition implements Condition {
  readonly #of: Negotiated;

  constructor(of: Negotiated) {
    this.#of = of;
  }

  get connectionState(): RTCPeerConnectionState {
    const state = this.#of.peer.connectionState;
    // Nobody has answered yet: that is waiting, not failing.
    if (this.rounds === 0 && state !== 'connected') return 'new';
    // Chromium says so as long as there are no candidates to check.
    return state === 'new' ? 'connecting' : state;
  }

  get isIceUp(): boolean {
    return ['connected', 'completed'].includes(this.#of.peer.iceConnectionState);
  }

  get rounds(): number {
    return this.#of.counts.rounds;
  }

  get fragments(): string {
    return fragmentsOf(this.#of.peer.currentLocalDescription);
  }
}
