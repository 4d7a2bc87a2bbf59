// Tokens at the door, limits of connections, and floods: a gateway of its own for each, with small limits.
import { afterEach, describe, expect, test } from '@jest/globals';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { type RedisServer, startRedis } from '../redis-server.js';
import { OPCODE, RawWebSocket, ask, handshake, wsFrame } from './raw-websocket.js';

let gateway: GatewayProcess;
const stops: (() => Promise<void>)[] = [];

async function start(env: Record<string, string>): Promise<void> {
  gateway = await startGateway({ WORKERS: '1', ...env });
}

afterEach(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect(await gateway.stop()).toBe(0);
  for (const stop of stops.splice(0)) await stop();
});

const PONG = wsFrame(OPCODE.text, '[3]');

describe('the door', () => {
  test('closes with 4501 for each bad token, with 4011 without hello, and logs no token', async () => {
    await start({ HELLO_TIMEOUT_MS: '500', TOKEN_LEEWAY_S: '0', JWT_AUDIENCE: 'signalbox' });
    const now = Math.floor(Date.now() / 1000);
    const aud = 'signalbox';
    const bad = [
      null,
      'rubbish',
      tokenOf('alice', '*', { aud, exp: now - 10 }),
      tokenOf('alice', '*', { aud: 'other' }),
      tokenOf('not an id', '*', { aud }),
      `${tokenOf('alice', '*', { aud })}x`,
    ];
    for (const token of bad) {
      const client = await RawWebSocket.open(gateway.port);
      client.say([0, 1, token, null, null]);
      expect((await client.ended).code).toBe(4501);
      if (token !== null) expect(gateway.output()).not.toContain(token);
    }
    const silent = await RawWebSocket.open(gateway.port);
    expect((await silent.ended).code).toBe(4011);
    const good = await RawWebSocket.enter(gateway.port, tokenOf('alice', '*', { aud }));
    await good.destroy();
    expect(await gateway.metric('tokens_refused_total', { reason: 'expired' })).toBe(1);
  });

  test('closes with 4010 when a token expires and no newer one comes', async () => {
    await start({ TOKEN_EXPIRY_GRACE_MS: '0', TOKEN_LEEWAY_S: '0' });
    const client = await RawWebSocket.enter(
      gateway.port,
      tokenOf('alice', '*', { exp: Math.floor(Date.now() / 1000) + 2 }),
    );
    expect((await client.next())[0]).toBe(7);
    expect((await client.ended).code).toBe(4010);
  });

  test('closes with 1012 when hello comes after a drain began, while load balancers have still to notice', async () => {
    await start({ DRAIN_DELAY_MS: '4000' });
    const client = await RawWebSocket.open(gateway.port);
    gateway.process.kill('SIGTERM');
    await until(() => gateway.output().includes('"draining"'));
    client.say([0, 1, tokenOf('alice'), null, null]);
    expect((await client.ended).code).toBe(1012);
    expect(await gateway.metric('attachments_total')).toBe(0);
  });

  test('closes with 4506 when hello has another version', async () => {
    await start({});
    const client = await RawWebSocket.open(gateway.port);
    client.say([0, 2, { anything: true }]);
    expect((await client.ended).code).toBe(4506);
  });
});

