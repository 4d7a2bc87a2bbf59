// Tabs that share a session, with a real gateway: what each hears, and what becomes of it when one closes or crashes.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import { type Environment, REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { codeOf } from '../fixture.js';
import { TestBrowserProfile, type TestTab } from './tab-of-test.js';

/** A network that can be away. */
class Relay {
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async open(port: number): Promise<Relay> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('It listens on no port.');
    const relay = new Relay(server, `ws://127.0.0.1:${String(address.port)}`);
    server.on('connection', (socket: Socket) => {
      const other = connect(port, '127.0.0.1');
      for (const one of [socket, other]) {
        relay.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          socket.destroy();
          other.destroy();
        });
      }
      if (relay.#isCut) socket.destroy();
      socket.pipe(other).pipe(socket);
    });
    return relay;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** Every wait between tries is the longest. */
const SLOW: Environment = { ...REAL_ENVIRONMENT, random: () => 1 };

/** Everything beneath the client takes a tenth of its time. */
const QUICK: Environment = {
  ...REAL_ENVIRONMENT,
  now: () => Date.now() * 10,
  after: (ms, run) => REAL_ENVIRONMENT.after(ms / 10, run),
};

let gateway: GatewayProcess;
let profile: TestBrowserProfile;
let bob: Client;

beforeAll(async () => {
  gateway = await startGateway({ WORKERS: '1' });
}, 30_000);
afterAll(async () => {
  await gateway.stop();
}, 30_000);
beforeEach(async () => {
  profile = new TestBrowserProfile();
  bob = new Client(gateway.url, { token: tokenOf('bob'), WebSocket });
  await bob.connect();
});
afterEach(async () => {
  await profile.close();
  await bob.close();
});

let round = 0;
/** Another client in each test. */
let name = '';
beforeEach(() => {
  name = `alice${String(round++)}`;
});

function open(token = tokenOf(name), beneath?: Environment): TestTab {
  return profile.open(gateway.url, { token }, undefined, beneath);
}

async function connected(count: number, beneath?: Environment): Promise<TestTab[]> {
  const tabs = Array.from({ length: count }, () => open(undefined, beneath));
  await Promise.all(tabs.map(({ client }) => client.connect()));
  return tabs;
}

const socketsOf = (): number => profile.tabs.reduce((sum, { sockets }) => sum + sockets.length, 0);

function heardBy({ client }: TestTab): unknown[] {
  const heard: unknown[] = [];
  client.onMessage('*', (data) => heard.push(data));
  return heard;
}

