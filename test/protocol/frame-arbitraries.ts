// Arbitrary frames of both families, for every test that wants any frame at all.
import fc from 'fast-check';
import { CODES, type Code } from '../../src/protocol/codes.js';
import { DEFLATED, DICTIONARY_SHIFT, PAYLOAD_CODECS } from '../../src/protocol/encoding.js';
import type { ClientFrame, Cursor, GatewayFrame, MessageOptions, Payload } from '../../src/protocol/frame.js';
import {
  isClientId,
  isEventName,
  isPairId,
  isRoomName,
  isServiceName,
  isSessionId,
  isStreamId,
} from '../../src/protocol/ids.js';
import { isCode } from '../../src/protocol/codes.js';

const NAME_CHARACTERS = Array.from('ABCXYZabcxyz0189._~@:/+-');
const ID_CHARACTERS = Array.from('ABCXYZabcxyz0189_-');

/** Narrows what a generator makes by the protocol's own guard, so that generator and guard cannot drift apart. */
function guarded<From, To extends From>(
  arbitrary: fc.Arbitrary<From>,
  guard: (value: From) => value is To,
): fc.Arbitrary<To> {
  return arbitrary.map((value) => {
    if (!guard(value)) throw new TypeError('the generator made a value that the protocol refuses');
    return value;
  });
}

const name = fc
  .oneof(
    { weight: 9, arbitrary: fc.array(fc.constantFrom(...NAME_CHARACTERS), { minLength: 1, maxLength: 20 }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom(...NAME_CHARACTERS), { minLength: 120, maxLength: 128 }),
    },
  )
  .map((characters) => characters.join(''));
export const clientId = guarded(name, isClientId);
export const roomName = guarded(name, isRoomName);
export const eventName = guarded(name, isEventName);
export const sessionId = guarded(
  fc.array(fc.constantFrom(...ID_CHARACTERS), { minLength: 22, maxLength: 22 }).map((all) => all.join('')),
  isSessionId,
);
const serviceName = guarded(
  name.map((text) => text.replaceAll('~', '-').slice(0, 100)),
  isServiceName,
);
const pairId = guarded(sessionId, isPairId);
export const streamId = guarded(sessionId, isStreamId);
const address = fc.oneof(
  clientId,
  fc.tuple(clientId, sessionId).map(([client, session]) => `${client}#${session}`),
);
const opaque = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const ref = fc.integer({ min: 1, max: 0xffff_ffff });
const refOrNone = fc.oneof(fc.constant(0), ref);
const count = fc.maxSafeNat();
const seq = fc.option(count, { nil: null });
const code: fc.Arbitrary<Code> = guarded(fc.constantFrom(...Object.keys(CODES)), isCode);
const refusal = code.filter((each) => CODES[each].close === null);

const options: fc.Arbitrary<MessageOptions> = fc
  .record(
    {
      trace: fc
        .array(fc.constantFrom(...NAME_CHARACTERS), { minLength: 1, maxLength: 64 })
        .map((all) => all.join('')),
      except: fc.array(clientId, { maxLength: 4 }),
      self: fc.boolean(),
      first: fc.integer({ min: 1 }),
      offline: fc.constant('keep' as const),
    },
    { requiredKeys: [] },
  )
  .map((record) => ({ ...record }));
/** Those that only numbered messages have. */
const numberedOptions: fc.Arbitrary<MessageOptions> = fc
  .tuple(
    options,
    fc.record(
      { delivered: fc.constant(true as const), ttlMs: fc.integer({ min: 1, max: 86_400_000 }) },
      { requiredKeys: [] },
    ),
  )
  .map(([{ offline, ...common }, own]) => ({
    ...common,
    ...own,
    ...(offline === undefined ? {} : { offline }),
  }));
/** Those that a receiver learns. */
const originOptions: fc.Arbitrary<MessageOptions> = fc
  .tuple(
    options,
    fc.record({ seq: fc.maxSafeNat(), delivered: fc.constant(true as const) }, { requiredKeys: [] }),
  )
  .map(([{ trace }, own]) => (trace === undefined ? { ...own } : { trace, ...own }));

