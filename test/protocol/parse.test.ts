// What the fields of a frame may be: each wrong one is refused with the ref of its call, whatever the codec.
import { describe, expect, test } from '@jest/globals';
import { CODES } from '../../src/protocol/codes.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { TYPES } from '../../src/protocol/frame.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { encodeMsgpack } from '../../src/protocol/msgpack-values.js';

const jsonCodec = createJsonCodec();
const none = new Uint8Array();
const SESSION = 'AbCdEfGhIjKlMnOpQrStUv';
const T = TYPES;

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof ProtocolError) return [error.code, error.ref];
    throw error;
  }
}

/** A client's frame through both codecs, `payload` standing for an empty one; both must come to the same. */
function decoded(elements: unknown[]): unknown {
  const binary = elements.flatMap((element) => (element === payload ? [0, none] : [element]));
  const textual = elements.flatMap((element) => (element === payload ? ['none', null] : [element]));
  const one = outcome(() => msgpackCodec.decodeClient(encodeMsgpack(binary)));
  const other = outcome(() => jsonCodec.decodeClient(JSON.stringify(textual)));
  expect(other).toEqual(one);
  return one;
}
const payload = Symbol('payload');
const many = (count: number) => Array.from({ length: count }, (_, at) => `c${at}`);

describe('a client frame', () => {
  test.each<[string, unknown[]]>([
    ['an empty room', [T.join, 9, '']],
    ['a room of 129 characters', [T.join, 9, 'x'.repeat(129)]],
    ['a room with a space', [T.join, 9, 'a b']],
    ['a room with a pattern', [T.join, 9, 'a*']],
    ['a room with a hash tag', [T.join, 9, '{a}']],
    ['a room with a newline at its end', [T.join, 9, 'a\n']],
    ['a room with a zero-width character', [T.join, 9, 'a\u200bb']],
    ['a room written from right to left', [T.join, 9, '\u202eabc']],
    ['a room that is a number', [T.join, 9, 5]],
    ['a room that is a list', [T.join, 9, ['a']]],
    ['no room', [T.join, 9]],
    ['nil as room', [T.leave, 9, null]],
    ['an event with a space', [T.send, 9, null, {}, 'bob', 'a b', payload]],
    ['no target', [T.send, 9, null, {}, null, 'e', payload]],
    ['a target with an unknown session form', [T.send, 9, null, {}, 'bob#1', 'e', payload]],
    ['a target with two #', [T.send, 9, null, {}, `bob#${SESSION}#`, 'e', payload]],
    ['a list with one wrong target', [T.send, 9, null, {}, ['bob', ''], 'e', payload]],
    ['an empty list of targets', [T.send, 9, null, {}, [], 'e', payload]],
    ['a number for a list of targets', [T.send, 9, 1, {}, ['bob', 'carol'], 'e', payload]],
    ['a number for a list of one target', [T.send, 9, 1, {}, ['bob'], 'e', payload]],
    ['257 targets', [T.send, 9, null, {}, many(257), 'e', payload]],
    ['a list within a list', [T.send, 9, null, {}, [['bob']], 'e', payload]],
    ['a list as target of a request', [T.request, 9, 100, {}, ['bob'], 'e', payload]],
    ['a negative seq', [T.send, 9, -1, {}, 'bob', 'e', payload]],
    ['a seq that is no integer', [T.send, 9, 1.5, {}, 'bob', 'e', payload]],
    ['a seq of 2^53', [T.send, 9, 2 ** 53, {}, 'bob', 'e', payload]],
    ['a seq that is a string', [T.publish, 9, '1', {}, 'lobby', 'e', payload]],
    ['options that are a list', [T.send, 9, null, [], 'bob', 'e', payload]],
    ['options that are nil', [T.send, 9, null, null, 'bob', 'e', payload]],
    ['options that are a string', [T.broadcast, 9, 'x', 'e', payload]],
    ['a trace of 65 characters', [T.send, 9, null, { trace: 'x'.repeat(65) }, 'bob', 'e', payload]],
    ['an empty trace', [T.send, 9, null, { trace: '' }, 'bob', 'e', payload]],
    ['a trace that is nil', [T.send, 9, null, { trace: null }, 'bob', 'e', payload]],
    ['a name as except', [T.publish, 9, null, { except: 'carol' }, 'lobby', 'e', payload]],
    ['257 clients in except', [T.publish, 9, null, { except: many(257) }, 'lobby', 'e', payload]],
    ['1 for self', [T.publish, 9, null, { self: 1 }, 'lobby', 'e', payload]],
    ['a first of 0', [T.send, 9, 1, { first: 0 }, 'bob', 'e', payload]],
    ['1 for delivered', [T.send, 9, 1, { delivered: 1 }, 'bob', 'e', payload]],
    ['delivered without a number', [T.send, 9, null, { delivered: true }, 'bob', 'e', payload]],
    ['delivered and volatile', [T.send, 9, 0, { delivered: true }, 'bob', 'e', payload]],
    ['a time to live of 0', [T.send, 9, 1, { ttlMs: 0 }, 'bob', 'e', payload]],
    ['a time to live of more than a day', [T.send, 9, 1, { ttlMs: 86_400_001 }, 'bob', 'e', payload]],
    ['a time to live and volatile', [T.send, 9, 0, { ttlMs: 1 }, 'bob', 'e', payload]],
    ['an unknown word for offline', [T.send, 9, 1, { offline: 'drop' }, 'bob', 'e', payload]],
    ['more history than there may be', [T.join, 9, 'lobby', 1001]],
    ['an empty id to begin after', [T.join, 9, 'lobby', '']],
    ['a time-out of 0', [T.request, 9, 0, {}, 'bob', 'e', payload]],
    ['a time-out beyond its limit', [T.request, 9, 120_001, {}, 'bob', 'e', payload]],
    ['a time-out that is nil', [T.request, 9, null, {}, 'bob', 'e', payload]],
    ['no payload', [T.send, 9, null, {}, 'bob', 'e']],
    ['half a payload', [T.broadcast, 9, {}, 'e', 0]],
    ['a limit of 0', [T.members, 9, 'lobby', null, 0]],
    ['a limit of 1001', [T.clients, 9, '', null, 1001]],
    ['a cursor that is a number', [T.members, 9, 'lobby', 1, 10]],
    ['a cursor of 1025 characters', [T.members, 9, 'lobby', 'x'.repeat(1025), 10]],
    ['a prefix with a pattern', [T.clients, 9, 'a*', null, 10]],
    ['a prefix that is nil', [T.clients, 9, null, null, 10]],
    ['an address as client', [T.online, 9, `bob#${SESSION}`]],
    ['a string for a boolean', [T.watch, 9, 'lobby', 'true']],
    ['a token beyond 4 KiB', [T.token, 9, 'x'.repeat(4097)]],
    ['a token that is nil', [T.token, 9, null]],
  ])('is refused with its ref when it has %s', (_, elements) => {
    expect(decoded(elements)).toEqual(['bad_parameter', 9]);
  });

  test.each<[string, unknown[]]>([
    ['a ref of 0 where an answer must come', [T.join, 0, 'lobby']],
    ['a ref of 0 for a request', [T.request, 0, 100, {}, 'bob', 'e', payload]],
    ['a negative ref', [T.join, -1, 'lobby']],
    ['a ref of 2^32', [T.join, 2 ** 32, 'lobby']],
    ['a ref that is no integer', [T.join, 1.5, 'lobby']],
    ['a ref that is a string', [T.join, '1', 'lobby']],
    ['a ref that is nil', [T.leaveAll, null]],
    ['no ref', [T.leaveAll]],
    ['an empty handle', [T.reply, '', payload]],
    ['a handle that is a number', [T.reply, 1, payload]],
    ['a handle of 1025 characters', [T.reply, 'x'.repeat(1025), payload]],
    ['an unknown code', [T.reject, 'h', 'because', '']],
    ['a code that is inherited', [T.reject, 'h', 'constructor', '']],
    ['no text', [T.reject, 'h', 'rejected']],
    ['a text of 1025 characters', [T.reject, 'h', 'rejected', 'x'.repeat(1025)]],
    ['no version', [T.hello]],
    ['a negative version', [T.hello, -1]],
    ['a version that is a string', [T.hello, '1']],
    ['a token that is a number', [T.hello, 1, 5]],
    ['a token beyond 4 KiB', [T.hello, 1, 'x'.repeat(4097)]],
    ['a session to resume that has another form', [T.hello, 1, null, ['x', 'k'], null]],
    ['a session to resume without key', [T.hello, 1, null, [SESSION], null]],
    ['a session to resume with an empty key', [T.hello, 1, null, [SESSION, ''], null]],
    ['a session to resume that is a map', [T.hello, 1, null, { session: SESSION, key: 'k' }, null]],
    ['an agent that is a map', [T.hello, 1, null, null, {}]],
  ])('is refused without a ref when it has %s', (_, elements) => {
    expect(decoded(elements)).toEqual(['bad_parameter', 0]);
  });

  test.each<[string, unknown[], number]>([
    ['a number that nobody has', [127, 7], 7],
    ['a number beyond a byte', [2 ** 40, 7], 7],
    ["a gateway's number", [T.message, null, {}, 'bob', SESSION, 'e', payload], 0],
    ['an unknown number and a ref that is none', [126, 'x'], 0],
    ['an unknown number and a ref beyond 32 bits', [126, 2 ** 32], 0],
    ['an unknown number alone', [126], 0],
  ])('is of unknown type when it has %s', (_, elements, ref) => {
    expect(decoded(elements)).toEqual(['unknown_type', ref]);
  });

  test('keeps known options only, and only own ones', () => {
    const options = { trace: 't', later: 1, constructor: 2, then: 3, toString: 4 };
    expect(decoded([T.broadcast, 1, options, 'e', payload])).toMatchObject({ options: { trace: 't' } });
    const frame = jsonCodec.decodeClient('[18,1,{"__proto__":{"trace":"x","self":false}},"e","none",null]');
    expect(frame).toEqual({
      type: 'broadcast',
      ref: 1,
      options: {},
      event: 'e',
      payload: { encoding: 0, data: none },
    });
    expect(Reflect.get({}, 'trace')).toBeUndefined();
  });

  test('has the same options where something has polluted Object.prototype', () => {
    Object.defineProperty(Object.prototype, 'trace', { value: 'x', configurable: true });
    try {
      expect(decoded([T.broadcast, 1, {}, 'e', payload])).toMatchObject({ type: 'broadcast', options: {} });
    } finally {
      Reflect.deleteProperty(Object.prototype, 'trace');
    }
  });

  test('may have as many targets, and as long names, as the limits say', () => {
    expect(decoded([T.send, 1, 0, {}, many(256), 'e', payload])).toMatchObject({ to: many(256) });
    expect(decoded([T.join, 4294967295, 'x'.repeat(128)])).toMatchObject({ ref: 4294967295 });
    expect(decoded([T.token, 1, 'x'.repeat(4096)])).toMatchObject({ type: 'token' });
  });

  test('of another version is a hello whatever else it has', () => {
    const hello = { type: 'hello', version: 9, token: null, resume: null, agent: null };
    expect(decoded([T.hello, 9, { all: 'different' }])).toEqual(hello);
    expect(decoded([T.hello, 0])).toEqual({ ...hello, version: 0 });
  });

  test('rejects with the codes that refuse a call, and no others', () => {
    for (const [code, { close }] of Object.entries(CODES)) {
      const frame = { type: 'reject', handle: 'h', code, text: '' };
      expect(decoded([T.reject, 'h', code, ''])).toEqual(close === null ? frame : ['bad_parameter', 0]);
    }
  });
});

