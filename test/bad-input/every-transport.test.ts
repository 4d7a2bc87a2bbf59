// Who a client is, what it may and what its frames are is checked alike on every transport: one table, no exclusions.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { freePort } from '../free-port.js';
import { type GatewayProcess, SECRET, startGateway, tokenOf, until } from '../gateway-process.js';
import { answerTo, type Raw, TRANSPORTS } from './raw-transports.js';

let gateway: GatewayProcess;
let tcp: number;
let pids: number[];
beforeAll(async () => {
  tcp = await freePort();
  gateway = await startGateway({
    TCP_PORT: String(tcp),
    HELLO_TIMEOUT_MS: '1500',
    FRAME_LIMIT_BYTES: '65536',
    ROOMS_PER_SESSION_LIMIT: '3',
    ERRORS_PER_MINUTE_LIMIT: '20',
    HTTP_SILENCE_LIMIT_MS: '500',
    HANDSHAKES_PER_SECOND_LIMIT: '0',
    JWT_AUDIENCE: 'signalbox-test',
  });
  pids = (await gateway.workers()).map(({ pid }) => pid);
});
afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  expect(await gateway.stop()).toBe(0);
});

const AUDIENCE = { aud: 'signalbox-test' };
const good = (sub: string, perm: unknown = '*'): string => tokenOf(sub, perm, AUDIENCE);
const hello = (token: string | null, resume: unknown = null): string =>
  JSON.stringify([0, 1, token, resume, null]);
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

const BAD_TOKENS: [string, string][] = [
  ['is rubbish', 'a.b.c'],
  [
    'has the algorithm none',
    jwt.sign({ perm: '*', ...AUDIENCE }, '', { algorithm: 'none', subject: 'alice', expiresIn: 60 }),
  ],
  [
    'is signed with another key',
    jwt.sign({ perm: '*', ...AUDIENCE }, 'x'.repeat(40), { subject: 'alice', expiresIn: 60 }),
  ],
  ['has expired', tokenOf('alice', '*', { ...AUDIENCE, exp: inSeconds(-120) })],
  ['never expires', jwt.sign({ perm: '*', sub: 'alice', ...AUDIENCE }, SECRET)],
  ['is not good yet', tokenOf('alice', '*', { ...AUDIENCE, nbf: inSeconds(600) })],
  ['is for somebody else', tokenOf('alice', '*', { aud: 'another' })],
  ['is for nobody', tokenOf('alice')],
  ['has no subject', jwt.sign({ perm: '*', ...AUDIENCE }, SECRET, { expiresIn: 60 })],
  ['has a subject that is no client id', good('al ice')],
];

/** Answered with an error, and the connection goes on. */
const REFUSED: [string, unknown, string][] = [
  ['E1 has an unknown type', [999, 5], 'unknown_type'],
  ['E1 has a type of the gateway', [112, 5], 'unknown_type'],
  ['E3 has a negative number', [16, 5, -1, {}, 'bob', 'e', 'none', null], 'bad_parameter'],
  ['E3 has the number 2^53', [16, 5, 2 ** 53, {}, 'bob', 'e', 'none', null], 'bad_parameter'],
  ['E4 goes to nobody', [16, 5, 1, {}, 'nobody', 'e', 'none', null], 'not_found'],
  ['E4 goes to whom it may not reach', [16, 5, 1, {}, 'secret', 'e', 'none', null], 'not_found'],
  ['E7 joins a room without a name', [32, 5, ''], 'bad_parameter'],
  ['E7 joins a room of 129 characters', [32, 5, 'a'.repeat(129)], 'bad_parameter'],
  ['E7 joins a room with a hash tag', [32, 5, '{a}'], 'bad_parameter'],
  ['E7 joins a room with an end of line', [32, 5, 'a\nb'], 'bad_parameter'],
  ['E9 joins where it may not', [32, 5, 'secret', null], 'forbidden'],
  ['E9 publishes where it may not', [35, 5, 1, {}, 'secret', 'e', 'none', null], 'forbidden'],
  ['E9 lists clients', [50, 5, '', null, 10], 'forbidden'],
  ['E13 waits ten years', [19, 5, 315_360_000_000, {}, 'bob', 'e', 'none', null], 'bad_parameter'],
  ['refreshes with a bad token', [4, 5, 'rubbish'], 'invalid_token'],
  ['refreshes with the token of another client', [4, 5, good('mallory')], 'forbidden'],
];

