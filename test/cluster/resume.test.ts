// A session is no transport's: what began on one goes on by any other, on another node, without loss and without a second time.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../gateway-process.js';
import { type SocketName, SOCKETS, WireClient } from '../delivery/wire-client.js';
import { type Deployment, deploy } from './deployment.js';

const NAMES = Object.keys(SOCKETS) as SocketName[];
const PAIRS = NAMES.flatMap((from) => NAMES.map((to) => [from, to] as const));

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  let names = 0;
  beforeAll(async () => {
    deployment = await deploy(store);
  });
  afterAll(() => deployment.stop());

  test.each(PAIRS)(
    'a session resumes from %s to %s with what it missed, once and in order',
    async (from, to) => {
      const [home, away = home] = deployment.gateways;
      if (home === undefined || away === undefined) throw new Error('no gateway');
      const target = `bob-${String(++names)}`;
      const room = `lobby-${String(names)}`;
      const bob = await WireClient.connect(home, target, null, from);
      const alice = await WireClient.connect(away, `alice-${String(names)}`, null, to);
      await bob.join(room);
      await alice.send(target, 1, 'one');
      await bob.hears(1);
      const cursor = bob.idOf('one');
      await bob.cut();
      await alice.send(target, 2, 'two');
      await alice.publish(room, 1, 'three');
      const back = await WireClient.connect(
        away,
        target,
        {
          from: bob,
          cursors: [
            [null, cursor],
            [room, null],
          ],
        },
        to,
      );
      expect(back.info).toMatchObject({ resumed: true, session: bob.info.session, rooms: [room] });
      await alice.send(target, 3, 'four');
      await alice.publish(room, 2, 'five');
      // Two logs: each is in order.
      const heard = await back.hears(4);
      expect(heard.filter((event) => ['two', 'four'].includes(event))).toEqual(['two', 'four']);
      expect(heard.filter((event) => ['three', 'five'].includes(event))).toEqual(['three', 'five']);
      expect(heard).toHaveLength(4);
      expect(bob.heard).toEqual(['one']);
      alice.close();
      back.close();
      await until(() => alice.closed !== null && back.closed !== null);
      expect([alice.closed, back.closed]).toEqual([1000, 1000]);
    },
  );

  test.each(PAIRS)('a newer connection by %s ends an older one by %s with 4503', async (newer, older) => {
    const [home, away = home] = deployment.gateways;
    if (home === undefined || away === undefined) throw new Error('no gateway');
    const name = `carol-${String(++names)}`;
    const first = await WireClient.connect(home, name, null, older);
    const second = await WireClient.connect(away, name, { from: first }, newer);
    expect(second.info).toMatchObject({ resumed: true, session: first.info.session });
    await until(() => first.closed !== null);
    expect(first.closed).toBe(4503);
    expect(second.closed).toBeNull();
    second.close();
    await until(() => second.closed !== null);
  });
});
