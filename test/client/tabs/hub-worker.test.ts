// The hub in a SharedWorker, and what becomes of it where there is none, or none that can be had.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import { type Environment, REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { HubPlace, type WorkerLink } from '../../../src/client/tabs/hub-place.js';
import { HubWorker, type HubWorkerSettings } from '../../../src/client/tabs/hub-worker.js';
import type { TabsPlatform } from '../../../src/client/tabs/platform.js';
import { VERSION } from '../../../src/client/version.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { ManualEnvironment } from '../fixture.js';
import { TestBrowserProfile, type TestTab } from './tab-of-test.js';

/** Everything beneath the client takes a tenth of its time. */
const QUICK: Environment = {
  ...REAL_ENVIRONMENT,
  now: () => Date.now() * 10,
  after: (ms, run) => REAL_ENVIRONMENT.after(ms / 10, run),
};
const SETTINGS: HubWorkerSettings = {
  name: 'session',
  url: 'ws://gateway.example/v1/connect',
  agent: '',
  acceptTimeoutMs: 1,
  connectTimeoutMs: 1,
  offlineQueueLimitBytes: 1,
  transports: undefined,
};

let gateway: GatewayProcess;
let profile: TestBrowserProfile;
let bob: Client;
let round = 0;
let name = '';

beforeAll(async () => {
  gateway = await startGateway({ WORKERS: '1' });
}, 30_000);
afterAll(async () => {
  await gateway.stop();
}, 30_000);
beforeEach(async () => {
  name = `alice${String(round++)}`;
  profile = new TestBrowserProfile();
  profile.hasWorkers = true;
  bob = new Client(gateway.url, { token: tokenOf('bob'), WebSocket });
  await bob.connect();
});
afterEach(async () => {
  await profile.close();
  await bob.close();
});

async function connected(count: number, options = {}, beneath?: Environment): Promise<TestTab[]> {
  const tabs = Array.from({ length: count }, () =>
    profile.open(gateway.url, { token: tokenOf(name), ...options }, undefined, beneath),
  );
  await Promise.all(tabs.map(({ client }) => client.connect()));
  return tabs;
}

const socketsOf = (tabs: readonly TestTab[]): number[] => tabs.map(({ sockets }) => sockets.length);

test('a worker has the connection of all tabs, and none of the others notices that one is gone', async () => {
  const tabs = await connected(3);
  expect([profile.hub === profile.worker, socketsOf(tabs), profile.worker?.sockets.length]).toEqual([
    true,
    [0, 0, 0],
    1,
  ]);
  const [first, second, third] = tabs as [TestTab, TestTab, TestTab];
  const states: string[] = [];
  for (const { client } of [second, third]) client.on('state', (state) => states.push(state));
  first.crash();
  await second.client.close();
  await third.client.send('bob', 'n', 1);
  expect(states).toEqual(['closed']);
  expect(await gateway.locate(name)).toHaveLength(1);
  await third.client.close();
  expect(await gateway.locate(name)).toHaveLength(0);
});

test('a tab takes over where the worker dies, and tabs that come later find a new worker that stands behind them', async () => {
  const tabs = await connected(2);
  const heard: unknown[][] = [[], []];
  for (const [at, { client }] of tabs.entries()) client.onMessage('n', (data) => heard[at]?.push(data));
  const session = tabs[0]?.client.sessionId;
  const { worker } = profile;
  worker?.crash();
  await bob.send(name, 'n', 1);
  await until(() => heard.every(({ length }) => length === 1));
  expect(tabs.map(({ client }) => client.sessionId)).toEqual([session, session]);
  expect([...socketsOf(tabs)].sort()).toEqual([0, 1]);
  const { leader } = profile;
  await until(() => profile.worker !== worker);
  for (const tab of tabs) if (tab !== leader) await tab.client.close();
  const [late] = (await connected(1)) as [TestTab];
  leader?.crash();
  await until(() => profile.hub === profile.worker);
  await late.client.send('bob', 'n', 1);
  expect(late.client.sessionId).toBe(session);
});

test('a worker that hangs is put out of the session', async () => {
  const [one] = (await connected(2, {}, QUICK)) as [TestTab];
  const { worker } = profile;
  worker?.freeze();
  await one.client.send('bob', 'n', 1);
  expect(profile.hub).not.toBe(worker);
  worker?.thaw();
  await one.client.send('bob', 'n', 2);
  expect(profile.hub).not.toBe(worker);
}, 15_000);

test('a hub that hangs is put out also by a tab that gives up each try to connect before that can be noticed', async () => {
  profile.hasWorkers = false;
  await connected(1, {}, QUICK);
  const { leader } = profile;
  leader?.freeze();
  // Half a second of silence is needed.
  const [late] = (await connected(1, { connectTimeoutMs: 400 }, QUICK)) as [TestTab];
  expect(profile.leader).toBe(late);
  leader?.thaw();
}, 30_000);

