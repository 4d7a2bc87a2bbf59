// Writes docs/protocol-vectors.json: literal bytes of every frame, for our own tests and for clients in other languages.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync, inflateSync } from 'node:zlib';
import prettier from 'prettier';
import { loadProtocol } from './load-protocol.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const protocol = await loadProtocol();
const { msgpackCodec, encodeMsgpack, encodePayload, SDP_DICTIONARY, INFLATED_LIMIT_BYTES } = protocol;
const inflate = protocol.inflateWith({
  deflate: deflateSync,
  inflate: (data, dictionary, maxOutputLength) => inflateSync(data, { dictionary, maxOutputLength }),
});
const jsonCodec = protocol.createJsonCodec({ inflate });

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const bytes = (text) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const text = (value) => new TextEncoder().encode(value);

const SESSION = 'AbCdEfGhIjKlMnOpQrStUv';
const STREAM = 'StReAmStReAmStReAmStRe';
const OTHER = '0123456789-_abcdefghij';
const hi = { encoding: 1, data: encodeMsgpack({ hi: 1 }) };
const hiJson = { encoding: 2, data: text('{"hi": 1}') };
const sum = { encoding: 2, data: text('[1,2]') };
const nothing = { encoding: 0, data: new Uint8Array() };
const raw = { encoding: 3, data: bytes('00 ff 10') };

