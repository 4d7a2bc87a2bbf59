// Delivery on the wire: replay on resume, gaps, numbers, receipts, kept messages and history, on both stores.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Deployment, deploy } from '../cluster/deployment.js';
import { until } from '../gateway-process.js';
import { WireClient } from './wire-client.js';

const LIMITS = { LOG_LIMIT_ENTRIES: '8', PRESENCE_GRACE_MS: '200' };

describe.each(['embedded', 'redis'] as const)('with the %s store', (store) => {
  let deployment: Deployment;
  let names = 0;
  const clients: WireClient[] = [];
  beforeAll(async () => {
    deployment = await deploy(store, LIMITS);
  });
  afterAll(() => deployment.stop());
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  const name = (of: string) => `${of}-${String(++names)}`;
  /** On one node or, with Redis, alternately on the two. */
  const connect = async (
    who: string,
    resume: Parameters<typeof WireClient.connect>[2] = null,
  ): Promise<WireClient> => {
    const { gateways } = deployment;
    const gateway = gateways[clients.length % gateways.length];
    if (gateway === undefined) throw new Error('no gateway');
    const client = await WireClient.connect(gateway, who, resume);
    clients.push(client);
    return client;
  };
  const pair = async (): Promise<[WireClient, WireClient, string]> => {
    const bob = name('bob');
    return [await connect(name('alice')), await connect(bob), bob];
  };

  test('a session that was away gets what was sent meanwhile, in order, once, and then what is new', async () => {
    const [alice, bob, to] = await pair();
    await alice.send(to, 1, 'one');
    await bob.hears(1);
    const cursor = bob.idOf('one');
    await bob.cut();
    for (const [i, event] of ['two', 'three'].entries()) await alice.send(to, i + 2, event);
    const back = await connect(to, { from: bob, cursors: [[null, cursor]] });
    expect(back.info).toMatchObject({ resumed: true, session: bob.info.session, inbox: cursor });
    await alice.send(to, 4, 'four');
    await expect(back.hears(3)).resolves.toEqual(['two', 'three', 'four']);
  });

  test('numbering begins with the session, not with its first message', async () => {
    const [alice, bob, to] = await pair();
    expect(bob.info.inbox).toBeNull();
    await bob.cut();
    await alice.send(to, 1, 'first');
    const back = await connect(to, { from: bob, cursors: [[null, bob.info.inbox]] });
    await expect(back.hears(1)).resolves.toEqual(['first']);
    const fresh = await connect(to);
    expect(fresh.info.inbox).toBe(back.idOf('first'));
    expect(fresh.heard).toEqual([]);
  });

  test('a room is replayed from its cursor, on another worker or node', async () => {
    const [alice, bob, who] = await pair();
    const room = name('room');
    expect(await alice.join(room)).toEqual({ count: 1, position: null });
    await alice.publish(room, 1, 'a');
    const joined = (await bob.join(room)) as { position: string };
    await bob.cut();
    await alice.publish(room, 2, 'b');
    await alice.publish(room, 3, 'c');
    const back = await connect(who, {
      from: bob,
      cursors: [
        [null, null],
        [room, joined.position],
      ],
    });
    expect(back.info.rooms).toEqual([room]);
    await expect(back.hears(2)).resolves.toEqual(['b', 'c']);
    await alice.publish(room, 4, 'd');
    await expect(back.hears(3)).resolves.toEqual(['b', 'c', 'd']);
    await expect(alice.hears(4)).resolves.toEqual(['a', 'b', 'c', 'd']);
  });

  test('a room without a cursor goes on with what is published once the client is welcome', async () => {
    const [alice, bob, who] = await pair();
    const room = name('room');
    await alice.join(room);
    await bob.join(room);
    let back = bob;
    for (let n = 1; n <= 20; n++) {
      back = await connect(who, { from: back });
      await alice.publish(room, n, `m${String(n)}`);
      await expect(back.hears(1)).resolves.toEqual([`m${String(n)}`]);
    }
  });

  test('what the log no longer holds is told as a gap, exactly where it is', async () => {
    const [alice, bob, to] = await pair();
    await alice.send(to, 1, 'm1');
    await bob.hears(1);
    await bob.cut();
    for (let n = 2; n <= 12; n++) await alice.send(to, n, `m${String(n)}`);
    const back = await connect(to, { from: bob, cursors: [[null, bob.idOf('m1')]] });
    const expected = ['gap trimmed 3', ...Array.from({ length: 8 }, (_, i) => `m${String(i + 5)}`)];
    await expect(back.hears(9)).resolves.toEqual(expected);
  });

  test('a cursor that the log never gave out is told as lost, and what is there comes', async () => {
    const [alice, bob, to] = await pair();
    await alice.send(to, 1, 'one');
    await bob.hears(1);
    await bob.cut();
    const back = await connect(to, { from: bob, cursors: [[null, 'other:4-5']] });
    await expect(back.hears(2)).resolves.toEqual(['gap lost null', 'one']);
  });

  test('numbers make a message stored once and in order', async () => {
    const [alice, bob, to] = await pair();
    expect(await alice.send(to, 2, 'early')).toEqual(['out_of_order', 1]);
    expect(await alice.send(to, 1, 'one')).toMatchObject({ id: expect.any(String) });
    expect(await alice.send(to, 1, 'one')).toEqual({ id: null });
    expect(await alice.send(to, 3, 'three')).toEqual(['out_of_order', 2]);
    expect(await alice.send(to, 3, 'three', { first: 3 })).toMatchObject({ id: expect.any(String) });
    expect(await alice.send(to, 2, 'two')).toEqual({ id: null });
    await expect(bob.hears(2)).resolves.toEqual(['one', 'three']);
    const [, , options] = bob.frames.find(([type]) => type === 17) ?? [];
    expect(options).toEqual({ seq: 1 });
  });

  test('a sender hears that its message was handed over, also when it asks again after a cut', async () => {
    const [alice, bob, to] = await pair();
    const from = (frame: unknown[] | undefined) => `${String(frame?.[3])}#${String(frame?.[4])}`;
    await alice.send(to, 1, 'one', { delivered: true });
    await bob.hears(1);
    const first = bob.frames.find(([type]) => type === 17);
    expect(first?.[2]).toEqual({ seq: 1, delivered: true });
    bob.write(24, from(first), 1);
    await until(() => alice.frames.some(([type]) => type === 27));
    expect(alice.frames.filter(([type]) => type === 27)).toEqual([[27, to, 1]]);
    // Nobody awaits these: they go nowhere.
    bob.write(24, from(first), 1);
    bob.write(24, from(first), 7);
    await alice.send(to, 2, 'two', { delivered: true });
    await bob.hears(2);
    await alice.cut();
    bob.write(24, from(first), 2);
    const back = await connect(String(first?.[3]), { from: alice });
    back.write(25, to, 2);
    const asked = await until(() => bob.frames.find(([type]) => type === 28));
    expect(asked).toEqual([28, first?.[3], first?.[4], 2]);
    bob.write(24, from(first), 2);
    await until(() => back.frames.some(([type]) => type === 27));
    expect(back.frames.filter(([type]) => type === 27)).toEqual([[27, to, 2]]);
    expect(alice.frames.filter(([type]) => type === 27)).toHaveLength(1);
  });

  test('what is kept for an absent client comes with its next connection, until it is acknowledged', async () => {
    const alice = await connect(name('alice'));
    const to = name('bob');
    expect(await alice.send(to, 1, 'refused')).toEqual(['not_found', null]);
    await alice.send(to, 1, 'one', { offline: 'keep' });
    await alice.send(to, 2, 'two', { offline: 'keep' });
    const bob = await connect(to);
    await expect(bob.hears(2)).resolves.toEqual(['one', 'two']);
    expect(bob.info.kept).toBe(bob.idOf('two'));
    await alice.send(to, 3, 'live');
    await bob.hears(3);
    // Not acknowledged: another session gets them, but not what was live.
    const again = await connect(to);
    await expect(again.hears(2)).resolves.toEqual(['one', 'two']);
    again.write(26, again.idOf('two'));
    await until(async () => {
      const third = await connect(to);
      return third.info.kept === null && third.heard.length === 0;
    });
  });

  test('nothing is kept for a guest of the test page that is not there, for anybody may send to these ids', async () => {
    const alice = await connect(name('alice'));
    const to = name('~test-guest');
    expect(await alice.send(to, 1, 'n', { offline: 'keep' })).toEqual(['not_found', null]);
    const guest = await connect(to);
    expect(guest.info.kept).toBeNull();
    expect(await alice.send(to, 1, 'n', { offline: 'keep' })).toMatchObject({ id: expect.any(String) });
  });

  test('a message whose time is over is not delivered', async () => {
    const [alice, bob, to] = await pair();
    await bob.cut();
    await alice.send(to, 1, 'brief', { ttlMs: 1 });
    await alice.send(to, 2, 'lasting');
    const back = await connect(to, { from: bob, cursors: [[null, null]] });
    await expect(back.hears(1)).resolves.toEqual(['lasting']);
  });

  test('a room’s last messages come with a join that asks for them', async () => {
    const [alice, bob] = await pair();
    const room = name('room');
    await alice.join(room);
    for (const [i, event] of ['a', 'b', 'c'].entries()) await alice.publish(room, i + 1, event);
    expect(await bob.join(room, 2)).toEqual({ count: 2 });
    await alice.publish(room, 4, 'd');
    await expect(bob.hears(3)).resolves.toEqual(['b', 'c', 'd']);
    const carol = await connect(name('carol'));
    await carol.join(room, bob.idOf('c'));
    await expect(carol.hears(1)).resolves.toEqual(['d']);
  });

  test('an answer finds the asker on its new connection', async () => {
    const [alice, bob, to] = await pair();
    alice.write(19, 77, 10_000, {}, to, 'ask', 'json', 1);
    const asked = await until(() => bob.frames.find(([type]) => type === 20));
    await alice.cut();
    const back = await connect(String(asked[3]), { from: alice });
    bob.write(21, asked[1], 'json', 42);
    const answer = await until(() => back.frames.find(([type]) => type === 23));
    expect(answer).toEqual([23, 77, 'json', 42]);
  });

  test('an answer waits for an asker that is away', async () => {
    const [alice, bob, to] = await pair();
    alice.write(19, 78, 10_000, {}, to, 'ask', 'json', 1);
    const asked = await until(() => bob.frames.find(([type]) => type === 20));
    await alice.cut();
    // The gateway hears of a cut later than its client: what goes out before that is lost on the way.
    await until(async () =>
      String(await bob.call(19, 50, {}, String(asked[3]), 'ping', 'json', 1)).startsWith('unavailable'),
    );
    bob.write(21, asked[1], 'json', 42);
    await bob.send(to, 1, 'done');
    const back = await connect(String(asked[3]), { from: alice });
    const answer = await until(() => back.frames.find(([type]) => type === 23));
    expect(answer).toEqual([23, 78, 'json', 42]);
  });
});