/** Any JSON text, with the spaces and the large numbers that a parser would not give back. */
const jsonText = fc.oneof(
  fc.json(),
  fc.json().map((value) => ` { "a" : [ ${value}, "]},{[\\"\\\\" ] }\n`),
  fc.constantFrom('12345678901234567890', '1.10', '"\\u0041\\"[,"', '-0', '1e400'),
);

const payloadCodecs = fc.constantFrom(
  PAYLOAD_CODECS.msgpack,
  PAYLOAD_CODECS.json,
  PAYLOAD_CODECS.bytes,
  8,
  15,
);
const compressed = fc.constantFrom(0, DEFLATED, DEFLATED | (1 << DICTIONARY_SHIFT));

/** What JSON text becomes on the wire has no space around it: the frame's own punctuation stands there. */
const isSpaced = (data: Uint8Array): boolean => /^\s|\s$/.test(new TextDecoder().decode(data));

/** Payloads that every codec passes on byte by byte between clients and gateway. */
export const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.constant({ encoding: PAYLOAD_CODECS.none, data: new Uint8Array() }),
  fc
    .record({
      encoding: fc.tuple(payloadCodecs, compressed).map(([codec, flags]) => codec | flags),
      data: fc.uint8Array({ maxLength: 80 }),
    })
    .filter(({ encoding, data }) => encoding !== PAYLOAD_CODECS.json || !isSpaced(data)),
  jsonText.map((value) => ({
    encoding: PAYLOAD_CODECS.json,
    data: new TextEncoder().encode(value.trim()),
  })),
);

/** Payloads that a gateway also writes unchanged for clients that read JSON: nothing that it would make readable. */
export const unreadablePayload = payload.filter(({ encoding }) => encoding === 0 || (encoding & 0x0f) >= 2);

const cursor: fc.Arbitrary<Cursor> = fc.tuple(
  fc.option(roomName, { nil: null }),
  fc.option(opaque, { nil: null }),
);
const since = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 1000 }), opaque);

const sessionAddress = fc.tuple(clientId, sessionId).map(([client, session]) => `${client}#${session}`);
const target = fc.oneof(
  fc.record({ to: address, room: fc.constant(null) }),
  fc.record({ to: fc.constant(null), room: fc.option(roomName, { nil: null }) }),
);
const upToTwo = fc.constantFrom(0 as const, 1 as const, 2 as const);