/** @type {[name: string, frame: object][]} */
const clientFrames = [
  [
    'hello: with a token, nothing to resume',
    { type: 'hello', version: 1, token: 'e30.e30.c2ln', resume: null, agent: 'demo/1.0' },
  ],
  [
    'hello: the token came with the handshake',
    { type: 'hello', version: 1, token: null, resume: null, agent: null },
  ],
  [
    'hello: resume',
    {
      type: 'hello',
      version: 1,
      token: null,
      resume: { session: SESSION, key: 'k-2', cursors: [] },
      agent: null,
    },
  ],
  [
    'hello: resume, with what was read of the inbox and of two rooms',
    {
      type: 'hello',
      version: 1,
      token: null,
      resume: {
        session: SESSION,
        key: 'k-2',
        cursors: [
          [null, '5f3a:17-9c'],
          ['lobby', '77:1-0'],
          ['quiet', null],
        ],
      },
      agent: null,
    },
  ],
  ['pong', { type: 'pong' }],
  ['token', { type: 'token', ref: 7, token: 'e30.e30.c2ln' }],
  ['bye', { type: 'bye' }],
  [
    'send: kept, numbered',
    { type: 'send', ref: 1, seq: 1, options: {}, to: 'bob', event: 'greet', payload: hi },
  ],
  [
    'send: kept, without a number',
    { type: 'send', ref: 2, seq: null, options: {}, to: 'bob', event: 'greet', payload: hiJson },
  ],
  [
    'send: volatile, no answer wanted',
    { type: 'send', ref: 0, seq: 0, options: {}, to: 'bob', event: 'cursor', payload: raw },
  ],
  [
    'send: to one session, traced',
    {
      type: 'send',
      ref: 300,
      seq: 70000,
      options: { trace: 't-1' },
      to: `bob#${SESSION}`,
      event: 'a/b',
      payload: nothing,
    },
  ],
  [
    'send: to a list',
    {
      type: 'send',
      ref: 3,
      seq: null,
      options: {},
      to: ['bob', `carol#${OTHER}`],
      event: 'greet',
      payload: nothing,
    },
  ],
  [
    'send: numbered, with every option of kept messages',
    {
      type: 'send',
      ref: 18,
      seq: 9,
      options: { first: 9, delivered: true, ttlMs: 60000, offline: 'keep' },
      to: 'bob',
      event: 'greet',
      payload: hi,
    },
  ],
  ['receipt', { type: 'receipt', to: `alice#${SESSION}`, seq: 9 }],
  ['confirm', { type: 'confirm', to: 'bob', seq: 9 }],
  ['ack', { type: 'ack', id: '5f3a:17-9c' }],
  ['standingOffer', { type: 'standingOffer', ref: 25, id: 'kT+4pQz/01aB', event: 'call', payload: hi }],
  ['standingOffer: taken back', { type: 'standingOffer', ref: 26, id: '-', event: 'call', payload: nothing }],
  [
    'send: asks for a standing offer',
    {
      type: 'send',
      ref: 0,
      seq: 0,
      options: { standing: 'aB3+x/9cQ0zz' },
      to: 'bob',
      event: 'call',
      payload: hi,
    },
  ],
  [
    'peerReport: connected',
    {
      type: 'peerReport',
      digest: {
        moment: 'connected',
        signalingMs: 214,
        iceMs: 35,
        dtlsMs: 12,
        totalMs: 261,
        local: 'host',
        remote: 'relay',
        protocol: 'udp',
        rttMs: 41,
      },
    },
  ],
  [
    'peerReport: ended',
    { type: 'peerReport', digest: { moment: 'ended', reason: 'timeout', wasConnected: false } },
  ],
  ['broadcast', { type: 'broadcast', ref: 4, options: {}, event: 'news', payload: hiJson }],
  [
    'request',
    { type: 'request', ref: 5, timeoutMs: 5000, options: {}, to: 'bob', event: 'add', payload: sum },
  ],
  ['reply', { type: 'reply', handle: 'h1', payload: { encoding: 2, data: text('3') } }],
  ['reject', { type: 'reject', handle: 'h1', code: 'no_handler', text: 'nobody adds here' }],
  ['join', { type: 'join', ref: 8, room: 'lobby', since: null }],
  ['join: with history', { type: 'join', ref: 19, room: 'lobby', since: 50 }],
  ['join: after a message', { type: 'join', ref: 20, room: 'lobby', since: '77:1-0' }],
  ['leave', { type: 'leave', ref: 9, room: 'lobby' }],
  ['leaveAll', { type: 'leaveAll', ref: 10 }],
  [
    'publish',
    {
      type: 'publish',
      ref: 11,
      seq: 1,
      options: { except: ['carol'], self: false },
      room: 'lobby',
      event: 'chat',
      payload: hiJson,
    },
  ],
  ['members: first page', { type: 'members', ref: 12, room: 'lobby', cursor: null, limit: 100 }],
  ['members: next page', { type: 'members', ref: 13, room: 'lobby', cursor: 'bob', limit: 1000 }],
  ['count', { type: 'count', ref: 14, room: 'lobby' }],
  ['clients', { type: 'clients', ref: 15, prefix: 'a', cursor: null, limit: 100 }],
  ['online', { type: 'online', ref: 16, client: 'bob' }],
  ['watch', { type: 'watch', ref: 17, room: 'lobby', on: true }],
  [
    'openStream: to a client',
    { type: 'openStream', stream: STREAM, to: 'bob', room: null, name: 'file', drop: false, payload: hi },
  ],
  [
    'openStream: to a room, without its slow readers',
    {
      type: 'openStream',
      stream: STREAM,
      to: null,
      room: 'lobby',
      name: 'file',
      drop: true,
      payload: nothing,
    },
  ],
  [
    'attachStream: accepted',
    {
      type: 'attachStream',
      stream: STREAM,
      to: `alice#${OTHER}`,
      room: null,
      opened: false,
      upTo: 0,
      limit: 262144,
      drop: false,
    },
  ],
  [
    'attachStream: the opener is there again',
    {
      type: 'attachStream',
      stream: STREAM,
      to: `bob#${OTHER}`,
      room: null,
      opened: true,
      upTo: 67,
      limit: 262211,
      drop: false,
    },
  ],
  ['chunk: bytes', { type: 'chunk', stream: STREAM, offset: 0, part: 0, payload: raw }],
  ['chunk: the end', { type: 'chunk', stream: STREAM, offset: 67, part: 1, payload: nothing }],
  ['chunk: the answer', { type: 'chunk', stream: STREAM, offset: 0, part: 2, payload: hi }],
  ['credit', { type: 'credit', stream: STREAM, upTo: 67, limit: 262211, ask: 0 }],
  ['credit: send again', { type: 'credit', stream: STREAM, upTo: 67, limit: 262211, ask: 2 }],
  ['cut: done', { type: 'cut', stream: STREAM, to: null, code: 'normal', text: '' }],
  ['cut: refused', { type: 'cut', stream: STREAM, to: `alice#${OTHER}`, code: 'no_handler', text: '' }],
  ['call', { type: 'call', ref: 18, timeoutMs: 5000, options: {}, service: 'resize', payload: hi }],
  ['pair', { type: 'pair', ref: 21, timeoutMs: 10000, to: 'bob', payload: hi }],
  ['holdPair', { type: 'holdPair', ref: 22, pair: STREAM, to: `alice#${OTHER}` }],
  ['endPair', { type: 'endPair', ref: 23, pair: STREAM, to: `bob#${OTHER}` }],
  ['available', { type: 'available', ref: 24, prefix: 'a', cursor: null, limit: 100 }],
  [
    'call: that another provider may execute once more',
    {
      type: 'call',
      ref: 20,
      timeoutMs: 120000,
      options: { idempotent: true },
      service: 'images/resize',
      payload: nothing,
    },
  ],
];

