// What a standing offer is to the peer that comes of it.
import type { NegotiationMachine } from './negotiation.js';
import type { SignalBody } from './signal.js';
import type { SignalingMechanism } from './signaling.js';

/** Below the 1,023 streams of Chromium's channels, and far from where those of applications begin. */
export const SILENT_CHANNEL = 1_022;

/** A connection whose offer a caller may have before it calls. */
export interface Standing {
  /** Of this end. */
  readonly id: string;
  readonly connection: RTCPeerConnection;
  /** The first thing that its taker has heard of this end. */
  readonly first: SignalBody & { type: 'offer'; round: number; sdp: string };
  /** Candidates that `first` has not; more may come. */
  readonly foundLater: readonly RTCIceCandidate[];
  /** The gateway has handed it out. */
  onTaken(): void;
}

/** The end of a standing offer that was taken, as a peer is made of it or goes on with it. */
export interface TakenEnd {
  readonly connection: RTCPeerConnection;
  readonly signaling: SignalingMechanism;
  readonly crossing: (own: NegotiationMachine) => NegotiationMachine;
  /** There is a peer of it: it is told what its connection told when there was none. */
  begin(): void;
}