describe.each(TRANSPORTS)('over $name', ({ open }) => {
  const opened: Raw[] = [];
  const begin = async (token?: string): Promise<Raw> => {
    const raw = await open({ http: gateway.port, tcp }, token);
    opened.push(raw);
    return raw;
  };
  const enter = async (sub: string, perm: unknown): Promise<Raw> => {
    const raw = await begin();
    await raw.say(hello(good(sub, perm)));
    await until(() => raw.frames().find(([type]) => type === 1));
    return raw;
  };
  const leave = async (raw: Raw): Promise<void> => {
    await raw.say('[9]');
    expect(await raw.ended).toBe(1000);
  };
  afterAll(() => {
    for (const raw of opened) raw.destroy();
  });

  test('a good token is taken in hello, and before it', async () => {
    const inHello = await enter('alice', '*');
    const before = await begin(good('alice'));
    await before.say(hello(null));
    const [, welcome] = await until(() => before.frames().find(([type]) => type === 1));
    expect(welcome).toMatchObject({ client: 'alice' });
    await Promise.all([leave(inHello), leave(before)]);
  });

  test.each(BAD_TOKENS)('a token that %s is refused with 4501, in hello and before it', async (_, token) => {
    const [inHello, before] = await Promise.all([begin(), begin(token)]);
    await Promise.all([inHello.say(hello(token)), before.say(hello(null)).catch(() => undefined)]);
    expect(await Promise.all([inHello.ended, before.ended])).toEqual([4501, 4501]);
    expect([...inHello.frames(), ...before.frames()].filter(([type]) => type === 1)).toEqual([]);
  });

  test('E2 nothing is done before hello, and nobody is who they say without a token', async () => {
    const [none, early, second, version] = await Promise.all([
      begin(),
      begin(),
      enter('alice', '*'),
      begin(),
    ]);
    await Promise.all([
      none.say(hello(null)),
      early.say('[16,1,0,{},"bob","e","none",null]'),
      second.say(hello(good('mallory'))),
      version.say('[0,9,null,null,null]'),
    ]);
    const ends = await Promise.all([none, early, second, version].map((raw) => raw.ended));
    expect(ends).toEqual([4501, 4500, 4500, 4506]);
  });

  test('who says nothing is sent away with 4011', async () => {
    expect(await (await begin()).ended).toBe(4011);
  });

  test.each([['no frame'], ['{"type":"hello"}'], ['5'], ['[]'], ['["hello"]'], ['['.repeat(1000)]])(
    'E1 %p is refused with 4500',
    async (text) => {
      const raw = await enter('alice', '*');
      await raw.say(text);
      expect(await raw.ended).toBe(4500);
    },
  );

  test('S4 a frame beyond the limit is refused with 1009', async () => {
    const raw = await enter('alice', '*');
    await raw.say(JSON.stringify([16, 1, 0, {}, 'bob', 'e', 'json', 'x'.repeat(70_000)]));
    expect(await raw.ended).toBe(1009);
  });

  test('a frame that may not be is refused with its code, and the connection goes on', async () => {
    const raw = await enter('alice', { send: ['bob', 'nobody'], rooms: { join: ['r*'], publish: ['r*'] } });
    for (const [at, [name, frame, code]] of REFUSED.entries()) {
      const call = [...(frame as unknown[])];
      call[1] = 100 + at;
      await raw.say(JSON.stringify(call));
      const answer = await answerTo(raw, 100 + at);
      expect([name, ...answer.slice(0, 3)]).toEqual([name, 6, 100 + at, code]);
    }
    await leave(raw);
  });

  test('E8 no more rooms than the limit are joined, E9 too many refusals end it with 4509', async () => {
    const raw = await enter('alice', { rooms: { join: ['r*'] } });
    for (const at of [1, 2, 3, 4]) await raw.say(JSON.stringify([32, at, `r${at}`, null]));
    const answers = await Promise.all([1, 2, 3, 4].map((ref) => answerTo(raw, ref)));
    expect(answers.filter(([type]) => type === 5)).toHaveLength(3);
    expect(answers.find(([type]) => type === 6)?.[2]).toBe('limit');
    for (let ref = 10; ref < 40; ref++) await raw.say(JSON.stringify([32, ref, 'secret', null]));
    expect(await raw.ended).toBe(4509);
  });

  test('E5 the sender is who the token says, E11 and nobody goes on with the session of another', async () => {
    const [alice, bob] = await Promise.all([enter('alice', '*'), enter('bob', '*')]);
    await alice.say('[16,1,0,{"from":"admin"},"bob","e","json",{"from":"admin"}]');
    const message = await until(() => bob.frames().find(([type]) => type === 17));
    expect(JSON.stringify(message.slice(0, -1))).toContain('"alice"');
    expect(JSON.stringify(message.slice(0, -1))).not.toContain('admin');
    const [, welcome] = bob.frames().find(([type]) => type === 1) ?? [];
    const { session, resumeKey } = welcome as { session: string; resumeKey: string };
    const thief = await begin();
    await thief.say(hello(good('thief'), [session, resumeKey]));
    const [, given] = await until(() => thief.frames().find(([type]) => type === 1));
    expect(given).toMatchObject({ client: 'thief', resumed: false });
    expect((given as { session: string }).session).not.toBe(session);
    await Promise.all([leave(alice), leave(bob), leave(thief)]);
  });
});