const welcome = {
  server: '0.1.0',
  client: 'alice',
  session: SESSION,
  resumeKey: 'k-1',
  resumed: false,
  generation: 1,
  rooms: [],
  inbox: '5f3a:16-9c',
  kept: null,
  resumeWindowMs: 120000,
  pingIntervalMs: 25000,
  tokenExpiresInMs: 3600000,
  frameLimitBytes: 262144,
  iceServers: [
    { urls: ['turn:turn.example.org:3478'], username: '1700000000:alice', credential: 'c2VjcmV0' },
  ],
};
const from = { from: 'alice', session: SESSION };

/** @type {[name: string, frame: object][]} */
const gatewayFrames = [
  ['welcome', { type: 'welcome', info: welcome }],
  [
    'welcome: resumed, with kept messages, the inbox without any before them',
    {
      type: 'welcome',
      info: { ...welcome, resumed: true, generation: 2, rooms: ['lobby'], inbox: null, kept: '5f3a:17-9c' },
    },
  ],
  ['ping', { type: 'ping' }],
  ['ok: nothing to tell', { type: 'ok', ref: 1, result: null }],
  ['ok: accepted, with the entry id', { type: 'ok', ref: 1, result: { id: '5f3a:17-9c' } }],
  ['ok: join', { type: 'ok', ref: 8, result: { count: 2, position: '77:1-0' } }],
  ['ok: join with since', { type: 'ok', ref: 19, result: { count: 2 } }],
  ['ok: count', { type: 'ok', ref: 14, result: 70000 }],
  ['ok: leave, online', { type: 'ok', ref: 9, result: true }],
  [
    'ok: members',
    { type: 'ok', ref: 12, result: { members: [{ client: 'alice', sessions: 1 }], cursor: null, count: 1 } },
  ],
  ['ok: clients', { type: 'ok', ref: 15, result: { clients: ['alice', 'adam'], cursor: 'YWRhbQ' } }],
  ['ok: token', { type: 'ok', ref: 7, result: { expiresInMs: 3600000 } }],
  [
    'error',
    {
      type: 'error',
      ref: 1,
      code: 'not_found',
      text: 'No such target, or no permission to reach it.',
      expected: null,
    },
  ],
  [
    'error: out of order',
    { type: 'error', ref: 1, code: 'out_of_order', text: 'The sequence number skips one.', expected: 7 },
  ],
  ['expiring', { type: 'expiring', inMs: 60000 }],
  ['called', { type: 'called', handle: 'n1.2!s7', options: {}, ...from, event: 'resize', payload: hiJson }],
  ['pairing', { type: 'pairing', handle: 'n1.2!p7', options: {}, ...from, event: STREAM, payload: hiJson }],
  ['unpaired', { type: 'unpaired', pair: STREAM, code: 'partner_gone' }],
  ['owners: none left', { type: 'owners', service: 'prices', count: 0 }],
  [
    'iceServers',
    {
      type: 'iceServers',
      servers: [
        { urls: ['stun:stun.example.org'] },
        { urls: ['turn:turn.example.org:3478'], username: '1700003600:alice', credential: 'c2VjcmV0' },
      ],
    },
  ],
  ['goaway', { type: 'goaway', close: 1012, retryAfterMs: 1500 }],
  [
    'message: kept',
    { type: 'message', id: '5f3a:17-9c', options: {}, ...from, event: 'greet', payload: hiJson },
  ],
  [
    'message: volatile',
    { type: 'message', id: null, options: { trace: 't-1' }, ...from, event: 'cursor', payload: raw },
  ],
  [
    'message: kept, numbered, a receipt is wanted',
    {
      type: 'message',
      id: '5f3a:18-9c',
      options: { seq: 9, delivered: true },
      ...from,
      event: 'greet',
      payload: hiJson,
    },
  ],
  ['delivered', { type: 'delivered', by: 'bob', seq: 9 }],
  ['asked', { type: 'asked', ...from, seq: 9 }],
  ['gap: of the inbox', { type: 'gap', channel: null, reason: 'trimmed', missing: 12, id: '5f3a:40-9c' }],
  ['gap: of a room', { type: 'gap', channel: 'lobby', reason: 'lost', missing: null, id: null }],
  ['position', { type: 'position', channel: 'lobby', id: '77:9-0' }],
  ['doubt', { type: 'doubt' }],
  ['requested', { type: 'requested', handle: 'h1', options: {}, ...from, event: 'add', payload: sum }],
  ['response', { type: 'response', ref: 5, payload: { encoding: 2, data: text('3') } }],
  [
    'roomMessage',
    {
      type: 'roomMessage',
      id: '77:1-0',
      options: {},
      room: 'lobby',
      ...from,
      event: 'chat',
      payload: hiJson,
    },
  ],
  ['presence', { type: 'presence', room: 'lobby', joined: ['bob'], left: [], count: 2 }],
  ['presence: a large room', { type: 'presence', room: 'lobby', joined: [], left: [], count: 1001 }],
  ['offer', { type: 'offer', stream: STREAM, ...from, channel: null, name: 'file', payload: hiJson }],
  ['attached', { type: 'attached', stream: STREAM, ...from, upTo: 0, limit: 262144 }],
  ['piece', { type: 'piece', stream: STREAM, offset: 0, part: 0, payload: raw }],
  ['credited', { type: 'credited', stream: STREAM, upTo: 67, limit: 262211, ask: 0 }],
  [
    'wasCut',
    { type: 'wasCut', stream: STREAM, code: 'no_handler', text: 'The target has no handler for this event.' },
  ],
  ['readerGone', { type: 'readerGone', stream: STREAM, ...from, code: 'normal', text: '', payload: hiJson }],
];

