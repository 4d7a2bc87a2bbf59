// Streams that leave the gateway for a data channel and come back: real browsers, the path cut where it hurts, every byte compared.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { FaultProxy } from '../../faults/fault-proxy.js';
import { seeded } from '../../faults/random.js';
import { startTurnServer } from '../../turn-server.js';
import { Stage } from './scene.js';
import { isFull, PAIRS } from './pairs.js';

const PAGE = readFileSync(new URL('./ladder-page.js', import.meta.url), 'utf8');

/** The hundred cuts of 100 MB are played by one pair; the others have a tenth of it, and the short form has less. */
const MOST = isFull ? { bytes: 100e6, cuts: 100 } : { bytes: 8e6, cuts: 6 };
const SOME = isFull ? { bytes: 10e6, cuts: 10 } : MOST;
const SEED = Number(process.env.LADDER_SEED ?? 1);

/** Streams are as fast as they can be here. */
const FAST = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Setting {
  stage: Stage;
  /** A page that fetches it loses its connection to the gateway. */
  cutUrls: Record<'alice' | 'bob', string>;
}

async function set(pair: [string, string], env: Record<string, string> = {}): Promise<Setting> {
  const proxies = { alice: await FaultProxy.start([]), bob: await FaultProxy.start([]) };
  closers.push(...Object.values(proxies).map((proxy) => () => proxy.close()));
  const knife = createServer((request, response) => {
    proxies[request.url === '/alice' ? 'alice' : 'bob'].reset();
    response.end();
  }).listen(0, '127.0.0.1');
  await once(knife, 'listening');
  closers.push(() => new Promise((resolve) => knife.close(resolve)));
  const stage = await Stage.open(
    pair,
    { ...FAST, ...env },
    {
      urlOf: ({ port }, client) => {
        proxies[client].retarget([{ host: '127.0.0.1', port }]);
        return `ws://127.0.0.1:${String(proxies[client].port)}`;
      },
    },
  );
  closers.push(() => stage.close());
  for (const page of stage.pages) await page.evaluate(`(() => { ${PAGE} })()`);
  const origin = `http://127.0.0.1:${String((knife.address() as AddressInfo).port)}`;
  return { stage, cutUrls: { alice: `${origin}/alice`, bob: `${origin}/bob` } };
}

interface Carried {
  sentBytes: number;
  receivedBytes: number;
}
type Paths = Record<'gateway' | 'direct' | 'relay', Carried>;
interface Sent {
  sha: string;
  there: { at: number; sha: string; carried: Paths; cut: string[] };
  carried: Paths;
  cut: string[];
  changes: number;
  ms: number;
}

interface Cut {
  offset: number;
  how: 'channel' | 'connection';
}

/**
 * Seeded offsets, half of them the reader's. Before two thirds of them, somewhere in the first half of the way from the cut before, the
 * writer waits for a path beside the gateway.
 */
function planOf(seed: number, bytes: number, count: number) {
  const random = seeded(seed);
  const cuts: Record<'alice' | 'bob', Cut[]> = { alice: [], bob: [] };
  const holds: number[] = [];
  const offsets = Array.from({ length: count }, () => Math.floor(random.next() * bytes)).sort(
    (a, b) => a - b,
  );
  for (const [index, offset] of offsets.entries()) {
    cuts[random.next() < 0.5 ? 'alice' : 'bob'].push({
      offset,
      how: random.next() < 0.7 ? 'channel' : 'connection',
    });
    const before = offsets[index - 1] ?? 0;
    if (random.next() < 0.67) holds.push(before + Math.floor((random.next() * (offset - before)) / 2));
  }
  return { cuts, holds };
}

async function transfer(
  { stage, cutUrls }: Setting,
  {
    bytes,
    cuts: count,
    rtcConfiguration,
  }: { bytes: number; cuts: number; rtcConfiguration?: RTCConfiguration },
): Promise<Sent> {
  const [alice, bob] = stage.pages;
  const { cuts, holds } = planOf(SEED, bytes, count);
  const name = `bytes-${String(bytes)}`;
  await bob.evaluate(`takeBytes('${name}', ${String(bytes)}, ${JSON.stringify(cuts.bob)}, '${cutUrls.bob}')`);
  const order = {
    length: bytes,
    seed: SEED,
    holds,
    cuts: cuts.alice,
    gatewayCutUrl: cutUrls.alice,
    rtcConfiguration,
  };
  return (await alice.evaluate(`sendBytes('${name}', ${JSON.stringify(order)})`)) as Sent;
}

function report(what: string, { there, carried, cut, changes, ms }: Sent): void {
  const mb = (count: number): string => (count / 1e6).toFixed(1);
  const ways = (['gateway', 'direct', 'relay'] as const).map(
    (way) => `${way} ${mb(there.carried[way].receivedBytes)} MB (${mb(carried[way].sentBytes)} sent)`,
  );
  const all = [...cut, ...there.cut];
  const cuts = (['gateway', 'direct', 'relay'] as const).map(
    (way) => `${way} ${String(all.filter((one) => one === way).length)}`,
  );
  process.stdout.write(
    `${what}, seed ${String(SEED)}: ${ways.join(', ')}; cut: ${cuts.join(', ')}; ${String(changes)} moves, ${String(ms)} ms\n`,
  );
}