describe('tabs of one client', () => {
  test('have one session and one connection together', async () => {
    const [one, two, three] = (await connected(3)) as [TestTab, TestTab, TestTab];
    expect(socketsOf()).toBe(1);
    expect(new Set([one, two, three].map(({ client }) => client.sessionId)).size).toBe(1);
    expect(await gateway.locate(name)).toHaveLength(1);
  });

  test('hear messages of the client and of their rooms each, once and in order', async () => {
    const [one, two] = (await connected(2)) as [TestTab, TestTab];
    const heard = [heardBy(one), heardBy(two)];
    const rooms: unknown[][] = [[], []];
    for (const [at, { client }] of [one, two].entries()) {
      client.room(`r-${name}`).onMessage('n', (data) => rooms[at]?.push(data));
      await client.room(`r-${name}`).join();
    }
    for (let n = 0; n < 20; n++) {
      await bob.send(name, 'n', n);
      await bob.room(`r-${name}`).publish('n', n);
    }
    const all = Array.from({ length: 20 }, (_, n) => n);
    await until(() => [...heard, ...rooms].every(({ length }) => length >= 20));
    expect([...heard, ...rooms]).toEqual([all, all, all, all]);
  });

  test('each get the answer to what they asked', async () => {
    const tabs = await connected(3);
    bob.onRequest('double', (n: number) => 2 * n);
    const answers = await Promise.all(
      tabs.flatMap(({ client }, at) => [1, 2, 3].map((n) => client.request('bob', 'double', 10 * at + n))),
    );
    expect(answers).toEqual([2, 4, 6, 22, 24, 26, 42, 44, 46]);
  });

  test('send to one channel without loss or double, whatever the order of their numbers', async () => {
    const tabs = await connected(3);
    const got: unknown[] = [];
    bob.onMessage('n', (data) => got.push(data));
    await Promise.all(
      tabs.flatMap(({ client }, at) =>
        Array.from({ length: 50 }, (_, n) => client.send('bob', 'n', [at, n])),
      ),
    );
    await until(() => got.length >= 150);
    expect(new Set(got.map(String)).size).toBe(150);
    for (const at of [0, 1, 2])
      expect(got.filter((one) => (one as number[])[0] === at)).toEqual(
        Array.from({ length: 50 }, (_, n) => [at, n]),
      );
  });

  test('hear the receipt where they asked for it', async () => {
    const [one, two] = (await connected(2)) as [TestTab, TestTab];
    bob.onMessage('n', () => {});
    const sent = [one, two].map(({ client }) =>
      client.send('bob', 'n', 1, { delivered: true, timeoutMs: 5_000 }),
    );
    expect(await Promise.all(sent)).toEqual([
      { id: expect.any(String), absent: [] },
      { id: expect.any(String), absent: [] },
    ]);
  });

  test('answer a request by the tab that has a handler for it', async () => {
    const [, two] = (await connected(2)) as [TestTab, TestTab];
    two.client.onRequest('who', () => 'two');
    expect(await bob.request(name, 'who', null)).toBe('two');
    expect(await codeOf(bob.request(name, 'what', null))).toBe('no_handler');
  });

  test('are in a room until the last of them has left it', async () => {
    const [one, two] = (await connected(2)) as [TestTab, TestTab];
    const room = `r-${name}`;
    await one.client.room(room).join();
    await two.client.room(room).join();
    await one.client.room(room).leave();
    expect(await bob.room(room).count()).toBe(1);
    two.crash();
    await until(async () => (await bob.room(room).count()) === 0);
    expect(one.client.state).toBe('connected');
  });

  test('get the history of a room that another tab is in', async () => {
    const [one, two] = (await connected(2)) as [TestTab, TestTab];
    const room = `r-${name}`;
    const [first, second]: unknown[][] = [[], []];
    one.client.room(room).onMessage('n', (data) => first?.push(data));
    await one.client.room(room).join();
    for (let n = 0; n < 5; n++) await bob.room(room).publish('n', n);
    await until(() => first?.length === 5);
    two.client.room(room).onMessage('n', (data) => second?.push(data));
    await two.client.room(room).join({ history: 3 });
    await bob.room(room).publish('n', 5);
    await until(() => second?.includes(5) && first?.includes(5));
    expect([first, second]).toEqual([
      [0, 1, 2, 3, 4, 5],
      [2, 3, 4, 5],
    ]);
  });

  test('go on when one of them signs out', async () => {
    const tabs = await connected(3);
    const { leader } = profile;
    await leader?.client.close();
    const [other, another] = tabs.filter((tab) => tab !== leader) as [TestTab, TestTab];
    const heard = [heardBy(other), heardBy(another)];
    await bob.send(name, 'n', 'still here');
    await until(() => heard.every(({ length }) => length === 1));
    await other.client.close();
    await another.client.close();
    expect(await gateway.locate(name)).toHaveLength(0);
  });

  test('have another session where they are another client', async () => {
    const one = open();
    const two = open(tokenOf(`${name}-x`));
    await Promise.all([one.client.connect(), two.client.connect()]);
    expect(socketsOf()).toBe(2);
    expect([one.client.id, two.client.id]).toEqual([name, `${name}-x`]);
  });
});

test('tabs whose browser refuses locks have a session each, and say so', async () => {
  const warned = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
  try {
    profile.refusesLocks = true;
    const tabs = await connected(2);
    expect(new Set(tabs.map(({ client }) => client.sessionId)).size).toBe(2);
    expect(warned.mock.calls.map(([text]) => String(text))).toEqual([
      expect.stringContaining('refuses shareTabs'),
      expect.stringContaining('refuses shareTabs'),
    ]);
  } finally {
    warned.mockRestore();
  }
});