const readable = (frame) =>
  'payload' in frame
    ? { ...frame, payload: { encoding: frame.payload.encoding, hex: hex(frame.payload.data) } }
    : frame;

const frames = [
  ...clientFrames.map(([name, frame]) => ({
    name,
    from: 'client',
    frame: readable(frame),
    msgpack: hex(msgpackCodec.encodeClient(frame)),
    json: jsonCodec.encodeClient(frame),
  })),
  ...gatewayFrames.map(([name, frame]) => ({
    name,
    from: 'gateway',
    frame: readable(frame),
    msgpack: hex(msgpackCodec.encodeGateway(frame)),
    json: jsonCodec.encodeGateway(frame),
  })),
];

// Other ways to write a frame that mean the same, and that a receiver must take.
const alsoValid = [
  {
    name: 'hello: trailing nils left out',
    from: 'client',
    frame: 'hello: the token came with the handshake',
    msgpack: '920001',
    json: '[0,1]',
  },
  {
    name: 'pong: elements of a later version',
    from: 'client',
    frame: 'pong',
    msgpack: '9303a378797a80',
    json: '[3,"xyz",{}]',
  },
  {
    name: 'join: integers in longer forms than needed',
    from: 'client',
    frame: 'join',
    msgpack: '93cd0020cf0000000000000008d9056c6f626279',
    json: ' [ 32 , 8.0 , "lo\\u0062by" ] ',
  },
  {
    name: 'join: array with a longer header than needed',
    from: 'client',
    frame: 'join',
    msgpack: 'dc00032008a56c6f626279',
    json: '[32,8,"lobby",null]',
  },
  {
    name: 'broadcast: options of a later version',
    from: 'client',
    frame: 'broadcast',
    msgpack: '96120481a56c61746572c3a46e65777302c4097b226869223a20317d',
    json: '[18,4,{"later":true},"news","json",{"hi": 1}]',
  },
  {
    name: 'broadcast: the key __proto__ in JSON',
    from: 'client',
    frame: 'broadcast',
    msgpack: '96120480a46e65777302c4097b226869223a20317d',
    json: '[18,4,{"__proto__":{"trace":"x"}},"news","json",{"hi": 1}]',
  },
  {
    name: 'pong: a timestamp in an element of a later version',
    from: 'client',
    frame: 'pong',
    msgpack: '9203d6ff65937a00',
    json: '[3,"2024-01-02T02:53:36Z"]',
  },
];