test('what tabs share has the version of the SDK in its name', async () => {
  await connected(2);
  const names = profile.locks.map((lock) => lock.name ?? '');
  // The session's, the worker's and two tabs'.
  expect(names).toHaveLength(4);
  expect(names.filter((one) => !one.startsWith(`signalbox ${VERSION} `))).toEqual([]);
});

test('a client that is closed and connects at once has a place among the tabs', async () => {
  const [one] = (await connected(2)) as [TestTab];
  const states: string[] = [];
  one.client.on('state', (state) => states.push(state));
  void one.client.close();
  await one.client.connect();
  await one.client.send('bob', 'n', 1);
  expect(profile.locks.filter((lock) => lock.name?.includes(' tab '))).toHaveLength(2);
  expect(states).toEqual(['closed', 'connecting', 'connected']);
});

test('a client that is closed while the worker hangs connects again, though that one has its lock now', async () => {
  const [one, two] = (await connected(2, {}, QUICK)) as [TestTab, TestTab];
  profile.worker?.freeze();
  await one.client.send('bob', 'n', 1);
  const other = profile.leader === one ? two : one;
  await other.client.close();
  await other.client.connect({ signal: AbortSignal.timeout(10_000) });
  expect(other.client.sessionId).toBe((profile.leader as TestTab).client.sessionId);
}, 20_000);

/** Locks that nobody else wants. */
const LOCKS: TabsPlatform = {
  channel: () => ({ onmessage: null, postMessage: () => undefined, close: () => undefined }),
  hold: () => Promise.resolve(() => undefined),
  held: () => Promise.resolve([]),
  onPageHidden: () => () => undefined,
};

function workerWith(platform: TabsPlatform | null, environment: Environment = REAL_ENVIRONMENT): HubWorker {
  return new HubWorker({
    platform,
    environment,
    socketClass: () => () => {
      throw new Error('It makes no connection.');
    },
  });
}

test('a worker refuses tabs of another version, and all where it may hold no locks', async () => {
  const worker = workerWith(LOCKS);
  expect(await worker.take(['stand', '0.0.1', SETTINGS])).toEqual(['refuses']);
  expect((await worker.take(['stand', VERSION, SETTINGS]))[0]).toBe('stands');
  expect(await workerWith(null).take(['stand', VERSION, SETTINGS])).toEqual(['refuses']);
  const hold = (): Promise<never> => Promise.reject(new Error('blocked'));
  expect(await workerWith({ ...LOCKS, hold }).take(['stand', VERSION, SETTINGS])).toEqual(['refuses']);
});

test('a worker gives the session back where no tab is there half a minute later', async () => {
  const environment = new ManualEnvironment();
  const released: string[] = [];
  const hold: TabsPlatform['hold'] = (lock) => Promise.resolve(() => released.push(lock));
  let held = [{ name: 'session tab 1' }];
  await workerWith({ ...LOCKS, hold, held: () => Promise.resolve(held) }, environment).take([
    'stand',
    VERSION,
    SETTINGS,
  ]);
  const pass = async (): Promise<void> => {
    environment.advance(30_000);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await pass();
  expect(released).toEqual([]);
  held = [];
  await pass();
  expect(released).toEqual(['session', expect.stringContaining('session worker ')]);
});

function linkThat(answers: (link: WorkerLink) => void): [link: WorkerLink, closed: () => boolean] {
  let isClosed = false;
  const link: WorkerLink = {
    onreport: null,
    onfailure: null,
    post: () => {
      answers(link);
    },
    close: () => {
      isClosed = true;
    },
  };
  return [link, () => isClosed];
}

test('a worker that says nothing for 3 s is done without, and another one asked the next time', async () => {
  const environment = new ManualEnvironment();
  const [silent, isClosed] = linkThat(() => undefined);
  let opened = 0;
  const place = new HubPlace(
    () => {
      opened++;
      return silent;
    },
    LOCKS,
    environment,
  );
  const asked = place.stand(SETTINGS);
  environment.advance(3_000);
  expect([await asked, isClosed(), opened]).toEqual([false, true, 1]);
  void place.stand(SETTINGS);
  expect(opened).toBe(2);
});

test.each<[string, () => WorkerLink | null]>([
  [
    'throws',
    () => {
      throw new Error('of another origin');
    },
  ],
  ['is not known', () => null],
])('a tab does without a worker that %s', (_how, open) => {
  const place = new HubPlace(open, LOCKS, new ManualEnvironment());
  expect([place.stand(SETTINGS), place.stand(SETTINGS)]).toEqual([null, null]);
});

test.each<[string, (link: WorkerLink) => void]>([
  ['could not be loaded', ({ onfailure }) => onfailure?.()],
  ['refused', ({ onreport }) => onreport?.(['refuses'])],
])('a tab asks no more for a worker that %s', async (_how, answer) => {
  const [link] = linkThat((asked) => {
    queueMicrotask(() => {
      answer(asked);
    });
  });
  const place = new HubPlace(() => link, LOCKS, new ManualEnvironment());
  expect(await place.stand(SETTINGS)).toBe(false);
  expect(place.stand(SETTINGS)).toBeNull();
});