describe('a call with a wrong parameter', () => {
  test.each<[verb: string, call: (client: Client) => Promise<unknown>]>([
    ['send', (client) => client.send('b b', 'n', 1)],
    ['a volatile send', (client) => client.send('b b', 'n', 1, { volatile: true })],
    ['send with a negative life', (client) => client.send('bob', 'n', 1, { ttlMs: -1 })],
    ['isOnline', (client) => client.isOnline('b b')],
    ['request', (client) => client.request('b b', 'n', 1)],
    ['request with too long a wait', (client) => client.request('bob', 'n', 1, { timeoutMs: 1e9 })],

    ['clients', (client) => client.clients({ limit: 100_000 })],
  ])('rejects and leaves the connection: %s', async (_verb, call) => {
    const [{ client }] = (await connected(1)) as [TestTab];
    const states: string[] = [];
    client.on('state', (state) => states.push(state));
    // Who awaits no answer hears of none.
    await Promise.race([call(client).catch((error: unknown) => error), client.isOnline('bob')]);
    expect(await client.isOnline('bob')).toBe(true);
    expect([client.state, states]).toEqual(['connected', []]);
  });

  test('rejects with its code', async () => {
    const [{ client }] = (await connected(1)) as [TestTab];
    const plain = new Client(gateway.url, { token: tokenOf(`${name}-plain`), WebSocket });
    await plain.connect();
    for (const call of [
      (one: Client) => one.send('b b', 'n', 1),
      (one: Client) => one.isOnline('b b'),
      (one: Client) => one.clients({ limit: 100_000 }),
    ])
      expect(await codeOf(call(client))).toBe(await codeOf(call(plain)));
    await plain.close();
  });
});

describe('when the tab with the connection', () => {
  test('crashes, the others resume the session and miss nothing', async () => {
    const tabs = await connected(3);
    const heard = new Map(tabs.map((tab) => [tab, heardBy(tab)]));
    const session = tabs[0]?.client.sessionId;
    await bob.send(name, 'n', 0);
    await until(() => [...heard.values()].every(({ length }) => length === 1));
    const { leader } = profile;
    leader?.crash();
    await bob.send(name, 'n', 1);
    const others = tabs.filter((tab) => tab !== leader);
    await until(() => others.every((tab) => heard.get(tab)?.length === 2));
    for (const tab of others) {
      expect(tab.client.sessionId).toBe(session);
      expect(heard.get(tab)).toEqual([0, 1]);
    }
  });

  test('is closed, another one takes over at once', async () => {
    const tabs = await connected(2);
    const { leader } = profile;
    leader?.hide();
    leader?.crash();
    const [other] = tabs.filter((tab) => tab !== leader) as [TestTab];
    await until(() => other.sockets.length === 1 && other.client.state === 'connected');
    expect(profile.leader).toBe(other);
    expect(other.client.sessionId).toBe(tabs[0]?.client.sessionId);
  });

  test('crashes while messages are on their way, none is lost and none comes twice', async () => {
    const tabs = await connected(3);
    const got: string[] = [];
    bob.onMessage('n', (data) => got.push(String(data)));
    const { leader } = profile;
    const others = tabs.filter((tab) => tab !== leader);
    const sent = others.flatMap(({ client }, at) =>
      Array.from({ length: 60 }, (_, n) => client.send('bob', 'n', [at, n])),
    );
    await until(() => got.length >= 10);
    leader?.crash();
    await Promise.all(sent);
    await until(() => got.length >= 120);
    await bob.isOnline('bob');
    expect([...got].sort()).toEqual([...new Set(got)].sort());
    for (const at of [0, 1])
      expect(got.filter((one) => one.startsWith(String(at)))).toEqual(
        Array.from({ length: 60 }, (_, n) => `${String(at)},${String(n)}`),
      );
  });

  test('crashes, a request of another tab gets its answer all the same', async () => {
    const tabs = await connected(2);
    const { leader } = profile;
    const [other] = tabs.filter((tab) => tab !== leader) as [TestTab];
    let answer: ((data: unknown) => void) | null = null;
    bob.onRequest('slow', () => new Promise((resolve) => (answer = resolve)));
    const asked = other.client.request('bob', 'slow', null);
    const give = await until(() => answer);
    leader?.crash();
    await until(() => other.sockets.length === 1 && other.client.state === 'connected');
    give('late');
    expect(await asked).toBe('late');
  });

  test('loses its connection, all of them resume', async () => {
    const tabs = await connected(2);
    const heard = tabs.map(heardBy);
    profile.leader?.sockets.at(-1)?.terminate();
    await bob.send(name, 'n', 0);
    await until(() => heard.every(({ length }) => length === 1));
    expect(tabs.map(({ client }) => client.state)).toEqual(['connected', 'connected']);
  });

  test('crashes while the gateway is away, the others go on with the session however late they come back', async () => {
    const away = await startGateway({ WORKERS: '1' });
    const relay = await Relay.open(away.port);
    try {
      const tabs = Array.from({ length: 3 }, () =>
        profile.open(relay.url, { token: tokenOf(name), backoff: { minMs: 3_000, maxMs: 3_000 } }, SLOW),
      );
      await Promise.all(tabs.map(({ client }) => client.connect()));
      const session = tabs[0]?.client.sessionId;
      const lost: unknown[] = [];
      for (const { client } of tabs) client.on('stateLost', (info) => lost.push(info));
      const { leader } = profile;
      relay.cut();
      leader?.crash();
      const others = tabs.filter((tab) => tab !== leader);
      // Longer than a new hub waits for tabs; they are all in their back-off.
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      expect(others.map(({ client }) => client.state)).toEqual(['reconnecting', 'reconnecting']);
      relay.mend();
      await until(() => others.every(({ client }) => client.state === 'connected'));
      expect(others.map(({ client }) => client.sessionId)).toEqual([session, session]);
      expect(lost).toEqual([]);
    } finally {
      await profile.close();
      await relay.close();
      await away.stop();
    }
  }, 20_000);

  test('had rooms alone, they are left', async () => {
    const tabs = await connected(2);
    const { leader } = profile;
    const [other] = tabs.filter((tab) => tab !== leader) as [TestTab];
    await leader?.client.room(`a-${name}`).join();
    await other.client.room(`b-${name}`).join();
    leader?.crash();
    await until(async () => (await bob.room(`a-${name}`).count()) === 0);
    expect(await bob.room(`b-${name}`).count()).toBe(1);
  }, 10_000);
});

