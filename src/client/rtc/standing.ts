// What a standing offer is to the peer that comes of it.
import type { SignalBody } from './signal.js';

/** Below the 1,023 streams of Chromium's channels, and far from where those of applications begin. */
export const SILENT_CHANNEL = 1_022;

/** A connection whose offer a caller may have before it calls. */
export interface Standing {
  /** Of this end. */
  readonly id: string;
  readonly connection: RTCPeerConnection;
  /** The first thing that its taker has heard of this end. */
  readonly first: SignalBody & { sdp: string };
  /** Candidates that `first` has not; more may come. */
  readonly foundLater: readonly RTCIceCandidate[];
  /** The gateway has handed it out. */
  onTaken(): void;
}
