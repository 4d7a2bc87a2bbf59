// What a client offers in the handshake, and what the gateway makes of it.
import { describe, expect, test } from '@jest/globals';
import { chooseSubprotocol, offerSubprotocols } from '../../src/protocol/subprotocol.js';

const MSGPACK = 'signalbox.v1.msgpack';
const JSON_NAME = 'signalbox.v1.json';

describe('chooseSubprotocol', () => {
  test.each<[string[], object]>([
    [[MSGPACK], { status: 'chosen', name: MSGPACK, token: null }],
    [[JSON_NAME, 'bearer.a.b.c'], { status: 'chosen', name: JSON_NAME, token: 'a.b.c' }],
    [['bearer.a.b.c', JSON_NAME, MSGPACK], { status: 'chosen', name: JSON_NAME, token: 'a.b.c' }],
    [['signalbox.v9.msgpack', MSGPACK], { status: 'chosen', name: MSGPACK, token: null }],
    [[MSGPACK, 'bearer.'], { status: 'chosen', name: MSGPACK, token: null }],
    [[MSGPACK, 'bearer.first', 'bearer.second'], { status: 'chosen', name: MSGPACK, token: 'first' }],
    [['signalbox.v9.msgpack'], { status: 'unsupported' }],
    [['signalbox.v1.xml', 'bearer.a'], { status: 'unsupported' }],
    [['Signalbox.v1.json'], { status: 'none' }],
    [['chat', 'bearer.a'], { status: 'none' }],
    [[], { status: 'none' }],
  ])('of %j is %j', (offered, choice) => {
    expect(chooseSubprotocol(offered)).toEqual(choice);
  });
});

test('offerSubprotocols offers what chooseSubprotocol understands', () => {
  expect(offerSubprotocols('json', 'a.b.c')).toEqual([JSON_NAME, 'bearer.a.b.c']);
  expect(chooseSubprotocol(offerSubprotocols('msgpack', null))).toEqual({
    status: 'chosen',
    name: MSGPACK,
    token: null,
  });
});