describe('a message between tabs that the browser loses', () => {
  test.each([
    'to the tab with the connection, which is closed then',
    'to the tab with the connection',
    'from it',
  ])(
    'breaks no order: %s',
    async (way) => {
      const tabs = await connected(3);
      const { leader } = profile;
      const others = tabs.filter((tab) => tab !== leader);
      const got: unknown[] = [];
      bob.onMessage('n', (data) => got.push(data));
      const count = 120;
      const sent: Promise<unknown>[] = [];
      for (let n = 0; n < count; n++) {
        for (const [at, { client }] of others.entries()) sent.push(client.send('bob', 'n', [at, n]));
        if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        if (n === 40) (way === 'from it' ? others[0] : leader)?.loseNext();
        if (n === 80 && way.endsWith('then')) {
          leader?.hide();
          leader?.crash();
        }
      }
      await Promise.all(sent);
      await until(() => got.length >= 2 * count);
      for (const at of [0, 1])
        expect(got.filter((one) => (one as number[])[0] === at)).toEqual(
          Array.from({ length: count }, (_, n) => [at, n]),
        );
    },
    15_000,
  );
});

test('a tab whose script is stopped in the middle gives the connection away, and breaks no order', async () => {
  const tabs = await connected(3);
  const { leader } = profile;
  const [one, two] = tabs.filter((tab) => tab !== leader) as [TestTab, TestTab];
  const got: unknown[] = [];
  bob.onMessage('n', (data) => got.push(data));
  const sent: Promise<unknown>[] = [];
  for (let n = 0; n < 60; n++) {
    for (const [at, { client }] of [one, two].entries()) sent.push(client.send('bob', 'n', [at, n]));
    if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    if (n === 30) leader?.stopAt('took');
  }
  await Promise.all(sent);
  await until(() => got.length >= 120);
  expect(profile.leader).not.toBe(leader);
  for (const at of [0, 1])
    expect(got.filter((data) => (data as number[])[0] === at)).toEqual(
      Array.from({ length: 60 }, (_, n) => [at, n]),
    );
}, 15_000);

