// WebSocket subprotocols: which codec a client asks for, and the token that may travel beside it.

export const MSGPACK_SUBPROTOCOL = 'signalbox.v1.msgpack';
export const JSON_SUBPROTOCOL = 'signalbox.v1.json';
export const SUBPROTOCOLS = { msgpack: MSGPACK_SUBPROTOCOL, json: JSON_SUBPROTOCOL } as const;
export type CodecName = keyof typeof SUBPROTOCOLS;
export type Subprotocol = (typeof SUBPROTOCOLS)[CodecName];

const BEARER = 'bearer.';

export type SubprotocolChoice =
  /** `name` is echoed in the handshake; the entry with the token never is. */
  | { status: 'chosen'; name: Subprotocol; token: string | null }
  /** Only versions that this gateway does not speak: complete the upgrade, then close with `unsupported_version`. */
  | { status: 'unsupported' }
  /** Nothing of ours was offered. */
  | { status: 'none' };

/** What a client offers: the subprotocol first, then the token, if it goes this way. */
export function offerSubprotocols(codec: CodecName, token: string | null): string[] {
  return token === null ? [SUBPROTOCOLS[codec]] : [SUBPROTOCOLS[codec], BEARER + token];
}

/** The first entry that the gateway speaks, in the client's order. */
export function chooseSubprotocol(offered: readonly string[]): SubprotocolChoice {
  const name = offered.find((entry) => entry === SUBPROTOCOLS.msgpack || entry === SUBPROTOCOLS.json);
  if (name === SUBPROTOCOLS.msgpack || name === SUBPROTOCOLS.json) {
    const bearer = offered.find((entry) => entry.startsWith(BEARER) && entry.length > BEARER.length);
    return { status: 'chosen', name, token: bearer?.slice(BEARER.length) ?? null };
  }
  return { status: offered.some((entry) => entry.startsWith('signalbox.')) ? 'unsupported' : 'none' };
}
