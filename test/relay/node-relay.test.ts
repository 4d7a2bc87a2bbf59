// Which siblings a worker sends to: also one of whom the primary has not told yet, none that is gone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { ClientId, SessionId, WorkerId } from '../../src/protocol/ids.js';
import type { Envelope } from '../../src/relay/envelope.js';
import { NodeRelay } from '../../src/relay/node-relay.js';
import { until } from '../client/fixture.js';

const NODE = 'n0de';
const directory = mkdtempSync(join(tmpdir(), 'node-relay-'));
const relays: NodeRelay[] = [];

afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.close()));
  rmSync(directory, { recursive: true, force: true });
});

const idOf = (number: number): WorkerId => `${NODE}.${String(number)}` as WorkerId;

async function begin(number: number): Promise<{ relay: NodeRelay; heard: Envelope[] }> {
  const heard: Envelope[] = [];
  const listener = (envelope: Envelope): void => void heard.push(envelope);
  const relay = new NodeRelay({ worker: idOf(number), directory, listener, count: () => undefined });
  relays.push(relay);
  await relay.open();
  return { relay, heard };
}

const letterFrom = (number: number): Envelope => ({
  kind: 'deliver',
  origin: idOf(number),
  client: 'bob' as ClientId,
  sessions: ['A'.repeat(22) as SessionId],
  body: new Uint8Array([1, 2, 3]),
});

test('a worker sends to one that has begun since the primary told of all, and to nobody who is gone', async () => {
  const [first, second] = [await begin(1), await begin(2)];
  first.relay.setSiblings([idOf(1), idOf(2)]);
  expect(first.relay.send(idOf(2), letterFrom(1))).toBe(true);
  await until(() => second.heard.length === 1);
  const third = await begin(3);
  expect(first.relay.send(idOf(3), letterFrom(1))).toBe(true);
  await until(() => third.heard.length === 1);
  first.relay.setSiblings([idOf(1), idOf(3)]);
  expect(first.relay.send(idOf(2), letterFrom(1))).toBe(false);
  first.relay.setSiblings([idOf(1)]);
  expect(first.relay.send(idOf(3), letterFrom(1))).toBe(false);
});
