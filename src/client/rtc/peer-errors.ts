// What went wrong on the way to a connection, kept instead of thrown away: it may succeed nevertheless.

/** Most errors that are kept, the newest. */
const ERRORS_LIMIT = 64;

/** Something that went wrong on the way to a connection, which may have come about all the same. */
export interface PeerError {
  /** `ice`: a STUN or TURN server failed (701: it could not be reached); `negotiation`: a step threw; `signaling`: a signal could not be sent. */
  kind: 'ice' | 'negotiation' | 'signaling';
  /** The STUN error code of `ice`; null for the others. */
  code: number | null;
  text: string;
  /** Server that failed; null unless `ice`. */
  url: string | null;
  /** Local address that asked it, where the browser says. */
  address: string | null;
  /** `Date.now()`. */
  at: number;
  cause: unknown;
}

export function iceError(cause: RTCPeerConnectionIceErrorEvent): PeerError {
  const { errorCode, errorText, url, address } = cause;
  return { kind: 'ice', code: errorCode, text: errorText, url, address, at: Date.now(), cause };
}

export function peerError(kind: 'negotiation' | 'signaling', cause: unknown): PeerError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return { kind, code: null, text, url: null, address: null, at: Date.now(), cause };
}

/** Keeps it among the newest. */
export function keepError(errors: PeerError[], error: PeerError): void {
  if (errors.push(error) > ERRORS_LIMIT) errors.shift();
}