export const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({
    type: fc.constant('hello'),
    version: fc.constant(1),
    token: fc.option(opaque, { nil: null }),
    resume: fc.option(
      fc.record({ session: sessionId, key: opaque, cursors: fc.array(cursor, { maxLength: 4 }) }),
      { nil: null },
    ),
    agent: fc.option(text, { nil: null }),
  }),
  fc.constant({ type: 'pong' }),
  fc.constant({ type: 'bye' }),
  fc.record({ type: fc.constant('token'), ref, token: text }),
  fc.record({
    type: fc.constant('send'),
    ref: refOrNone,
    seq,
    options,
    to: address,
    event: eventName,
    payload,
  }),
  fc.record({
    type: fc.constant('send'),
    ref: refOrNone,
    seq: fc.constantFrom(null, 0),
    options,
    to: fc.array(address, { minLength: 1, maxLength: 5 }),
    event: eventName,
    payload,
  }),
  fc.record({
    type: fc.constant('send'),
    ref: refOrNone,
    seq: fc.integer({ min: 1 }),
    options: numberedOptions,
    to: address,
    event: eventName,
    payload,
  }),
  fc.record({ type: fc.constantFrom('receipt', 'confirm'), to: address, seq: fc.integer({ min: 1 }) }),
  fc.record({ type: fc.constant('ack'), id: opaque }),
  fc.record({
    type: fc.constant('standingOffer'),
    ref,
    id: name.filter((id) => id.length <= 64),
    event: eventName,
    payload,
  }),
  fc.record({
    type: fc.constant('peerReport'),
    digest: fc.oneof(
      fc.record(
        {
          moment: fc.constant('connected'),
          signalingMs: fc.nat(600_000),
          totalMs: fc.nat(600_000),
          local: fc.constantFrom('host', 'srflx', 'prflx', 'relay'),
          protocol: fc.constantFrom('udp', 'tcp', 'tls'),
          rttMs: fc.nat(60_000),
        },
        { requiredKeys: ['moment'] },
      ),
      fc.record(
        {
          moment: fc.constant('ended'),
          reason: fc.constantFrom('closed', 'remote', 'timeout'),
          wasConnected: fc.boolean(),
          lossPermille: fc.nat(1_000),
        },
        { requiredKeys: ['moment', 'reason'] },
      ),
    ),
  }),
  fc.record({ type: fc.constant('broadcast'), ref: refOrNone, options, event: eventName, payload }),
  fc.record({
    type: fc.constant('request'),
    ref,
    timeoutMs: fc.integer({ min: 1, max: 120_000 }),
    options,
    to: address,
    event: eventName,
    payload,
  }),
  fc.record({ type: fc.constant('reply'), handle: opaque, payload }),
  fc.record({ type: fc.constant('reject'), handle: opaque, code: refusal, text }),
  fc.record({ type: fc.constant('join'), ref, room: roomName, since }),
  fc.record({ type: fc.constant('leave'), ref, room: roomName }),
  fc.record({ type: fc.constant('leaveAll'), ref }),
  fc.record({
    type: fc.constant('publish'),
    ref: refOrNone,
    seq,
    options,
    room: roomName,
    event: eventName,
    payload,
  }),
  fc.record({
    type: fc.constant('members'),
    ref,
    room: roomName,
    cursor: fc.option(opaque, { nil: null }),
    limit: fc.integer({ min: 1, max: 1000 }),
  }),
  fc.record({ type: fc.constant('count'), ref, room: roomName }),
  fc.record({
    type: fc.constant('clients'),
    ref,
    prefix: fc.oneof(fc.constant(''), clientId),
    cursor: fc.option(opaque, { nil: null }),
    limit: fc.integer({ min: 1, max: 1000 }),
  }),
  fc.record({ type: fc.constant('online'), ref, client: clientId }),
  fc.record({ type: fc.constant('watch'), ref, room: roomName, on: fc.boolean() }),
  fc
    .tuple(
      fc.record({
        type: fc.constant('openStream'),
        stream: streamId,
        name: eventName,
        drop: fc.boolean(),
        payload,
      }),
      target,
    )
    .map(([frame, to]) => ({ ...frame, ...to })),
  fc
    .tuple(
      fc.record({
        type: fc.constant('attachStream'),
        stream: streamId,
        upTo: count,
        limit: count,
        drop: fc.boolean(),
      }),
      fc.oneof(
        fc.record({ to: sessionAddress, room: fc.constant(null), opened: fc.boolean() }),
        fc.record({
          to: fc.constant(null),
          room: fc.option(roomName, { nil: null }),
          opened: fc.constant(true),
        }),
      ),
    )
    .map(([frame, to]) => ({ ...frame, ...to })),
  fc.record({ type: fc.constant('chunk'), stream: streamId, offset: count, part: upToTwo, payload }),
  fc.record({ type: fc.constant('credit'), stream: streamId, upTo: count, limit: count, ask: upToTwo }),
  fc.record({
    type: fc.constant('cut'),
    stream: streamId,
    to: fc.option(sessionAddress, { nil: null }),
    code: fc.oneof(refusal, fc.constant('normal' as const)),
    text,
  }),
  fc.record({
    type: fc.constant('pair'),
    ref,
    timeoutMs: fc.integer({ min: 1, max: 120_000 }),
    to: address,
    payload,
  }),
  fc.record({ type: fc.constantFrom('holdPair', 'endPair'), ref, pair: pairId, to: sessionAddress }),
  fc.record({
    type: fc.constant('available'),
    ref,
    prefix: fc.oneof(fc.constant(''), name),
    cursor: fc.option(opaque, { nil: null }),
    limit: fc.integer({ min: 1, max: 1000 }),
  }),
  fc.record({
    type: fc.constant('call'),
    ref,
    timeoutMs: fc.integer({ min: 1, max: 120_000 }),
    options: fc
      .tuple(options, fc.boolean())
      .map(([common, isIdempotent]) => (isIdempotent ? { ...common, idempotent: true as const } : common)),
    service: serviceName,
    payload,
  }),
);

const result = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  count,
  fc.record({ id: opaque }),
  fc.record({ count }),
  fc.record({
    members: fc.array(fc.record({ client: clientId, sessions: count }), { maxLength: 5 }),
    cursor: fc.option(opaque, { nil: null }),
    count,
  }),
  fc.record({ clients: fc.array(clientId, { maxLength: 20 }), cursor: fc.option(opaque, { nil: null }) }),
);