test('a tab that hangs with the connection is put out of it, and goes on with the others when it wakes', async () => {
  const tabs = await connected(3, QUICK);
  const { leader } = profile;
  const others = tabs.filter((tab) => tab !== leader);
  const [other] = others as [TestTab];
  const session = other.client.sessionId;
  const heard = new Map(tabs.map((tab) => [tab, heardBy(tab)]));
  const states: string[] = [];
  leader?.client.on('state', (state) => states.push(state));
  leader?.freeze();
  await other.client.send('bob', 'n', 'on');
  expect(profile.leader).not.toBe(leader);
  await bob.send(name, 'n', 0);
  await until(() => others.every((tab) => heard.get(tab)?.length === 1));
  leader?.thaw();
  await until(() => states.includes('connected'));
  await bob.send(name, 'n', 1);
  await until(() => tabs.every((tab) => heard.get(tab)?.length === 2));
  expect([...heard.values()]).toEqual(tabs.map(() => [0, 1]));
  expect(tabs.map(({ client }) => [client.state, client.sessionId])).toEqual(
    tabs.map(() => ['connected', session]),
  );
  expect(states).not.toContain('closed');
  await leader?.client.send('bob', 'n', 'too');
}, 15_000);

test('a frozen tab does not hold up the others, and gets what it missed', async () => {
  const tabs = await connected(3);
  const { leader } = profile;
  const [frozen, other] = tabs.filter((tab) => tab !== leader) as [TestTab, TestTab];
  const heard = [heardBy(frozen), heardBy(other)];
  frozen.freeze();
  const sent = frozen.client.send('bob', 'n', 'from the ice');
  const got: unknown[] = [];
  bob.onMessage('n', (data) => got.push(data));
  // The same channel: its number comes after that of the frozen one.
  await other.client.send('bob', 'n', 'from the living');
  await bob.send(name, 'n', 0);
  await until(() => heard[1]?.length === 1);
  frozen.thaw();
  await sent;
  await until(() => heard[0]?.length === 1 && got.length === 2);
  expect(got).toEqual(['from the living', 'from the ice']);
}, 15_000);

describe('a client that is closed without a farewell, and connects again', () => {
  async function oneWithTheConnection(): Promise<[one: TestTab, two: TestTab]> {
    const tabs = await connected(2);
    return tabs.sort((tab) => (tab === profile.leader ? -1 : 1)) as [TestTab, TestTab];
  }

  /** The state is over in a moment, so it is not polled for. */
  async function cut(one: TestTab, two: TestTab): Promise<void> {
    const reconnecting = new Promise<void>((resolve) => {
      two.client.on('state', (state) => {
        if (state === 'reconnecting') resolve();
      });
    });
    one.sockets.at(-1)?.terminate();
    await reconnecting;
    expect(two.client.state).toBe('reconnecting');
  }

  /** What bob got of two lives of one client, which ended while there was no connection. */
  async function twoLives(between: (two: TestTab, one: TestTab) => Promise<unknown>): Promise<unknown[]> {
    const [one, two] = await oneWithTheConnection();
    const got: unknown[] = [];
    bob.onMessage('n', (data) => got.push(data));
    for (const n of [1, 2]) await two.client.send('bob', 'n', `first-${String(n)}`);
    await cut(one, two);
    await between(two, one);
    await two.client.connect();
    for (const n of [1, 2, 3]) await two.client.send('bob', 'n', `second-${String(n)}`);
    await until(() => got.includes('second-3'));
    return got;
  }
  const ALL = ['first-1', 'first-2', 'second-1', 'second-2', 'second-3'];

  test('has messages of its own, at the same hub', async () => {
    expect(await twoLives((two) => two.client.close())).toEqual(ALL);
  });

  test('has messages of its own, at a hub that took its notes over', async () => {
    expect(
      await twoLives(async (two, one) => {
        await two.client.close();
        one.crash();
      }),
    ).toEqual(ALL);
  });

  test('leaves the rooms that it was in alone', async () => {
    const [one, two] = await oneWithTheConnection();
    await two.client.room(`r-${name}`).join();
    await cut(one, two);
    await two.client.close();
    await two.client.connect();
    await until(() => one.client.state === 'connected');
    await until(async () => (await bob.room(`r-${name}`).count()) === 0);
  });
});

test('a hub whose own client has left goes on when its connection is lost', async () => {
  const tabs = await connected(2);
  const { leader } = profile;
  const [other] = tabs.filter((tab) => tab !== leader) as [TestTab];
  await leader?.client.close();
  const heard = heardBy(other);
  leader?.sockets.at(-1)?.terminate();
  await bob.send(name, 'n', 0);
  await until(() => heard.length === 1);
  expect([profile.leader === leader, other.sockets.length]).toEqual([true, 0]);
});