const payloads = [
  ['no data', undefined],
  ['nil', null],
  ['a string', 'grüß dich ✓'],
  [
    'integers at their edges',
    [0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991],
  ],
  [
    'negative integers at their edges',
    [-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991],
  ],
  ['floats, in 32 bits where those hold them exactly', [0.5, 0.1, 1e300]],
  ['a map of everything', { a: [true, false, null], ключ: { deep: ['x'] } }],
].map(([name, value]) => {
  const { encoding, data } = encodePayload(value);
  return { name, encoding, hex: hex(data), ...(value === undefined ? {} : { value }) };
});
const json = encodePayload({ hi: [1, 'é'] }, protocol.asJson);
payloads.push({ name: 'JSON', encoding: json.encoding, hex: hex(json.data), value: { hi: [1, 'é'] } });

const timestamps = [
  ['whole seconds', '2024-01-02T03:04:05.000Z'],
  ['milliseconds', '2024-01-02T03:04:05.678Z'],
  ['before 1970', '1969-12-31T23:59:59.500Z'],
].map(([name, time]) => {
  const { encoding, data } = encodePayload(new Date(time));
  return { name, encoding, hex: hex(data), time };
});

const offer = JSON.parse(await readFile(join(root, 'test/protocol/samples/data-offer.json'), 'utf8'));
const offerBytes = encodeMsgpack(offer);
const words = encodeMsgpack('to be or not to be, that is the question: '.repeat(8));
const compression = [
  { name: 'no dictionary', encoding: 0x11, hex: hex(deflateSync(words)), inflated: hex(words) },
  {
    name: 'an SDP offer with dictionary 1',
    encoding: 0x31,
    hex: hex(deflateSync(offerBytes, { dictionary: SDP_DICTIONARY })),
    inflated: hex(offerBytes),
  },
];

const good = deflateSync(words);
const changed = Uint8Array.from(good, (byte, at) => (at === good.length - 1 ? byte ^ 1 : byte));
const invalidCompression = [
  { name: 'no bytes', encoding: 0x11, hex: '' },
  { name: 'cut short', encoding: 0x11, hex: hex(good.subarray(0, good.length - 1)) },
  { name: 'a byte after the stream', encoding: 0x11, hex: hex(good) + '00' },
  { name: 'two streams', encoding: 0x11, hex: hex(good) + hex(good) },
  { name: 'a wrong checksum', encoding: 0x11, hex: hex(changed) },
  { name: 'gzip', encoding: 0x11, hex: hex(bytes('1f8b0800000000000003cb48040086a6103602000000')) },
  { name: 'a dictionary that the encoding does not name', encoding: 0x11, hex: compression[1].hex },
  {
    name: 'a byte more than may come out',
    encoding: 0x11,
    hex: hex(deflateSync(new Uint8Array(INFLATED_LIMIT_BYTES + 1), { level: 9 })),
  },
];

const shown = [
  ['JSON stays the text that it was', { encoding: 2, data: text('{"big": 12345678901234567890}') }],
  [
    'MessagePack that JSON can carry becomes JSON',
    { encoding: 1, data: encodeMsgpack({ a: [1, 'b', null] }) },
  ],
  ['MessagePack with bytes inside does not', { encoding: 1, data: encodeMsgpack({ a: bytes('01 02') }) }],
  ['bytes', raw],
  ['no data', nothing],
  ['bytes that only say that they are JSON', { encoding: 2, data: text('{broken') }],
  ['a codec of the application', { encoding: 9, data: bytes('01 02 03') }],
  ['an application codec, deflated', { encoding: 0x19, data: deflateSync(words) }],
  ['JSON, deflated', { encoding: 0x12, data: deflateSync(text('{"big": 12345678901234567890}')) }],
  [
    'MessagePack, deflated with dictionary 1',
    { encoding: 0x31, data: deflateSync(encodeMsgpack({ type: 'answer' }), { dictionary: SDP_DICTIONARY }) },
  ],
  ['JSON that only says that it is deflated', { encoding: 0x12, data: text('{}') }],
].map(([name, payload]) => {
  const frame = { type: 'response', ref: 1, payload };
  return {
    name,
    encoding: payload.encoding,
    hex: hex(payload.data),
    json: jsonCodec.encodeGateway(frame).slice('[23,1,'.length, -1),
  };
});