describe('before the welcome', () => {
  const count = (ref: number): Uint8Array => wsFrame(OPCODE.text, JSON.stringify([49, ref, 'lobby']));
  const large = (ref: number): Uint8Array =>
    wsFrame(
      OPCODE.text,
      JSON.stringify([35, ref, null, {}, 'lobby', 'chat', 'json', 'x'.repeat(250 * 1024)]),
    );
  const hello = (): Uint8Array => wsFrame(OPCODE.text, JSON.stringify([0, 1, tokenOf('alice'), null, null]));

  /** A hello that a stopped Redis does not answer, and frames right behind it. */
  async function sayEarly(
    frames: Uint8Array[],
    env: Record<string, string> = {},
  ): Promise<{ client: RawWebSocket; redis: RedisServer }> {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    await start({ REDIS_URL: redis.url, ...env });
    const client = await RawWebSocket.open(gateway.port);
    redis.pause();
    client.write(hello(), ...frames);
    return { client, redis };
  }

  test.each([
    ['64 frames', Array.from({ length: 64 }, (_, i) => count(i + 1))],
    ['500 KiB', [large(1), large(2)]],
  ])('%s of a client that does not wait are answered after it, in order', async (_, frames) => {
    const { client, redis } = await sayEarly(frames);
    redis.resume();
    expect((await client.next())[0]).toBe(1);
    for (let ref = 1; ref <= frames.length; ref++) expect((await client.next())[1]).toBe(ref);
    await client.destroy();
  });

  test('frames count against the rates like those after it: a flood ends with 4014 and is not carried out', async () => {
    const frames = Array.from({ length: 64 }, (_, i) => count(i + 1));
    const rates = { MESSAGES_PER_SECOND_LIMIT: '1', MESSAGES_BURST_LIMIT: '5' };
    const { client, redis } = await sayEarly(frames, rates);
    redis.resume();
    expect((await client.ended).code).toBe(4014);
    expect(await gateway.metric('throttled_total', { scope: 'connection' })).toBe(11);
  });

  test.each([
    ['a 65th frame', Array.from({ length: 65 }, (_, i) => count(i + 1))],
    ['more than 512 KiB', [large(1), large(2), large(3)]],
  ])('%s ends the connection with 4500', async (_, frames) => {
    const { client } = await sayEarly(frames);
    expect((await client.ended).code).toBe(4500);
    expect(await gateway.metric('attachments_total')).toBe(0);
  });
});

