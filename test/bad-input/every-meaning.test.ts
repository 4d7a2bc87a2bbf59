// Group E of the catalogue of bad input: frames that can be read and mean harm or nothing, on every transport alike.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freePort } from '../free-port.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { answerTo, type Raw, TRANSPORTS } from './raw-transports.js';

const REQUESTS = 4;
const STREAMS = 100;
const UNLIMITED = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);
/** Type numbers of docs/protocol.md. */
const [MESSAGE, OPEN, OFFER, ATTACH, ATTACHED, CHUNK, WAS_CUT] = [17, 64, 65, 66, 67, 68, 73];
const ID = 'StReAmStReAmStReAmStRe';
const CHUNK_BYTES = 32 * 1024;

let gateway: GatewayProcess;
/** What one client's messages become is counted there, and hardly anything allowed. */
let thrifty: GatewayProcess;
let pids: number[];
const ports = new Map<GatewayProcess, { http: number; tcp: number }>();

async function start(env: Record<string, string>): Promise<GatewayProcess> {
  const tcp = await freePort();
  const started = await startGateway({
    ...UNLIMITED,
    HANDSHAKES_PER_SECOND_LIMIT: '0',
    TCP_PORT: String(tcp),
    ...env,
  });
  ports.set(started, { http: started.port, tcp });
  return started;
}

beforeAll(async () => {
  [gateway, thrifty] = await Promise.all([
    start({
      REQUESTS_PENDING_LIMIT: String(REQUESTS),
      STREAMS_PER_SESSION_LIMIT: String(STREAMS),
      ERRORS_PER_MINUTE_LIMIT: '30',
      HTTP_SILENCE_LIMIT_MS: '500',
      LOG_LEVEL: 'trace',
    }),
    start({ WORKERS: '1', FAN_OUT_BYTES_PER_SECOND_LIMIT: '100' }),
  ]);
  pids = (await gateway.workers()).map(({ pid }) => pid);
});
afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  expect(await gateway.metric('streams')).toBe(0);
  expect(await Promise.all([gateway, thrifty].map((each) => each.stop()))).toEqual([0, 0]);
});

/** Calls whose answer is known: name, frame, and how the answer begins behind its ref. */
const ANSWERED: [string, unknown[], unknown[]][] = [
  ['E3 has a fraction as number', [16, 0, 1.5, {}, 'bob', 'e', 'none', null], [6, 'bad_parameter']],
  [
    'E4 goes to a session that is not',
    [19, 0, 1000, {}, `alice#${'A'.repeat(22)}`, 'e', 'none', null],
    [6, 'not_found'],
  ],
  [
    'E6, E16 has a type that is reserved',
    [74, 0, 'bob', { type: 'answer', sdp: 'v=0' }],
    [6, 'unknown_type'],
  ],
  ['E7 joins a room of 200,000 characters', [32, 0, 'a'.repeat(200_000)], [6, 'bad_parameter']],
  ...['a\u0001', '*', 'a?', '[a]', 'a b', '\u202eabc', 'a\u200bb', 'ä'].map(
    (room): [string, unknown[], unknown[]] => [
      `E7 joins the room ${JSON.stringify(room)}`,
      [32, 0, room],
      [6, 'bad_parameter'],
    ],
  ),
  ['E7 joins the room __proto__', [32, 0, '__proto__', null], [5, { count: 1, position: null }]],
  ['E8 joins it again', [32, 0, '__proto__', null], [5, { count: 1, position: null }]],
  ['E8 leaves a room that it is not in', [33, 0, 'elsewhere'], [5, false]],
  ['E8 watches a room that it is not in', [52, 0, 'elsewhere', true], [6, 'not_joined']],
  ['E13 waits a negative time', [19, 0, -1, {}, 'bob', 'e', 'none', null], [6, 'bad_parameter']],
];

/** For the application to judge, and passed on as they are. */
const OPAQUE: [string, string, unknown][] = [
  ['E6 an answer that no offer came before', 'rtc', { type: 'answer', sdp: 'v=0' }],
  ['E6 a candidate for nobody', 'rtc', { candidate: null }],
  ['E14 a session description of 100 KiB', 'rtc', { type: 'offer', sdp: `v=0\r\n${'a'.repeat(102_400)}` }],
  ['E14 a session description that is no string', 'rtc', { type: 'offer', sdp: [1, { 2: null }] }],
  ['E16 an event with the name of a plugin', 'sys.shutdown', { now: true }],
];

const json = (frame: unknown[]): string => JSON.stringify(frame);
const openStream = (stream: string, to: string): string =>
  json([OPEN, stream, to, null, 'file', false, 'none', null]);