const iceServer = fc.oneof(
  fc.record({ urls: text }),
  fc.record({ urls: fc.array(text, { maxLength: 3 }), username: text, credential: text }),
);

/** Gateway frames whose payloads come from `payloads`. */
export function gatewayFrameWith(payloads: fc.Arbitrary<Payload>): fc.Arbitrary<GatewayFrame> {
  const id = fc.option(opaque, { nil: null });
  const origin = {
    options: originOptions,
    from: clientId,
    session: sessionId,
    event: eventName,
    payload: payloads,
  };
  return fc.oneof(
    fc.record({
      type: fc.constant('welcome'),
      info: fc.record({
        server: text,
        client: clientId,
        session: sessionId,
        resumeKey: text,
        resumed: fc.boolean(),
        generation: count,
        rooms: fc.array(roomName, { maxLength: 5 }),
        inbox: id,
        kept: id,
        resumeWindowMs: count,
        pingIntervalMs: count,
        tokenExpiresInMs: count,
        frameLimitBytes: count,
        iceServers: fc.array(iceServer, { maxLength: 3 }),
      }),
    }),
    fc.constant({ type: 'ping' }),
    fc.constant({ type: 'doubt' }),
    fc.record({ type: fc.constant('ok'), ref, result }),
    fc.record({
      type: fc.constant('error'),
      ref: refOrNone,
      code,
      text,
      expected: fc.option(count, { nil: null }),
    }),
    fc.record({ type: fc.constant('expiring'), inMs: count }),
    fc.record({ type: fc.constant('iceServers'), servers: fc.array(iceServer, { maxLength: 3 }) }),
    fc.record({
      type: fc.constant('goaway'),
      close: fc.integer({ min: 1000, max: 4999 }),
      retryAfterMs: count,
    }),
    fc.record({ type: fc.constant('message'), id, ...origin }),
    fc.record({ type: fc.constant('roomMessage'), id, room: roomName, ...origin }),
    fc.record({ type: fc.constant('requested'), handle: opaque, ...origin }),
    fc.record({ type: fc.constant('response'), ref, payload: payloads }),
    fc.record({ type: fc.constant('delivered'), by: clientId, seq: count }),
    fc.record({ type: fc.constant('asked'), from: clientId, session: sessionId, seq: count }),
    fc.record({
      type: fc.constant('gap'),
      channel: fc.option(roomName, { nil: null }),
      reason: fc.constantFrom('trimmed', 'lost'),
      missing: fc.option(count, { nil: null }),
      id,
    }),
    fc.record({ type: fc.constant('position'), channel: fc.option(roomName, { nil: null }), id }),
    fc.record({
      type: fc.constant('presence'),
      room: roomName,
      joined: fc.array(clientId, { maxLength: 5 }),
      left: fc.array(clientId, { maxLength: 5 }),
      count,
    }),
    fc.record({
      type: fc.constant('offer'),
      stream: streamId,
      from: clientId,
      session: sessionId,
      channel: fc.option(roomName, { nil: null }),
      name: eventName,
      payload: payloads,
    }),
    fc.record({
      type: fc.constant('attached'),
      stream: streamId,
      from: clientId,
      session: sessionId,
      upTo: count,
      limit: count,
    }),
    fc.record({
      type: fc.constant('piece'),
      stream: streamId,
      offset: count,
      part: upToTwo,
      payload: payloads,
    }),
    fc.record({ type: fc.constant('credited'), stream: streamId, upTo: count, limit: count, ask: upToTwo }),
    fc.record({ type: fc.constant('wasCut'), stream: streamId, code, text }),
    fc.record({
      type: fc.constant('readerGone'),
      stream: streamId,
      from: clientId,
      session: sessionId,
      code,
      text,
      payload: payloads,
    }),
    fc.record({
      type: fc.constantFrom('called', 'pairing'),
      handle: opaque,
      options: originOptions,
      from: clientId,
      session: sessionId,
      event: eventName,
      payload: payloads,
    }),
    fc.record({ type: fc.constant('unpaired'), pair: pairId, code }),
    fc.record({ type: fc.constant('owners'), service: serviceName, count }),
  );
}

export const gatewayFrame = gatewayFrameWith(payload);