describe('a gateway frame', () => {
  const welcome = {
    server: '0.1.0',
    client: 'alice',
    session: SESSION,
    resumeKey: 'k',
    resumed: false,
    generation: 1,
    rooms: ['lobby'],
    inbox: 'e:1-x',
    kept: null,
    resumeWindowMs: 1,
    pingIntervalMs: 2,
    tokenExpiresInMs: 3,
    frameLimitBytes: 4,
    iceServers: [{ urls: 'stun:a' }, { urls: ['turn:b'], username: 'u', credential: 'c' }],
  };
  const decodeWelcome = (info: unknown) =>
    outcome(() => msgpackCodec.decodeGateway(encodeMsgpack([T.welcome, info])));

  test('welcomes with known fields only', () => {
    expect(decodeWelcome({ ...welcome, later: 1 })).toEqual({ type: 'welcome', info: welcome });
  });

  test.each<[string, object]>([
    ...Object.keys(welcome)
      .filter((name) => !['generation', 'inbox', 'kept'].includes(name))
      .map((name): [string, object] => [`no ${name}`, { [name]: undefined }]),
    ['a negative interval', { pingIntervalMs: -1 }],
    ['a generation that is no number', { generation: 'x' }],
    ['a room that is no name', { rooms: ['a b'] }],
    ['a client that is no name', { client: '' }],
    ['an ICE server without urls', { iceServers: [{ username: 'x' }] }],
    ['an ICE server that is a string', { iceServers: ['stun:a'] }],
    ['an ICE server whose credential is a number', { iceServers: [{ urls: 'x', credential: 5 }] }],
  ])('is refused when it welcomes with %s', (_, change) => {
    expect(decodeWelcome({ ...welcome, ...change })).toEqual(['bad_parameter', 0]);
  });

  test('with a code of a later version is an internal_error with its text', () => {
    expect(msgpackCodec.decodeGateway(encodeMsgpack([T.error, 3, 'brand_new', 'why']))).toEqual({
      type: 'error',
      ref: 3,
      code: 'internal_error',
      text: 'why',
      expected: null,
    });
  });

  test('welcomes without a generation, cursors and kept messages when it is of a version before them', () => {
    const { generation, inbox, kept, ...before } = welcome;
    expect([generation, inbox, kept]).toEqual([1, 'e:1-x', null]);
    expect(decodeWelcome(before)).toEqual({ type: 'welcome', info: { ...before, kept: null } });
  });

  test('with a result that has then or constructor is plain data', async () => {
    const frame = msgpackCodec.decodeGateway(encodeMsgpack([T.ok, 1, { then: 'x', constructor: 1 }]));
    expect(await Promise.resolve(frame)).toEqual({
      type: 'ok',
      ref: 1,
      result: { then: 'x', constructor: 1 },
    });
  });
});
