// WebSocket subprotocols: which codec a client asks for, and the token and the hello that may travel beside it.

export const MSGPACK_SUBPROTOCOL = 'signalbox.v1.msgpack';
export const JSON_SUBPROTOCOL = 'signalbox.v1.json';
export const SUBPROTOCOLS = { msgpack: MSGPACK_SUBPROTOCOL, json: JSON_SUBPROTOCOL } as const;
export type CodecName = keyof typeof SUBPROTOCOLS;
export type Subprotocol = (typeof SUBPROTOCOLS)[CodecName];

/** Offered beside a hello in the handshake; who answers with it has read that. An older gateway does not, and hears the hello as a frame. */
export const HELLO_SUBPROTOCOL = 'signalbox.v1.hello';

const BEARER = 'bearer.';
const HELLO = 'hello.';

/** Largest hello that the gateway takes with the handshake, bytes. */
const OFFERED_HELLO_LIMIT_BYTES = 2048;
/** And that our SDK offers: with the token it stays below the 8 KiB that proxies take of one header. */
const OFFERED_HELLO_BYTES = 512;

export type SubprotocolChoice =
  /**
   * `name`, or HELLO_SUBPROTOCOL where there is a hello, is echoed in the handshake; the entries with the token and the hello
   * never are.
   */
  | { status: 'chosen'; name: Subprotocol; token: string | null; hello: Uint8Array<ArrayBuffer> | null }
  /** Only versions that this gateway does not speak: complete the upgrade, then close with `unsupported_version`. */
  | { status: 'unsupported' }
  /** Nothing of ours was offered. */
  | { status: 'none' };

/**
 * What a client offers: the subprotocol first, then the token, then the bytes of its first frame, if they go this way: a
 * text is none, and a long hello (of many cursors) is better said when the connection stands.
 */
export function offerSubprotocols(
  codec: CodecName,
  token: string | null,
  hello?: Uint8Array | string,
): string[] {
  const offered: string[] = [SUBPROTOCOLS[codec]];
  if (token) offered.push(BEARER + token);
  if (typeof hello === 'object' && hello.length < OFFERED_HELLO_BYTES)
    offered.push(HELLO_SUBPROTOCOL, HELLO + hello.join('.'));
  return offered;
}

/** The first entry that the gateway speaks, in the client's order. */
export function chooseSubprotocol(offered: readonly string[]): SubprotocolChoice {
  const name = offered.find((entry) => entry === SUBPROTOCOLS.msgpack || entry === SUBPROTOCOLS.json);
  if (name === SUBPROTOCOLS.msgpack || name === SUBPROTOCOLS.json) {
    const hello = offered.includes(HELLO_SUBPROTOCOL) ? bytesOf(valueOf(offered, HELLO) ?? '') : null;
    return { status: 'chosen', name, token: valueOf(offered, BEARER), hello };
  }
  return { status: offered.some((entry) => entry.startsWith('signalbox.')) ? 'unsupported' : 'none' };
}

function valueOf(offered: readonly string[], prefix: string): string | null {
  const entry = offered.find((one) => one.startsWith(prefix) && one.length > prefix.length);
  return entry?.slice(prefix.length) ?? null;
}

/** Bytes in decimal, a dot between them. Of anything else none, which is no frame. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  // Four characters a byte: a longer text is not even looked at.
  if (text.length > OFFERED_HELLO_LIMIT_BYTES * 4 || !/^\d{1,3}(\.\d{1,3})*$/.test(text)) return NOTHING;
  const numbers = text.split('.');
  const bytes = new Uint8Array(numbers.length);
  for (const [at, number] of numbers.entries()) {
    const byte = Number(number);
    if (byte > 255) return NOTHING;
    bytes[at] = byte;
  }
  return bytes;
}

const NOTHING = new Uint8Array();