describe('a limit', () => {
  // H24: design.md closes with a code, because a script in a browser cannot see a 503.
  test('CONNECTIONS_PER_ADDRESS_LIMIT closes with 4505, and frees its places again', async () => {
    await start({ CONNECTIONS_PER_ADDRESS_LIMIT: '2' });
    const held = [await RawWebSocket.open(gateway.port), await RawWebSocket.open(gateway.port)];
    expect((await (await RawWebSocket.open(gateway.port)).ended).code).toBe(4505);
    await Promise.all(held.map((client) => client.destroy()));
    await until(async () => (await gateway.metric('connections')) === 0);
    await (await RawWebSocket.enter(gateway.port, tokenOf('alice'))).destroy();
  });

  test('CONNECTIONS_PER_ADDRESS_LIMIT believes no X-Forwarded-For without a trusted proxy (H23)', async () => {
    await start({ CONNECTIONS_PER_ADDRESS_LIMIT: '1' });
    const held = await RawWebSocket.open(gateway.port, { 'X-Forwarded-For': '192.0.2.1' });
    const forged = await RawWebSocket.open(gateway.port, { 'X-Forwarded-For': '192.0.2.2' });
    expect((await forged.ended).code).toBe(4505);
    await held.destroy();
  });

  test('CONNECTIONS_PER_ADDRESS_LIMIT counts the addresses that a trusted proxy names', async () => {
    await start({ CONNECTIONS_PER_ADDRESS_LIMIT: '1', TRUSTED_PROXIES: '127.0.0.0/8' });
    const one = await RawWebSocket.enter(gateway.port, tokenOf('one'), { 'X-Forwarded-For': '192.0.2.1' });
    const two = await RawWebSocket.enter(gateway.port, tokenOf('two'), {
      'X-Forwarded-For': '9.9.9.9, 192.0.2.2',
    });
    const again = await RawWebSocket.open(gateway.port, { 'X-Forwarded-For': '8.8.8.8, 192.0.2.2' });
    expect((await again.ended).code).toBe(4505);
    await Promise.all([one.destroy(), two.destroy()]);
  });

  test('CONNECTIONS_LIMIT closes with 1013', async () => {
    await start({ CONNECTIONS_LIMIT: '1' });
    const held = await RawWebSocket.open(gateway.port);
    expect((await (await RawWebSocket.open(gateway.port)).ended).code).toBe(1013);
    await held.destroy();
  });

  test('PENDING_HANDSHAKES_LIMIT answers 503 with Retry-After while a stopped Redis holds the hellos before', async () => {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    await start({ PENDING_HANDSHAKES_LIMIT: '2', REDIS_URL: redis.url });
    const silent = [await RawWebSocket.open(gateway.port), await RawWebSocket.open(gateway.port)];
    const late = await RawWebSocket.open(gateway.port);
    redis.pause();
    const waiting = [await RawWebSocket.open(gateway.port), await RawWebSocket.open(gateway.port)];
    waiting.forEach((client, i) => {
      client.say([0, 1, tokenOf(`waiting-${String(i)}`), null, null]);
    });
    const refused = await until(async () => {
      const answer = await ask(gateway.port, handshake());
      return answer.status === 101 ? null : answer;
    });
    expect(refused).toMatchObject({ status: 503, body: '{"code":"handshakes_pending"}' });
    expect(refused.headers['retry-after']).toBe('1');
    // Whoever was let in before gets a close code: neither its token nor the store was looked at.
    late.say([0, 1, 'rubbish', null, null]);
    expect((await late.ended).code).toBe(1013);
    redis.resume();
    await Promise.all(waiting.map((client) => client.destroy()));
    const welcome = await until(() => RawWebSocket.enter(gateway.port, tokenOf('alice')).catch(() => null));
    expect(await gateway.metric('handshakes_total', { outcome: 'handshakes_pending' })).toBeGreaterThan(0);
    await Promise.all([...silent, welcome].map((client) => client.destroy()));
  });

  test('REQUESTS_PENDING_LIMIT_BYTES refuses a request that would make those that wait too large (E15)', async () => {
    await start({ REQUESTS_PENDING_LIMIT_BYTES: '65536' });
    const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
    const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
    const request = (ref: number, size: number) => {
      alice.say([19, ref, 60_000, {}, 'bob', 'e', 'json', 'x'.repeat(size)]);
    };
    request(1, 100_000);
    const [, handle] = await bob.next();
    request(2, 10);
    expect((await alice.answerTo(2)).slice(0, 3)).toEqual([6, 2, 'limit']);
    bob.say([21, handle, 'json', 'done']);
    expect((await alice.answerTo(1))[0]).toBe(23);
    request(3, 10);
    expect((await bob.next())[0]).toBe(20);
    await Promise.all([alice.destroy(), bob.destroy()]);
  });

  test('HANDSHAKES_PER_SECOND_LIMIT answers 429 with Retry-After', async () => {
    await start({ HANDSHAKES_PER_SECOND_LIMIT: '1' });
    const answers = [];
    for (let i = 0; i < 6; i++) answers.push(await ask(gateway.port, handshake({ Upgrade: 'foo' })));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers['retry-after']).toBe('1');
  });

  test('MESSAGES_PER_SECOND_LIMIT slows a burst down, and loses nothing of it', async () => {
    await start({ MESSAGES_PER_SECOND_LIMIT: '50', MESSAGES_BURST_LIMIT: '10' });
    const client = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
    for (let ref = 1; ref <= 60; ref++) client.say([49, ref, 'lobby']);
    expect(await client.answerTo(60)).toEqual([5, 60, 0]);
    expect(await gateway.metric('throttled_total', { scope: 'connection' })).toBeGreaterThan(0);
    await client.destroy();
  });

  test('MESSAGES_PER_SECOND_LIMIT ends a flood with 4014, and others are served meanwhile', async () => {
    await start({ MESSAGES_PER_SECOND_LIMIT: '10', MESSAGES_BURST_LIMIT: '10' });
    const honest = await RawWebSocket.enter(gateway.port, tokenOf('honest'));
    const flood = await RawWebSocket.enter(gateway.port, tokenOf('flood'));
    flood.write(...Array.from({ length: 2000 }, () => PONG));
    honest.say([49, 1, 'lobby']);
    expect(await honest.answerTo(1)).toEqual([5, 1, 0]);
    expect((await flood.ended).code).toBe(4014);
    await honest.destroy();
  });

  describe('FAN_OUT_BYTES_PER_SECOND_LIMIT (E10)', () => {
    const payload = ['json', 'x'.repeat(4_000)];
    const list = (ref: number) => [16, ref, null, {}, ['bob', 'nobody', 'noone'], 'e', ...payload];
    const publish = (ref: number) => [35, ref, null, {}, 'lobby', 'e', ...payload];
    const broadcast = (ref: number) => [18, ref, {}, 'e', ...payload];
    const refused = (ref: number) => [6, ref, 'limit'];

    test('refuses lists, broadcasts and publishes of a client that owes too much, nothing else, and nobody else', async () => {
      await start({ FAN_OUT_BYTES_PER_SECOND_LIMIT: '100' });
      const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
      const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
      // In one piece of less than 64 KiB: over the budget its connection is read no further for a while.
      alice.write(
        ...[list(1), list(2), broadcast(3), publish(4), [16, 5, null, {}, 'bob', 'e', 'json', 1]].map(
          (frame) => wsFrame(OPCODE.text, JSON.stringify(frame)),
        ),
      );
      expect((await alice.answerTo(2)).slice(0, 3)).toEqual(refused(2));
      expect((await alice.answerTo(3)).slice(0, 3)).toEqual(refused(3));
      expect((await alice.answerTo(4)).slice(0, 3)).toEqual(refused(4));
      expect((await alice.answerTo(5)).slice(0, 2)).toEqual([5, 5]);
      bob.say(broadcast(1));
      expect((await bob.answerTo(1)).slice(0, 2)).toEqual([5, 1]);
      expect(await gateway.metric('throttled_total', { scope: 'fan_out' })).toBeGreaterThan(3);
      await Promise.all([alice.destroy(), bob.destroy()]);
    });

    test.each([
      ['a publish by the members of the room on all workers', publish],
      ['a broadcast by who gets it', broadcast],
    ])('counts %s', async (_, frame) => {
      await start({ FAN_OUT_BYTES_PER_SECOND_LIMIT: '100', WORKERS: '2' });
      const members = await Promise.all(
        Array.from({ length: 4 }, async (__, i) => {
          const member = await RawWebSocket.enter(gateway.port, tokenOf(`member-${String(i)}`));
          member.say([32, 1, 'lobby', null]);
          await member.answerTo(1);
          return member;
        }),
      );
      const enter = () => RawWebSocket.enter(gateway.port, tokenOf('alice'));
      const phone = await enter();
      phone.say(frame(1));
      expect((await phone.answerTo(1)).slice(0, 2)).toEqual([5, 1]);
      // One of the two is at the phone's worker, where it owes for all its connections.
      const others = [await enter(), await enter()];
      for (const other of others) other.say(frame(1));
      const answers = await Promise.all(others.map((other) => other.answerTo(1)));
      expect(answers.map(([, , result]) => result)).toContain('limit');
      await Promise.all([phone, ...others, ...members].map((client) => client.destroy()));
    });
  });

  test('ADDRESS_MESSAGES_PER_SECOND_LIMIT ends a flood of one address with 4014', async () => {
    await start({ ADDRESS_MESSAGES_PER_SECOND_LIMIT: '2' });
    const flood = await RawWebSocket.enter(gateway.port, tokenOf('flood'));
    flood.write(...Array.from({ length: 200 }, () => PONG));
    expect((await flood.ended).code).toBe(4014);
  });
});