describe.each(PAIRS)('a stream from %s to %s', (...pair) => {
  const size = pair.join() === PAIRS[0]?.join() ? MOST : SOME;
  test(
    `comes whole over paths that are cut at ${String(size.cuts)} offsets`,
    async () => {
      const setting = await set(pair);
      const sent = await transfer(setting, size);
      report(pair.join(' to '), sent);
      expect(sent.there.at).toBe(size.bytes);
      expect(sent.there.sha).toBe(sent.sha);
      const { gateway, direct, relay } = sent.there.carried;
      expect(gateway.receivedBytes + direct.receivedBytes + relay.receivedBytes).toBe(size.bytes);
      // Both were there, and both were cut.
      expect(direct.receivedBytes).toBeGreaterThan(size.bytes / 20);
      expect(gateway.receivedBytes).toBeGreaterThan(0);
      expect(sent.cut.length + sent.there.cut.length).toBe(size.cuts);
      expect(new Set([...sent.cut, ...sent.there.cut])).toContain('direct');
      expect(sent.changes).toBeGreaterThan(1);
    },
    isFull ? 600_000 : 120_000,
  );
});

test('a stream of pages that may only use a relay goes through a real coturn', async () => {
  const secret = 'a-secret-of-coturn-for-streams';
  const turn = await startTurnServer([secret]);
  closers.push(() => turn.stop());
  const env = { TURN_URLS: `turn:127.0.0.1:${String(turn.port)}`, TURN_SECRET: secret };
  const setting = await set(['Chromium', 'Chromium'], env);
  const rtcConfiguration: RTCConfiguration = { iceTransportPolicy: 'relay' };
  const sent = await transfer(setting, { bytes: SOME.bytes, cuts: 4, rtcConfiguration });
  report('through a relay', sent);
  expect(sent.there).toMatchObject({ at: SOME.bytes, sha: sent.sha });
  const { gateway, direct, relay } = sent.there.carried;
  expect(gateway.receivedBytes + direct.receivedBytes + relay.receivedBytes).toBe(SOME.bytes);
  // The sender may use nothing but a relay, and knows so; its reader learns of the other side's candidate later, and counts as direct until then.
  expect(sent.carried.direct.sentBytes).toBe(0);
  expect(sent.carried.relay.sentBytes).toBeGreaterThan(SOME.bytes / 20);
  expect([...sent.cut, ...sent.there.cut].filter((path) => path !== 'gateway')).not.toHaveLength(0);
}, 120_000);

test('a stream goes on through the gateway while its relay is away, and returns to it', async () => {
  const secret = 'a-secret-of-coturn-that-comes-back';
  const first = await startTurnServer([secret]);
  closers.push(() => first.stop());
  const env = { TURN_URLS: `turn:127.0.0.1:${String(first.port)}`, TURN_SECRET: secret };
  const { stage } = await set(['Chromium', 'Chromium'], env);
  const [alice, bob] = stage.pages;
  const part = 1e6;
  await bob.evaluate(`takeBytes('relayed', ${String(3 * part)}, [], '')`);
  await alice.evaluate(
    `beginBytes('relayed', ${String(3 * part)}, ${String(SEED)}, { iceTransportPolicy: 'relay' })`,
  );
  const carried = async (): Promise<Paths> => (await alice.evaluate('sending.carried')) as Paths;
  const isAt = (path: string): Promise<unknown> =>
    alice.evaluate(`until(() => sending.path === '${path}', 60_000)`);

  await isAt('relay');
  await alice.evaluate(`sendPart(${String(part)})`);
  await first.stop();
  const before = await carried();
  expect(before.relay.sentBytes).toBeGreaterThan(0);
  await alice.evaluate(`sendPart(${String(part)})`);
  await isAt('gateway');
  const between = await carried();
  expect(between.gateway.sentBytes).toBeGreaterThan(before.gateway.sentBytes);

  const second = await startTurnServer([secret], undefined, { port: first.port });
  closers.push(() => second.stop());
  await isAt('relay');
  await alice.evaluate(`sendPart(${String(part)})`);
  const sent = (await alice.evaluate('endBytes()')) as Sent;
  report('relay stopped and started', sent);
  expect(sent.there).toMatchObject({ at: 3 * part, sha: sent.sha });
  expect(sent.carried.relay.sentBytes).toBeGreaterThan(between.relay.sentBytes + part / 2);
}, 180_000);

test('a stream whose acceptor keeps it with the gateway shows nobody an address', async () => {
  const { stage } = await set(['Chromium', 'Chromium']);
  const [alice, bob] = stage.pages;
  await bob.evaluate(
    `client.onStream('kept', ({ readable }) => readable.pipeTo(new WritableStream()), { via: 'gateway' })`,
  );
  await bob.evaluate(`takeBytes('free', 10, [], '')`);
  const path = await alice.evaluate(`(async () => {
    const kept = await client.openStream('bob', 'kept', { via: 'best' });
    // What a path takes at the most here, by one that gets one.
    const free = await client.openStream('bob', 'free', { via: 'best' });
    await until(() => free.path === 'direct');
    const writer = kept.writable.getWriter();
    await writer.write(bytesOf(1, 1e5));
    await writer.close();
    free.abort();
    return [kept.path, kept.carried.direct.sentBytes, kept.carried.gateway.sentBytes];
  })()`);
  expect(path).toEqual(['gateway', 0, 1e5]);
}, 60_000);
