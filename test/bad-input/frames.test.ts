// Groups W and E of the catalogue of bad input: WebSocket frames and our frames that break the rules.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { codeOfClose } from '../../src/protocol/codes.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { CLIENT_FIELDS, TYPES } from '../../src/protocol/frame.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { clientFrame } from '../protocol/frame-arbitraries.js';
import { MSGPACK_PROTOCOL, OPCODE, RawWebSocket, closeFrame, wsFrame } from './raw-websocket.js';

const { text, binary, continuation, ping, pong } = OPCODE;
const PONG = '[3]';
const TAKEN = new Set<string | undefined>(Object.keys(CLIENT_FIELDS));
/** Numbers that no frame of clients has, in each block and at its ends. */
const RESERVED_TYPES = [74, 79, 95, 96, 98, 111, 113, 127, 128].filter(
  (number) => !TAKEN.has(Object.entries(TYPES).find(([, type]) => type === number)?.[0]),
);

let gateway: GatewayProcess;
let pids: number[];

beforeAll(async () => {
  gateway = await startGateway({
    HELLO_TIMEOUT_MS: '500',
    PING_INTERVAL_MS: '1000',
    PONG_TIMEOUT_MS: '1000',
    ROOMS_PER_SESSION_LIMIT: '5',
    REQUESTS_PENDING_LIMIT: '4',
    ERRORS_PER_MINUTE_LIMIT: '30',
    // What is proved here is never a crash; floods have a file of their own.
    MESSAGES_PER_SECOND_LIMIT: '0',
    HANDSHAKES_PER_SECOND_LIMIT: '0',
    LOG_LEVEL: 'trace',
  });
  pids = (await gateway.workers()).map(({ pid }) => pid);
});

afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  const code = await gateway.stop();
  if (code !== 0) console.log(gateway.output().slice(-5000));
  expect(code).toBe(0);
});

const enter = (sub = 'alice', perm: unknown = '*'): Promise<RawWebSocket> =>
  RawWebSocket.enter(gateway.port, tokenOf(sub, perm));

/** How the gateway ends a welcomed connection that sends this. */
async function endingAfter(...bytes: Uint8Array[]): Promise<number> {
  const client = await enter();
  client.write(...bytes);
  return (await client.ended).code;
}

