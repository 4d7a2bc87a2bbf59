// What a client offers in the handshake, and what the gateway makes of it.
import { describe, expect, test } from '@jest/globals';
import { chooseSubprotocol, offerSubprotocols } from '../../src/protocol/subprotocol.js';

const MSGPACK = 'signalbox.v1.msgpack';
const JSON_NAME = 'signalbox.v1.json';
const HELLO = 'signalbox.v1.hello';
const CHOSEN = { status: 'chosen', name: MSGPACK, token: null };

describe('chooseSubprotocol', () => {
  const none = new Uint8Array();
  test.each<[string[], object]>([
    [[MSGPACK], { status: 'chosen', name: MSGPACK, token: null }],
    [[JSON_NAME, 'bearer.a.b.c'], { status: 'chosen', name: JSON_NAME, token: 'a.b.c' }],
    [['bearer.a.b.c', JSON_NAME, MSGPACK], { status: 'chosen', name: JSON_NAME, token: 'a.b.c' }],
    [['signalbox.v9.msgpack', MSGPACK], { status: 'chosen', name: MSGPACK, token: null }],
    [[MSGPACK, 'bearer.'], { status: 'chosen', name: MSGPACK, token: null }],
    [[MSGPACK, 'bearer.first', 'bearer.second'], { status: 'chosen', name: MSGPACK, token: 'first' }],
    [[MSGPACK, HELLO, 'hello.0.17.255'], { ...CHOSEN, hello: Uint8Array.of(0, 17, 255) }],
    [['hello.007', HELLO, MSGPACK], { ...CHOSEN, hello: Uint8Array.of(7) }],
    [[MSGPACK, HELLO, 'hello.'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO], { ...CHOSEN, hello: none }],
    [[MSGPACK, 'hello.1'], CHOSEN],
    [[HELLO, 'hello.1'], { status: 'unsupported' }],
    [[MSGPACK, HELLO, 'hello.256'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO, 'hello.1..2'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO, 'hello.1.'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO, 'hello.-1'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO, 'hello.1e1'], { ...CHOSEN, hello: none }],
    [[MSGPACK, HELLO, `hello.1${'.1'.repeat(5000)}`], { ...CHOSEN, hello: none }],
    [['signalbox.v9.msgpack'], { status: 'unsupported' }],
    [['signalbox.v1.xml', 'bearer.a'], { status: 'unsupported' }],
    [['Signalbox.v1.json'], { status: 'none' }],
    [['chat', 'bearer.a'], { status: 'none' }],
    [[], { status: 'none' }],
  ])('of %j is %j', (offered, choice) => {
    const hello = 'name' in choice ? { hello: null } : {};
    expect(chooseSubprotocol(offered)).toEqual({ ...hello, ...choice });
  });
});

test('offerSubprotocols offers what chooseSubprotocol understands', () => {
  expect(offerSubprotocols('json', 'a.b.c')).toEqual([JSON_NAME, 'bearer.a.b.c']);
  expect(chooseSubprotocol(offerSubprotocols('msgpack', null))).toEqual({
    status: 'chosen',
    name: MSGPACK,
    token: null,
    hello: null,
  });
});

test('offerSubprotocols offers the bytes of a hello, in characters that a subprotocol may have, unless there are too many', () => {
  const hello = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const offered = offerSubprotocols('msgpack', 'a.b.c', hello);
  expect(offered[2]).toBe(HELLO);
  expect(offered[3]).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
  expect(chooseSubprotocol(offered)).toMatchObject({ token: 'a.b.c', hello });
  expect(offerSubprotocols('msgpack', 'a.b.c', new Uint8Array(600))).toHaveLength(2);
});
