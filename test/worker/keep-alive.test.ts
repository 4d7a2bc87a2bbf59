// Which sessions a worker renews, and when, with a store that a test lets fail.
import { beforeEach, expect, test } from '@jest/globals';
import type { WorkerId } from '../../src/protocol/ids.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { SessionRef, Store } from '../../src/session/store/store.js';
import { KeepAlive } from '../../src/worker/keep-alive.js';
import { createReceiver } from '../relay/receiver.js';

/** As many steps as a regular renewal waits for. */
const REGULAR = 20;
const WORKER = 'n.1' as WorkerId;

let registry: SessionRegistry;
let renewed: string[][];
let answer: (clients: string[]) => Promise<void>;
let keepAlive: KeepAlive;
beforeEach(() => {
  registry = new SessionRegistry();
  renewed = [];
  answer = () => Promise.resolve();
  const renew = (_: WorkerId, sessions: readonly SessionRef[]): Promise<void> => {
    const clients = sessions.map(({ client }) => client);
    renewed.push(clients);
    return answer(clients);
  };
  keepAlive = new KeepAlive(WORKER, { renew } as Partial<Store> as Store, registry);
});

function enter(count: number): string[] {
  const names = Array.from({ length: count }, (_, i) => `client-${String(i)}x`);
  for (const name of names) registry.add(createReceiver(name).session);
  return names;
}

async function regularStep(): Promise<void> {
  for (let i = 1; i < REGULAR; i++) expect(keepAlive.step()).toBeUndefined();
  await keepAlive.step()?.catch(() => undefined);
}

test('renews every session within sixty regular steps', async () => {
  const names = enter(150);
  for (let i = 0; i < 60; i++) await regularStep();
  expect([...new Set(renewed.flat())].sort()).toEqual(names.sort());
});

test('renews all at once, in batches, when the store may have lost them', async () => {
  enter(1200);
  keepAlive.renewAll();
  while (renewed.length < 3) await keepAlive.step();
  expect(renewed.map(({ length }) => length)).toEqual([500, 500, 200]);
  expect(keepAlive.step()).toBeUndefined();
});

test('goes on with the others where some cannot be renewed, and comes back to those', async () => {
  const names = enter(4);
  answer = ([client]) => (client === names[0] ? Promise.reject(new Error('unavailable')) : Promise.resolve());
  for (let i = 0; i < 6; i++) await regularStep();
  expect(renewed.flat()).toEqual([...names, names[0], names[0]]);
});

test('renews those again whose renewal was under way when all were asked for', async () => {
  const names = enter(3);
  keepAlive.renewAll();
  answer = () => {
    if (renewed.length === 1) keepAlive.renewAll();
    return Promise.resolve();
  };
  await keepAlive.step();
  await keepAlive.step();
  expect(renewed).toEqual([names, names]);
  expect(keepAlive.step()).toBeUndefined();
});