describe('a WebSocket frame', () => {
  const wrong: [string, Buffer[], number][] = [
    ['W1 is not masked', [wsFrame(text, PONG, { masked: false })], 1002],
    ['W2 has RSV1 without an extension', [wsFrame(text, PONG, { rsv: 4 })], 1002],
    ['W2 has RSV2', [wsFrame(text, PONG, { rsv: 2 })], 1002],
    ['W2 has RSV3', [wsFrame(text, PONG, { rsv: 1 })], 1002],
    [
      'W2 is a continuation with RSV1',
      [wsFrame(text, '[', { fin: false }), wsFrame(continuation, '3]', { rsv: 4 })],
      1002,
    ],
    ['W2 is a ping with RSV1', [wsFrame(ping, '', { rsv: 4 })], 1002],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer[], number] => [
      `W3 has the opcode ${String(opcode)}`,
      [wsFrame(opcode, '')],
      1002,
    ]),
    ['W4 continues nothing', [wsFrame(continuation, PONG)], 1002],
    ['W4 begins inside of another message', [wsFrame(text, '[', { fin: false }), wsFrame(text, PONG)], 1002],
    ['W5 is a part of a ping', [wsFrame(ping, 'a', { fin: false })], 1002],
    ['W5 is a ping of 126 bytes', [wsFrame(ping, 'a'.repeat(126))], 1002],
    ['W6 is a close of one byte', [wsFrame(OPCODE.close, 'a')], 1002],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, Buffer[], number] => [
      `W6 is a close with ${String(code)}`,
      [closeFrame(code)],
      1002,
    ]),
    ['W7 is a close whose reason is not UTF-8', [closeFrame(1000, Buffer.from([0xff]))], 1007],
    ['W8 is a close with 1000', [closeFrame(1000)], 1000],
    ['W8 is a close with nothing', [closeFrame(null)], 1005],
    ['W8 is a close with 4000', [closeFrame(4000)], 4000],
    ['W9 is text that is not UTF-8', [wsFrame(text, Buffer.from([0x5b, 0xff, 0x5d]))], 1007],
    ['W10 is binary on the text subprotocol', [wsFrame(binary, Buffer.from([0x91, 3]))], 1003],
    [
      'W13 is one of 300 fragments, empty ones counted',
      [
        wsFrame(text, '[', { fin: false }),
        ...Array.from({ length: 300 }, () => wsFrame(continuation, '', { fin: false })),
      ],
      1008,
    ],
    ['is larger than the limit', [wsFrame(text, `[3,"${'a'.repeat(300_000)}"]`)], 1009],
    [
      'says it is larger than a number can be',
      [Buffer.concat([Buffer.from([0x81, 0xff]), Buffer.alloc(8, 0xff), Buffer.alloc(4)])],
      1009,
    ],
    ['W22 is an empty message', [wsFrame(text, '')], 4500],
  ];
  test.each(wrong)('ends the connection when it %s', async (_name, frames, code) => {
    expect(await endingAfter(...frames)).toBe(code);
  });

  test('W10 ends the connection with 1003 when it is text on the binary subprotocol', async () => {
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': MSGPACK_PROTOCOL });
    client.say([0, 1, null, null, null]);
    expect((await client.ended).code).toBe(1003);
  });

  test('W22 ends the connection with 4500 when it is an empty binary message', async () => {
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': MSGPACK_PROTOCOL });
    client.write(wsFrame(binary, ''));
    expect((await client.ended).code).toBe(4500);
  });

  test('W9 is understood when a code point is split over fragments', async () => {
    const client = await enter();
    const bytes = Buffer.from('[19,1,1000,{},"nobody","e","json","€"]');
    const middle = bytes.indexOf(Buffer.from('€')) + 1;
    client.write(
      wsFrame(text, bytes.subarray(0, middle), { fin: false }),
      wsFrame(continuation, bytes.subarray(middle)),
    );
    expect((await client.answerTo(1)).slice(0, 3)).toEqual([6, 1, 'not_found']);
    await client.destroy();
  });

  // W12: RFC 6455 §5.2 wants the shortest form; ws takes the others, and so does every browser: nothing depends on it.
  test.each([2, 8] as const)(
    'W12 is understood when its length takes %d bytes for no reason',
    async (lengthBytes) => {
      const client = await enter();
      client.write(wsFrame(text, '[49,7,"lobby"]', { lengthBytes }));
      expect(await client.answerTo(7)).toEqual([5, 7, 0]);
      await client.destroy();
    },
  );

  // W14: a message that never ends keeps its client from answering pings, which are messages of ours: 4013 comes
  // sooner than a deadline for the assembly would, and what is held is at most one frame of the limit.
  test('W14 ends the connection with 4013 when its message never ends', async () => {
    const client = await enter();
    client.write(wsFrame(text, '[', { fin: false }));
    const timer = setInterval(() => client.write(wsFrame(continuation, ' ', { fin: false })), 100);
    const { code } = await client.ended;
    clearInterval(timer);
    expect(code).toBe(4013);
  });

  test('W14 ends the connection with 4011 when its message never ends before hello', async () => {
    const client = await RawWebSocket.open(gateway.port);
    client.write(wsFrame(text, '[', { fin: false }));
    expect((await client.ended).code).toBe(4011);
  });

  test('W15 means the same when it is cut at any place', async () => {
    const client = await enter();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        async (sizes, ref) => {
          const bytes = Buffer.concat([
            wsFrame(text, PONG),
            wsFrame(text, JSON.stringify([49, ref, 'lobby'])),
          ]);
          client.socket.setNoDelay(true);
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length] ?? 1;
            client.write(bytes.subarray(at, at + size));
            at += size;
            await new Promise((resolve) => setImmediate(resolve));
          }
          expect(await client.answerTo(ref)).toEqual([5, ref, 0]);
        },
      ),
      { numRuns: 25 },
    );
    await client.destroy();
  });

  test('W17 is ignored when it is a pong that nobody asked for, and moves no deadline', async () => {
    const client = await RawWebSocket.open(gateway.port);
    const timer = setInterval(() => client.write(wsFrame(pong, 'what?'), wsFrame(ping, 'hi')), 50);
    const { code } = await client.ended;
    clearInterval(timer);
    expect(code).toBe(4011);
    expect(client.pongs).toContain('hi');
  });

  test('W18 is ignored when it comes after a close', async () => {
    expect(await endingAfter(closeFrame(1000), wsFrame(text, '"rubbish"'), wsFrame(3, ''))).toBe(1000);
  });

  test('W19 is not waited for when it would answer our close', async () => {
    const client = await enter();
    client.answersClose = false;
    client.say('not a frame');
    expect((await client.ended).code).toBe(4500);
  }, 20_000);

  test('W20 is lost, and its session waits, when a reset comes in the middle of a message', async () => {
    const client = await enter('reset');
    client.write(wsFrame(text, '[32,1,"lobby"]').subarray(0, 8));
    client.socket.resetAndDestroy();
    await until(async () => (await gateway.locate('reset'))[0]?.connected === false);
  });
});