describe.each(TRANSPORTS)('over $name', ({ name, open }) => {
  const opened: Raw[] = [];
  /** As a client whose name no other transport's test has. */
  const enter = async (sub: string, at = gateway, perm: unknown = '*'): Promise<Raw> => {
    const raw = await open(ports.get(at) ?? { http: 0, tcp: 0 });
    opened.push(raw);
    await raw.say(json([0, 1, tokenOf(`${sub}-${name}`, perm), null, null]));
    await until(() => raw.frames().find(([type]) => type === 1));
    return raw;
  };
  const leave = async (raw: Raw): Promise<void> => {
    await raw.say('[9]');
    expect(await raw.ended).toBe(1000);
  };
  const next = (raw: Raw, type: number): Promise<unknown[]> =>
    until(() => raw.frames().find(([each]) => each === type));
  afterAll(() => {
    for (const raw of opened) raw.destroy();
  });

  test('what cannot be meant is answered as it should be, and the connection goes on', async () => {
    const raw = await enter('alice');
    for (const [at, [what, frame, expected]] of ANSWERED.entries()) {
      const call = [...frame];
      call[1] = 100 + at;
      await raw.say(json(call));
      const [type, , result] = await answerTo(raw, 100 + at);
      expect([what, type, result]).toEqual([what, ...expected]);
    }
    // Answers to requests that were never made are nobody's.
    await raw.say('[21,"rubbish","none",null]', '[22,"rubbish","rejected","no"]', '[49,7,"lobby"]');
    expect(await answerTo(raw, 7)).toEqual([5, 7, 0]);
    await leave(raw);
  });

  test('E3 a number that comes twice is stored once, and one too far ahead is told what comes next', async () => {
    const [alice, bob] = [await enter('twice'), await enter('twice-bob')];
    const send = (ref: number, seq: number, data: string): string =>
      json([16, ref, seq, {}, `twice-bob-${name}`, 'e', 'json', data]);
    await alice.say(send(1, 1, 'first'), send(2, 1, 'again'), send(3, 9, 'skips'));
    expect([(await answerTo(alice, 1))[0], (await answerTo(alice, 2))[0]]).toEqual([5, 5]);
    expect((await answerTo(alice, 3)).slice(0, 3)).toEqual([6, 3, 'out_of_order']);
    await alice.say(send(4, 2, 'second'));
    expect((await answerTo(alice, 4))[0]).toBe(5);
    const heard = (): unknown[] =>
      bob
        .frames()
        .filter(([type]) => type === MESSAGE)
        .map((frame) => frame.at(-1));
    await until(() => heard().length >= 2);
    expect(heard()).toEqual(['first', 'second']);
    await Promise.all([leave(alice), leave(bob)]);
  });

  test('E4 who may not be reached and who is not there look the same', async () => {
    const hidden = await enter('hidden');
    const snoop = await enter('snoop', gateway, { send: [`unknown-${name}`], list: [`unknown-${name}`] });
    const calls = [
      [16, 0, 1, {}, 'TARGET', 'e', 'none', null],
      [16, 0, 0, {}, 'TARGET', 'e', 'none', null],
      [19, 0, 1000, {}, 'TARGET', 'e', 'none', null],
      [51, 0, 'TARGET'],
    ];
    for (const [at, call] of calls.entries()) {
      const answers: unknown[] = [];
      for (const [i, target] of [`unknown-${name}`, `hidden-${name}`].entries()) {
        const ref = 10 * (at + 1) + i;
        await snoop.say(
          json(call.map((field, place) => (place === 1 ? ref : field === 'TARGET' ? target : field))),
        );
        const [type, , ...rest] = await answerTo(snoop, ref);
        answers.push([type, ...rest]);
      }
      expect(answers[1]).toEqual(answers[0]);
    }
    await Promise.all([leave(hidden), leave(snoop)]);
  });

  test('E6, E14, E16 what only the application can judge is passed on as it is, and in no log', async () => {
    const [alice, bob] = [await enter('opaque'), await enter('opaque-bob')];
    for (const [at, [what, event, data]] of OPAQUE.entries()) {
      await alice.say(json([16, at + 1, at + 1, {}, `opaque-bob-${name}`, event, 'json', data]));
      expect([what, (await answerTo(alice, at + 1))[0]]).toEqual([what, 5]);
      const message = await until(() => bob.frames().filter(([type]) => type === MESSAGE)[at]);
      expect(message.slice(5)).toEqual([event, 'json', data]);
    }
    expect(gateway.output()).not.toContain('v=0');
    await Promise.all([leave(alice), leave(bob)]);
  });

  test('E10 who owes too much for what its messages become is told limit, for these alone', async () => {
    const alice = await enter('owes', thrifty);
    const payload = ['json', 'x'.repeat(4_000)];
    const list = (ref: number): string =>
      json([16, ref, null, {}, ['bob', 'nobody', 'noone'], 'e', ...payload]);
    await alice.say(
      list(1),
      list(2),
      json([18, 3, {}, 'e', ...payload]),
      json([35, 4, null, {}, 'lobby', 'e', ...payload]),
      json([16, 5, null, {}, `owes-${name}`, 'e', 'json', 1]),
    );
    for (const ref of [2, 3, 4]) expect((await answerTo(alice, ref)).slice(0, 3)).toEqual([6, ref, 'limit']);
    expect((await answerTo(alice, 5)).slice(0, 2)).toEqual([5, 5]);
    // Over its budget it is read no further for ten seconds: a good-bye would wait as long.
    alice.destroy();
  });

  test('E11 a wrong resume key begins a new session, and says nothing of the old one', async () => {
    const victim = await enter('victim');
    const [, { session }] = victim.frames().find(([type]) => type === 1) as [number, { session: string }];
    const welcomes: string[][] = [];
    for (const resume of [
      [session, 'wrong'],
      ['A'.repeat(22), 'wrong'],
    ]) {
      const raw = await open(ports.get(gateway) ?? { http: 0, tcp: 0 });
      opened.push(raw);
      await raw.say(json([0, 1, tokenOf(`victim-${name}`), resume, null]));
      const [, info] = (await next(raw, 1)) as [number, { session: string; resumed: boolean }];
      expect(info.resumed).toBe(false);
      expect(info.session).not.toBe(session);
      welcomes.push(Object.keys(info));
      await leave(raw);
    }
    expect(welcomes[1]).toEqual(welcomes[0]);
    await victim.say('[49,3,"lobby"]');
    expect(await answerTo(victim, 3)).toEqual([5, 3, 0]);
    await leave(victim);
  });

  test('E15 requests without an answer are held up to the limit', async () => {
    const [asker, silent] = [await enter('asker'), await enter('silent')];
    const ask = (ref: number): string => json([19, ref, 60_000, {}, `silent-${name}`, 'e', 'none', null]);
    await asker.say(...Array.from({ length: REQUESTS + 1 }, (_, at) => ask(at + 1)));
    expect((await answerTo(asker, REQUESTS + 1)).slice(0, 3)).toEqual([6, REQUESTS + 1, 'limit']);
    await Promise.all([leave(asker), leave(silent)]);
  });

  test('a stream whose opener sends beyond its credit is cut, for both', async () => {
    const [alice, bob] = [await enter('liar'), await enter('liar-bob')];
    const chunk = (offset: number): string =>
      json([CHUNK, ID, offset, 0, 'bytes', Buffer.alloc(CHUNK_BYTES).toString('base64')]);
    await alice.say(openStream(ID, `liar-bob-${name}`));
    const offer = await next(bob, OFFER);
    await bob.say(json([ATTACH, ID, `liar-${name}#${String(offer[3])}`, null, false, 0, 100_000, false]));
    expect((await next(alice, ATTACHED))[5]).toBe(100_000);
    await alice.say(chunk(0));
    // All but its last byte would be in order, wherever it says that it begins.
    await alice.say(chunk(100_000 - CHUNK_BYTES - 63));
    expect((await next(alice, WAS_CUT)).slice(1, 3)).toEqual([ID, 'credit_exceeded']);
    expect((await next(bob, WAS_CUT)).slice(1, 3)).toEqual([ID, 'credit_exceeded']);
    await Promise.all([leave(alice), leave(bob)]);
  });

  test('10,000 streams that are opened at once are told limit, and end with 4509', async () => {
    const bob = await enter('many-bob');
    const mallory = await enter('many');
    const ids = Array.from({ length: 10_000 }, (_, at) => `${String(at).padStart(5, '0')}${ID.slice(5)}`);
    await mallory.say(...ids.map((id) => openStream(id, `many-bob-${name}`)));
    expect(await mallory.ended).toBe(4509);
    const cuts = mallory.frames().filter(([type]) => type === WAS_CUT);
    expect(cuts[0]?.[2]).toBe('limit');
    // Who was offered them is where it was.
    await bob.say('[49,9,"lobby"]');
    expect(await answerTo(bob, 9)).toEqual([5, 9, 0]);
    expect(bob.frames().filter(([type]) => type === OFFER).length).toBeLessThanOrEqual(STREAMS);
    await leave(bob);
  });
});
