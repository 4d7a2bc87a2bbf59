// The one table of codes: how connections end (with a number) and why calls are refused (by name).

/** What the other side should do: `resume` (come back, same session), `stop` (do not come back), `call` (the connection stays). */
export type Consequence = 'resume' | 'stop' | 'call';

interface Row {
  /** WebSocket close code; null where the code only refuses a call. */
  readonly close: number | null;
  readonly then: Consequence;
  readonly text: string;
}

export const CODES = {
  // Standard close codes (RFC 6455 §7.4.1 and the IANA registry).
  normal: { close: 1000, then: 'stop', text: 'The session was ended on purpose.' },
  going_away: { close: 1001, then: 'resume', text: 'The page or the process goes away.' },
  protocol_error: { close: 1002, then: 'stop', text: 'A WebSocket frame broke RFC 6455.' },
  wrong_data_type: {
    close: 1003,
    then: 'stop',
    text: 'Text arrived on the binary subprotocol, or the reverse.',
  },
  connection_lost: { close: 1006, then: 'resume', text: 'The connection ended without a close frame.' },
  invalid_utf8: { close: 1007, then: 'stop', text: 'A text frame was not UTF-8.' },
  policy: { close: 1008, then: 'stop', text: 'Too many fragments in one message.' },
  too_big: { close: 1009, then: 'stop', text: 'A frame was larger than the limit.' },
  internal_error: { close: 1011, then: 'resume', text: 'The gateway failed; its log says why.' },
  restart: { close: 1012, then: 'resume', text: 'The gateway restarts or drains; come back after the hint.' },
  overloaded: {
    close: 1013,
    then: 'resume',
    text: 'The gateway cannot take this now; come back after the hint.',
  },

  // 4000–4499: come back and resume.
  token_expired: {
    close: 4010,
    then: 'resume',
    text: 'The access token expired and was not refreshed in time.',
  },
  auth_timeout: { close: 4011, then: 'resume', text: 'No valid hello frame arrived before the deadline.' },
  slow_consumer: { close: 4012, then: 'resume', text: 'The client reads more slowly than messages arrive.' },
  no_pong: { close: 4013, then: 'resume', text: 'The client did not answer a ping in time.' },
  rate_limited: { close: 4014, then: 'resume', text: 'More messages or bytes per second than allowed.' },
  session_ended_elsewhere: {
    close: 4015,
    then: 'resume',
    text: 'The store lost the session; a new one is needed.',
  },

  // 4500–4999: do not come back by yourself.
  bad_frame: { close: 4500, then: 'stop', text: 'A frame could not be decoded, or came before hello.' },
  invalid_token: { close: 4501, then: 'stop', text: 'The access token was refused.' },
  forbidden: { close: 4502, then: 'stop', text: 'The token does not permit this.' },
  superseded: { close: 4503, then: 'stop', text: 'A newer connection took the session over.' },
  kicked: { close: 4504, then: 'stop', text: 'An operator ended the session.' },
  limit_exceeded: { close: 4505, then: 'stop', text: 'A limit on connections was reached.' },
  unsupported_version: {
    close: 4506,
    then: 'stop',
    text: 'The client speaks a version that the gateway does not.',
  },
  replaced: {
    close: 4507,
    then: 'stop',
    text: 'The same client connected again (DUPLICATE_CLIENT=replace).',
  },
  duplicate_client: {
    close: 4508,
    then: 'stop',
    text: 'The client is connected already (DUPLICATE_CLIENT=reject).',
  },
  too_many_errors: { close: 4509, then: 'stop', text: 'Too many refused calls in a short time.' },

  // Refusals of one call; the connection stays.
  not_found: { close: null, then: 'call', text: 'No such target, or no permission to reach it.' },
  bad_parameter: {
    close: null,
    then: 'call',
    text: 'A field of the frame is missing, of the wrong type or out of range.',
  },
  unknown_type: { close: null, then: 'call', text: 'The gateway does not know this frame type.' },
  not_joined: { close: null, then: 'call', text: 'The session is not in the room.' },
  limit: { close: null, then: 'call', text: 'A limit on rooms, requests, members or fan-out was reached.' },
  unavailable: {
    close: null,
    then: 'call',
    text: 'The store or the way to the target cannot be reached now.',
  },
  unknown_outcome: {
    close: null,
    then: 'call',
    text: 'The connection or the store failed before the answer: it may have happened or not.',
  },
  out_of_order: { close: null, then: 'call', text: 'The sequence number skips one that was not received.' },
  expired: { close: null, then: 'call', text: 'The message was not delivered within its time to live.' },
  timeout: { close: null, then: 'call', text: 'No answer in time.' },
  rejected: { close: null, then: 'call', text: 'The handler of a request failed.' },
  no_handler: { close: null, then: 'call', text: 'The target has no handler for this event.' },
  credit_exceeded: {
    close: null,
    then: 'call',
    text: 'More was sent on a stream than its reader had allowed.',
  },
  slow_reader: { close: null, then: 'call', text: 'The stream went on without a reader that was too slow.' },
  busy: { close: null, then: 'call', text: 'All who could take it are busy; nothing was executed.' },
  provider_gone: {
    close: null,
    then: 'call',
    text: 'The provider of the service went away: the call may have been executed or not.',
  },
  partner_gone: { close: null, then: 'call', text: 'The pair is over: its other end is gone.' },

  // Raised by the SDK without the gateway.
  aborted: { close: null, then: 'call', text: 'The caller aborted the call.' },
  closed: { close: null, then: 'call', text: 'The client was closed.' },
  offline: { close: null, then: 'call', text: 'Not connected, and the call asked not to wait.' },
  queue_full: { close: null, then: 'call', text: 'The offline queue is full.' },
  bad_payload: { close: null, then: 'call', text: 'A payload cannot be encoded or decoded.' },
  unknown_encoding: {
    close: null,
    then: 'call',
    text: 'The receiver has no serializer for the codec of this payload.',
  },
} as const satisfies Record<string, Row>;

/** Name of a code: why a connection ended, or a call was refused. docs/protocol.md has the table. */
export type Code = keyof typeof CODES;
/** Codes that can end a connection. */
export type CloseCode = { [C in Code]: (typeof CODES)[C]['close'] extends number ? C : never }[Code];

export function isCode(value: unknown): value is Code {
  return typeof value === 'string' && Object.hasOwn(CODES, value);
}

/** Name of a WebSocket close code; null for a number that the table does not have. */
export function codeOfClose(number: number): CloseCode | null {
  return (Object.keys(CODES) as CloseCode[]).find((code) => CODES[code].close === number) ?? null;
}

/**
 * Whether a client comes back after this close: by range, so that an old SDK treats new codes rightly. A code that no
 * range has is the network's or a proxy's, and passes.
 */
export function comesBack(number: number): boolean {
  return !(number >= 4500 && number <= 4999) && ![1000, 1002, 1003, 1007, 1008, 1009].includes(number);
}