describe('a frame of ours', () => {
  const wrong: [string, unknown][] = [
    ['is no array', { t: 'hello' }],
    ['is a number', 5],
    ['is null', null],
    ['is an empty array', []],
    ['begins with a text', ['hello']],
    ['begins with an array', [[0], 1]],
    ['begins with a fraction', [1.5]],
    ['begins with a negative number', [-1]],
    ['E2 is a second hello', [0, 1, null, null, null]],
  ];
  test.each(wrong)('ends the connection with 4500 when it %s', async (_name, frame) => {
    const client = await enter();
    client.say(frame);
    expect((await client.ended).code).toBe(4500);
  });

  test.each([['{'], ['[3'], ['[3]x'], ['\u0000'], ['['.repeat(100_000)]])(
    'ends the connection with 4500 when it is no JSON (%#)',
    async (bytes) => {
      expect(await endingAfter(wsFrame(text, bytes))).toBe(4500);
    },
  );

  test.each([[[3]], [[32, 1, 'lobby']], [[16, 1, 1, {}, 'bob', 'e', 'none', null]], [[999, 1]]])(
    'E2 ends the connection with 4500 when it comes before hello: %j',
    async (frame) => {
      const client = await RawWebSocket.open(gateway.port);
      client.say(frame);
      expect((await client.ended).code).toBe(4500);
    },
  );

  test.each([
    ['E1 has an unknown type', [999, 5], [6, 5, 'unknown_type']],
    ["E1 is a gateway's frame", [17, 5], [6, 5, 'unknown_type']],
    ['E1 has the type of an uplink', [112, 5], [6, 5, 'unknown_type']],
    ['E3 has a negative number', [16, 5, -1, {}, 'bob', 'e', 'none', null], [6, 5, 'bad_parameter']],
    ['E3 has the number 2^53', [16, 5, 2 ** 53, {}, 'bob', 'e', 'none', null], [6, 5, 'bad_parameter']],
    ['E3 has a fraction as number', [16, 5, 1.5, {}, 'bob', 'e', 'none', null], [6, 5, 'bad_parameter']],
    ['E4 goes to nobody', [16, 5, 1, {}, 'nobody', 'e', 'none', null], [6, 5, 'not_found']],
    [
      'E4 goes to a session that is not',
      [19, 5, 1000, {}, `alice#${'A'.repeat(22)}`, 'e', 'none', null],
      [6, 5, 'not_found'],
    ],
    // Whatever comes in the place of a frame that is yet to be is unknown.
    ...RESERVED_TYPES.map((type): [string, unknown, unknown[]] => [
      `E6, E16 has the reserved type ${String(type)}`,
      [type, 5, 'bob', { type: 'answer', sdp: 'v=0' }],
      [6, 5, 'unknown_type'],
    ]),
    ['E7 joins a room without a name', [32, 5, ''], [6, 5, 'bad_parameter']],
    ['E7 joins a room of 129 characters', [32, 5, 'a'.repeat(129)], [6, 5, 'bad_parameter']],
    ['E7 joins a room of 200,000 characters', [32, 5, 'a'.repeat(200_000)], [6, 5, 'bad_parameter']],
    ...['a\u0001', '*', 'a?', '[a]', '{a}', 'a b', 'a\n', '\u202eabc', 'a\u200bb', 'ä'].map(
      (room): [string, unknown, unknown[]] => [
        `E7 joins the room ${JSON.stringify(room)}`,
        [32, 5, room],
        [6, 5, 'bad_parameter'],
      ],
    ),
    // A name like any other: rooms are keys of maps and stores, never of objects.
    ['E7 joins the room __proto__', [32, 5, '__proto__'], [5, 5, { count: 1, position: null }]],
    ['E8 leaves a room that it is not in', [33, 5, 'lobby'], [5, 5, false]],
    ['E8 watches a room that it is not in', [52, 5, 'lobby', true], [6, 5, 'not_joined']],
    ['E13 waits a negative time', [19, 5, -1, {}, 'bob', 'e', 'none', null], [6, 5, 'bad_parameter']],
    ['E13 waits ten years', [19, 5, 315_360_000_000, {}, 'bob', 'e', 'none', null], [6, 5, 'bad_parameter']],
    ['has a ref that is no number', [32, 'five', 'lobby'], [6, 0, 'bad_parameter']],
    ['has nothing but its type', [32], [6, 0, 'bad_parameter']],
    [
      'has options with __proto__',
      [16, 5, 1, { ['__proto__']: { self: false } }, 'nobody', 'e', 'none', null],
      [6, 5, 'not_found'],
    ],
    ['refreshes with no token', [4, 5, 'rubbish'], [6, 5, 'invalid_token']],
  ] as [string, unknown, unknown[]][])(
    'is answered, and the connection stays, when it %s',
    async (_name, frame, answer) => {
      const client = await enter('tester');
      client.say(frame);
      // By its ref, and before the next call: answers come in any order.
      const first = await client.answerTo(Number(answer[1]));
      expect(first.slice(0, answer.length)).toEqual(answer);
      client.say([49, 77, 'other']);
      expect(await client.answerTo(77)).toEqual([5, 77, 0]);
      await client.destroy();
    },
  );

  test('is answered with 4500 when it is nested too deeply', async () => {
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': MSGPACK_PROTOCOL });
    client.write(wsFrame(binary, Buffer.concat([Buffer.alloc(100_000, 0x91), Buffer.from([0])])));
    expect((await client.ended).code).toBe(4500);
  });

  test('E3 is stored once when its number comes twice', async () => {
    const [alice, bob] = [await enter('e3-alice'), await enter('e3-bob')];
    const send = (ref: number, seq: number, data: string): unknown => [
      16,
      ref,
      seq,
      {},
      'e3-bob',
      'e',
      'json',
      data,
    ];
    alice.say(send(1, 1, 'first'));
    alice.say(send(2, 1, 'again'));
    expect((await alice.answerTo(1))[0]).toBe(5);
    expect((await alice.answerTo(2))[0]).toBe(5);
    alice.say(send(3, 9, 'skips'));
    expect((await alice.answerTo(3)).slice(0, 3)).toEqual([6, 3, 'out_of_order']);
    alice.say(send(4, 2, 'second'));
    expect((await alice.answerTo(4))[0]).toBe(5);
    const received: unknown[] = [];
    while (received.length < 2) {
      const frame = await bob.next();
      if (frame[0] === 17) received.push(frame.at(-1));
    }
    expect(received).toEqual(['first', 'second']);
    await Promise.all([alice.destroy(), bob.destroy()]);
  });

  test('E5 has the sender of its token, whatever else it says', async () => {
    const [alice, bob] = [await enter('e5-alice'), await enter('e5-bob')];
    alice.say([16, 1, 0, { from: 'admin', session: 'x' }, 'e5-bob', 'e', 'none', null, 'admin']);
    const message = await bob.next();
    expect(message[0]).toBe(17);
    expect(message[3]).toBe('e5-alice');
    expect(message[2]).toEqual({});
    await Promise.all([alice.destroy(), bob.destroy()]);
  });

  test.each([
    ['E6 an answer that no offer came before', 'rtc', { type: 'answer', sdp: 'v=0' }],
    ['E6 a candidate for nobody', 'rtc', { candidate: null }],
    ['E14 a session description of 100 KiB', 'rtc', { type: 'offer', sdp: `v=0\r\n${'a'.repeat(102_400)}` }],
    ['E14 a session description that is no string', 'rtc', { type: 'offer', sdp: [1, { 2: null }] }],
    ['E16 an event with the name of a plugin', 'sys.shutdown', { now: true }],
  ])('%s is a message like any other, for the application to judge', async (_name, event, data) => {
    const [alice, bob] = [await enter('opaque-alice'), await enter('opaque-bob')];
    alice.say([16, 1, 1, {}, 'opaque-bob', event, 'json', data]);
    const message = await bob.next();
    expect([message[0], message[3]]).toEqual([17, 'opaque-alice']);
    expect(message.slice(5)).toEqual([event, 'json', data]);
    expect((await alice.answerTo(1))[0]).toBe(5);
    // It holds addresses: no log at any level shows it.
    expect(gateway.output()).not.toContain('v=0');
    await Promise.all([alice.destroy(), bob.destroy()]);
  });

  test('E14 ends the connection with 1009 when its session description is larger than a frame', async () => {
    const sdp = 'a'.repeat(262_144);
    const frame = JSON.stringify([16, 1, 1, {}, 'bob', 'rtc', 'json', { type: 'offer', sdp }]);
    expect(await endingAfter(wsFrame(text, frame))).toBe(1009);
  });

  test('E8 joins again without harm, and no more rooms than the limit', async () => {
    const client = await enter('e8');
    for (let i = 1; i <= 5; i++) client.say([32, i, `e8-${String(i)}`]);
    client.say([32, 6, 'e8-5']);
    client.say([32, 7, 'e8-7']);
    expect(await client.answerTo(6)).toEqual([5, 6, { count: 1, position: null }]);
    expect((await client.answerTo(7)).slice(0, 3)).toEqual([6, 7, 'limit']);
    client.say([33, 8, 'e8-1']);
    client.say([32, 9, 'e8-7']);
    expect(await client.answerTo(9)).toEqual([5, 9, { count: 1, position: null }]);
    await client.destroy();
  });

  test('E9 is forbidden without permission, and too many of them end the connection with 4509', async () => {
    const client = await enter('e9', {});
    client.say([35, 1, 0, {}, 'lobby', 'e', 'none', null]);
    expect((await client.answerTo(1)).slice(0, 3)).toEqual([6, 1, 'forbidden']);
    for (let ref = 2; ref < 60; ref++) client.say([32, ref, 'lobby']);
    expect((await client.ended).code).toBe(4509);
  });

  test.each([
    ['E4 unknown and forbidden targets', [16, 5, 1, {}, 'TARGET', 'e', 'none', null]],
    ['E4 unknown and forbidden targets of a volatile message', [16, 5, 0, {}, 'TARGET', 'e', 'none', null]],
    ['E4 unknown and forbidden targets of a request', [19, 5, 1000, {}, 'TARGET', 'e', 'none', null]],
    ['unknown and forbidden clients of a question', [51, 5, 'TARGET']],
  ])('gets the same answer for %s', async (_name, frame) => {
    const hidden = await enter('hidden');
    const client = await enter('snoop', { send: ['unknown'], list: ['unknown'] });
    const answers = [];
    for (const target of ['unknown', 'hidden']) {
      client.say(frame.map((field) => (field === 'TARGET' ? target : field)));
      answers.push(await client.answerTo(5));
    }
    expect(answers[1]).toEqual(answers[0]);
    await Promise.all([hidden.destroy(), client.destroy()]);
  });

  test('E4 is counted when its target is not there, and a search through names ends with 4509', async () => {
    const before = await gateway.metric('refusals_total', { code: 'not_found' });
    const client = await enter('searcher');
    for (let i = 1; i <= 400; i++) client.say([16, i, 0, {}, `name-${String(i)}`, 'e', 'none', null]);
    expect((await client.ended).code).toBe(4509);
    expect(await gateway.metric('refusals_total', { code: 'not_found' })).toBeGreaterThanOrEqual(
      before + 300,
    );
  });

  test("E11 begins a new session when it resumes somebody else's, or with a wrong key", async () => {
    const victim = await RawWebSocket.open(gateway.port);
    victim.say([0, 1, tokenOf('victim'), null, null]);
    const { session, resumeKey } = (await victim.next())[1] as { session: string; resumeKey: string };
    const attempts: [string, [string, string]][] = [
      ['victim', [session, 'wrong']],
      ['thief', [session, resumeKey]],
      ['thief', ['A'.repeat(22), resumeKey]],
    ];
    const welcomes = [];
    for (const [sub, resume] of attempts) {
      const client = await RawWebSocket.open(gateway.port);
      client.say([0, 1, tokenOf(sub), resume, null]);
      const info = (await client.next())[1] as { session: string; resumed: boolean };
      expect(info.resumed).toBe(false);
      expect(info.session).not.toBe(session);
      welcomes.push(Object.keys(info));
      await client.destroy();
    }
    // A session of somebody else looks like one that never was.
    expect(welcomes[1]).toEqual(welcomes[2]);
    victim.say([49, 3, 'lobby']);
    expect(await victim.answerTo(3)).toEqual([5, 3, 0]);
    await victim.destroy();
  });

  test('E15 is refused with limit when too many requests wait', async () => {
    const [asker, silent] = [await enter('e15-asker'), await enter('e15-silent')];
    for (let ref = 1; ref <= 5; ref++) asker.say([19, ref, 60_000, {}, 'e15-silent', 'e', 'none', null]);
    expect((await asker.answerTo(5)).slice(0, 3)).toEqual([6, 5, 'limit']);
    await Promise.all([asker.destroy(), silent.destroy()]);
  });

  test('is ignored when it answers a request that was never made', async () => {
    const client = await enter('liar');
    client.say([21, 'rubbish', 'none', null]);
    client.say([22, 'rubbish', 'rejected', 'no']);
    client.say([49, 7, 'lobby']);
    expect(await client.answerTo(7)).toEqual([5, 7, 0]);
    await client.destroy();
  });
});