const fromClient = (name, msgpack, jsonText, code, ref = 0) => ({
  name,
  from: 'client',
  ...(msgpack === null ? {} : { msgpack: msgpack.replaceAll(' ', '') }),
  ...(jsonText === null ? {} : { json: jsonText }),
  code,
  ref,
});
const invalid = [
  fromClient('nothing', '', '', 'bad_frame'),
  fromClient('not an array', '80', '{}', 'bad_frame'),
  fromClient('an empty array', '90', '[]', 'bad_frame'),
  fromClient('no type number first', '91 a3 666f6f', '["foo"]', 'bad_frame'),
  fromClient('a negative type number', '91 ff', '[-1]', 'bad_frame'),
  fromClient('a float as type number', '91 ca 40400000', '[3.5]', 'bad_frame'),
  fromClient('cut short', '93 20 08 a5 6c6f62', '[32,8,"lob', 'bad_frame'),
  fromClient('a byte after the frame', '91 03 c0', '[3]x', 'bad_frame'),
  fromClient('an array that claims 4 billion elements', 'dd ffffffff 03', null, 'bad_frame'),
  fromClient('bytes that claim 4 GB', '93 20 08 c6 ffffffff', null, 'bad_frame'),
  fromClient('0xc1', '91 c1', null, 'bad_frame'),
  fromClient('a string that is not UTF-8', '93 20 08 a2 c328', null, 'bad_frame'),
  fromClient(
    'a map with the key __proto__ in options',
    '96 12 04 81 a9 5f5f70726f746f5f5f 80 a4 6e657773 00 c400',
    null,
    'bad_frame',
  ),
  fromClient('nested too deep', '95 12 04 81 a1 78 91919191919191919191 c0 c0 c0', null, 'bad_frame'),
  fromClient('an unknown ext type', '92 03 d4 05 00', null, 'bad_frame'),
  fromClient('an unknown type', '92 7f 07', '[127,7]', 'unknown_type', 7),
  fromClient("a gateway's frame from a client", '94 06 01 a1 78 a0', '[6,1,"x",""]', 'unknown_type', 1),
  fromClient('join without a room', '92 20 08', '[32,8]', 'bad_parameter', 8),
  fromClient(
    'join with a bin where a str belongs',
    '93 20 08 c405 6c6f626279',
    '[32,8,["lobby"]]',
    'bad_parameter',
    8,
  ),
  fromClient(
    'join with a float as ref',
    '93 20 cb 4020000000000000 a5 6c6f626279',
    '[32,8.5,"lobby"]',
    'bad_parameter',
  ),
  fromClient('join with ref 0', '93 20 00 a5 6c6f626279', '[32,0,"lobby"]', 'bad_parameter'),
  fromClient(
    'join with a ref beyond 32 bits',
    '93 20 cf 0000000100000000 a5 6c6f626279',
    '[32,4294967296,"lobby"]',
    'bad_parameter',
  ),
  fromClient('join with a space in the name', '93 20 08 a3 612062', '[32,8,"a b"]', 'bad_parameter', 8),
  fromClient('join with an empty name', '93 20 08 a0', '[32,8,""]', 'bad_parameter', 8),
  fromClient(
    'members with limit 0',
    '95 30 0c a5 6c6f626279 c0 00',
    '[48,12,"lobby",null,0]',
    'bad_parameter',
    12,
  ),
  fromClient(
    'members with limit 1001',
    '95 30 0c a5 6c6f626279 c0 cd03e9',
    '[48,12,"lobby",null,1001]',
    'bad_parameter',
    12,
  ),
  fromClient(
    'send with a negative seq',
    '98 10 01 ff 80 a3 626f62 a1 65 00 c400',
    '[16,1,-1,{},"bob","e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with seq 2^53',
    '98 10 01 cf 0020000000000000 80 a3 626f62 a1 65 00 c400',
    '[16,1,9007199254740992,{},"bob","e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send to an empty list',
    '98 10 01 c0 80 90 a1 65 00 c400',
    '[16,1,null,{},[],"e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with a number to a list',
    '98 10 01 01 80 91 a3 626f62 a1 65 00 c400',
    '[16,1,1,{},["bob"],"e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send without options',
    '98 10 01 c0 c0 a3 626f62 a1 65 00 c400',
    '[16,1,null,null,"bob","e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with a str as payload',
    '98 10 01 c0 80 a3 626f62 a1 65 03 a2 6869',
    '[16,1,null,{},"bob","e","bytes","hi"]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with an encoding beyond a byte',
    '98 10 01 c0 80 a3 626f62 a1 65 cd0100 c400',
    '[16,1,null,{},"bob","e","brotli",""]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with a dictionary but not deflated',
    '98 10 01 c0 80 a3 626f62 a1 65 21 c400',
    '[16,1,null,{},"bob","e","msgpack/1",""]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with an unknown dictionary',
    '98 10 01 c0 80 a3 626f62 a1 65 51 c400',
    '[16,1,null,{},"bob","e","msgpack+deflate/2",""]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with the none codec and bytes',
    '98 10 01 c0 80 a3 626f62 a1 65 00 c401 00',
    '[16,1,null,{},"bob","e","none",0]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'request to a list',
    '98 13 05 cd1388 80 91 a3 626f62 a3 616464 00 c400',
    '[19,5,5000,{},["bob"],"add","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'request with a time-out of 0',
    '98 13 05 00 80 a3 626f62 a3 616464 00 c400',
    '[19,5,0,{},"bob","add","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'reject with a code that ends connections',
    '94 16 a2 6831 a6 6b69636b6564 a0',
    '[22,"h1","kicked",""]',
    'bad_parameter',
  ),
  fromClient(
    'call of a service with a tilde in its name',
    '97 50 05 cd1388 80 a3 617e62 00 c400',
    '[80,5,5000,{},"a~b","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'holdPair with a client for a session',
    '94 55 05 b6 4162436445664768496a4b6c4d6e4f70517253745576 a3 626f62',
    '[85,5,"AbCdEfGhIjKlMnOpQrStUv","bob"]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'call that is idempotent by 1',
    '97 50 05 cd1388 81 aa 6964656d706f74656e74 01 a1 61 00 c400',
    '[80,5,5000,{"idempotent":1},"a","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'standingOffer with an id that is no name',
    '96 62 05 a3 612062 a1 65 00 c400',
    '[98,5,"a b","e","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient(
    'send that is kept and asks for a standing offer',
    '98 10 05 c0 81 a8 7374616e64696e67 a1 61 a3 626f62 a1 65 00 c400',
    '[16,5,null,{"standing":"a"},"bob","e","none",null]',
    'bad_parameter',
    5,
  ),
  fromClient('receipt for number 0', '93 18 a3 626f62 00', '[24,"bob",0]', 'bad_parameter'),
  fromClient('ack without an id', '92 1a c0', '[26,null]', 'bad_parameter'),
  fromClient(
    'join with more history than there may be',
    '94 20 08 a1 61 cd03e9',
    '[32,8,"a",1001]',
    'bad_parameter',
    8,
  ),
  fromClient(
    'send that wants a receipt, without a number',
    '98 10 01 c0 81 a9 64656c697665726564 c3 a3 626f62 a1 65 00 c400',
    '[16,1,null,{"delivered":true},"bob","e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'send with first 0',
    '98 10 01 01 81 a5 6669727374 00 a3 626f62 a1 65 00 c400',
    '[16,1,1,{"first":0},"bob","e","none",null]',
    'bad_parameter',
    1,
  ),
  fromClient(
    'hello with a cursor that is none',
    '95 00 01 c0 93 b6 4162436445664768496a4b6c4d6e4f70517253745576 a1 6b 91 a1 61 c0',
    '[0,1,null,["AbCdEfGhIjKlMnOpQrStUv","k",["a"]],null]',
    'bad_parameter',
  ),
  fromClient('watch with 1 for true', '94 34 11 a5 6c6f626279 01', '[52,17,"lobby",1]', 'bad_parameter', 17),
];

const file = join(root, 'docs/protocol-vectors.json');
const vectors = {
  about:
    'Test vectors of the signalbox protocol, version 1. See docs/protocol.md, "Test vectors". Written by scripts/make-vectors.mjs.',
  version: protocol.PROTOCOL_VERSION,
  dictionaries: {
    1: {
      sha256: createHash('sha256').update(SDP_DICTIONARY).digest('hex'),
      base64: Buffer.from(SDP_DICTIONARY).toString('base64'),
    },
  },
  frames,
  alsoValid,
  payloads,
  timestamps,
  compression,
  invalidCompression,
  shownToJsonClients: shown,
  invalid,
};
const options = (await prettier.resolveConfig(file)) ?? {};
await writeFile(file, await prettier.format(JSON.stringify(vectors), { ...options, parser: 'json' }));
