// What an SDK tells of one WebRTC connection: how its set-up went, over which way, and how it ended. Never ids, addresses or content.
import type { Code } from './codes.js';

/** Longer times are told as this, ms: beyond it somebody was not there, and nobody's network is to blame. */
export const PEER_TIME_LIMIT_MS = 600_000;
export const PEER_RTT_LIMIT_MS = 60_000;

export const PEER_MOMENTS = ['connected', 'ended'] as const;
export const CANDIDATE_TYPES = ['host', 'srflx', 'prflx', 'relay'] as const;
export const PEER_PROTOCOLS = ['udp', 'tcp', 'tls'] as const;

export type CandidateType = (typeof CANDIDATE_TYPES)[number];
export type PeerProtocol = (typeof PEER_PROTOCOLS)[number];
/** By this side, by the other, or the code of what ended it. */
export type PeerEnd = 'closed' | 'remote' | Code;

export interface PeerReport {
  moment: (typeof PEER_MOMENTS)[number];
  /** From its making until both sides had agreed, until ICE had a pair, until DTLS was done; and all of it. */
  signalingMs?: number | undefined;
  iceMs?: number | undefined;
  dtlsMs?: number | undefined;
  totalMs?: number | undefined;
  /** The candidates that are in use. */
  local?: CandidateType | undefined;
  remote?: CandidateType | undefined;
  /** How this side reaches its relay, or the other side. */
  protocol?: PeerProtocol | undefined;
  rttMs?: number | undefined;
  /** Of the media that this side should have received. */
  lossPermille?: number | undefined;
  /** With `ended`. */
  reason?: PeerEnd | undefined;
  /** With `ended`: whether it ever was. */
  wasConnected?: boolean | undefined;
}

export function isCandidateType(value: unknown): value is CandidateType {
  return CANDIDATE_TYPES.some((type) => type === value);
}

export function isPeerProtocol(value: unknown): value is PeerProtocol {
  return PEER_PROTOCOLS.some((protocol) => protocol === value);
}