/** A frame with some bytes changed, put in or left out. */
function mutated(frame: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
    kind: fc.constantFrom('set', 'insert', 'cut'),
  });
  return fc.tuple(frame, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([bytes, edits]) => {
    let out = [...bytes];
    for (const { at, byte, kind } of edits) {
      const index = at % (out.length + 1);
      if (kind === 'set') out[index] = byte;
      else if (kind === 'insert') out.splice(index, 0, byte);
      else out = out.slice(0, index);
    }
    return Uint8Array.from(out);
  });
}

describe('fuzzing', () => {
  test.each([
    ['MessagePack', MSGPACK_PROTOCOL, msgpackCodec],
    ['JSON', 'signalbox.v1.json', createJsonCodec()],
  ] as const)(
    'ends in a code of the table, and harms nobody else, when frames of %s are mutated',
    async (_name, protocol, codec) => {
      const { log } = { log: [] as unknown[] };
      const honest = await enter('honest');
      let lastPing = 0;
      const bytesOf = clientFrame.map((frame) => Buffer.from(codec.encodeClient(frame)));
      await fc.assert(
        fc.asyncProperty(fc.array(mutated(bytesOf), { minLength: 20, maxLength: 40 }), async (frames) => {
          const client = await RawWebSocket.open(gateway.port, {
            'Sec-WebSocket-Protocol': `${protocol}, bearer.${tokenOf('fuzzer')}`,
          });
          const opcode = codec.binary ? binary : text;
          client.write(
            wsFrame(
              opcode,
              Buffer.from(
                codec.encodeClient({ type: 'hello', version: 1, token: null, resume: null, agent: null }),
              ),
            ),
          );
          for (const frame of frames) client.write(wsFrame(opcode, frame));
          client.write(closeFrame(1000));
          const { code } = await client.ended;
          log.push(code);
          expect(codeOfClose(code)).not.toBeNull();
          for (const message of client.messages)
            codec.decodeGateway(codec.binary ? message : message.toString());
          honest.say([49, ++lastPing, 'lobby']);
          expect((await honest.answerTo(lastPing))[0]).toBe(5);
          honest.say([3]);
        }),
        { numRuns: 40 },
      );
      expect(log.length).toBeGreaterThanOrEqual(40);
      await honest.destroy();
      expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
    },
    60_000,
  );

  test('never takes a worker down when the bytes on the socket are no frames at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const client = await enter('noise');
        client.write(bytes);
        client.socket.end();
        const { code } = await client.ended;
        expect(code === 1005 || codeOfClose(code) !== null).toBe(true);
      }),
      { numRuns: 40 },
    );
    expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  });
});
