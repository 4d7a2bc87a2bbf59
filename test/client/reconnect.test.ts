// When the SDK comes back, when it does not, how long it waits, and what the session is told.
import { describe, expect, test } from '@jest/globals';
import { backoff } from '../../src/client/backoff.js';
import { REAL_ENVIRONMENT } from '../../src/client/environment.js';
import type { State, StateInfo } from '../../src/client/state.js';
import { CODES, type Code } from '../../src/protocol/codes.js';
import { codeOf, EAGER, ManualEnvironment, until, useScriptedGateways } from './fixture.js';
import { OTHER_SESSION, SESSION } from './scripted-gateway.js';

const { gateway, client, pair } = useScriptedGateways();

/** Codes that a server can put in a close frame. */
const rows = (Object.keys(CODES) as Code[]).flatMap((code) => {
  const { close, then } = CODES[code];
  return close === null || close === 1006 ? [] : [{ code, close, then }];
});

describe('backoff()', () => {
  test('doubles its range up to the limit and draws from all of it', () => {
    const range = { minMs: 500, maxMs: 30_000 };
    expect([0, 1, 2, 5, 6, 1000].map((attempt) => backoff(attempt, 0.5, range))).toEqual([
      250, 500, 1000, 8000, 15_000, 15_000,
    ]);
    expect(backoff(3, 0, range)).toBe(0);
    expect(backoff(3, 0.999999, range)).toBeLessThan(4000);
  });
});

describe('a close by the gateway', () => {
  test.each(rows.filter(({ then }) => then === 'resume'))(
    'is followed by a resume when it is $code',
    async ({ code, close }) => {
      const { gateway: opened, client: made, peer } = await pair({ token: () => 'a.b.c' });
      const states: [State, StateInfo][] = [];
      made.on('state', (...told) => states.push(told));
      peer.close(close);
      const again = await opened.accept();
      expect((await again.next('hello')).resume).toEqual({
        session: SESSION,
        key: 'key-1',
        cursors: [[null, null]],
      });
      expect(states).toEqual([['reconnecting', { code, close, retryInMs: 0 }]]);
    },
  );

  test.each(rows.filter(({ then }) => then === 'stop'))(
    'ends the client when it is $code',
    async ({ code, close }) => {
      const { gateway: opened, client: made, peer, errors } = await pair();
      const queued = codeOf(made.request('bob', 'add', 1));
      const closed = new Promise<StateInfo>((resolve) => {
        made.on('state', (state, info) => state === 'closed' && resolve(info));
      });
      peer.close(close);
      expect(await closed).toEqual({ code, close, retryInMs: null });
      expect(await queued).toBe(code);
      expect(errors).toMatchObject([{ code }]);
      expect(opened.waiting).toBe(0);
    },
  );

  test.each([
    [4234, 'reconnecting'],
    [4777, 'closed'],
    [3000, 'reconnecting'],
  ] as const)('goes by the range when %i is not in the table: %s', async (close, expected) => {
    const { client: made, peer } = await pair({}, REAL_ENVIRONMENT);
    const moved = new Promise((resolve) => made.on('state', resolve));
    peer.close(close);
    expect(await moved).toBe(expected);
  });

  test('rejects connect() with its code when it comes before the welcome', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const connected = codeOf(made.connect());
    (await opened.accept()).close(4501);
    expect(await connected).toBe('invalid_token');
    expect(made.state).toBe('closed');
    // It has reached the caller.
    expect(made.errors).toEqual([]);
  });

  test('tells upgrade when the gateway does not speak this version', async () => {
    const { client: made, peer } = await pair();
    const told = new Promise((resolve) => made.on('upgrade', resolve));
    peer.close(4506);
    expect(await told).toEqual({ version: 1 });
  });

  test('is read from goaway when the close frame got lost', async () => {
    const { client: made, peer } = await pair();
    const moved = new Promise<StateInfo>((resolve) => made.on('state', (_state, info) => resolve(info)));
    peer.send({ type: 'goaway', close: 4504, retryAfterMs: 0 });
    peer.cut();
    expect(await moved).toMatchObject({ code: 'kicked', close: 4504 });
  });

  test('adds the wait that goaway asks for to the jitter', async () => {
    const { client: made, peer } = await pair({}, new ManualEnvironment(0.5));
    const moved = new Promise<StateInfo>((resolve) => made.on('state', (_state, info) => resolve(info)));
    peer.send({ type: 'goaway', close: 1012, retryAfterMs: 2000 });
    peer.close(1012);
    expect(await moved).toEqual({ code: 'restart', close: 1012, retryInMs: 2250 });
  });
});

describe('a client without a connection', () => {
  test('waits longer after each failed try and tells so', async () => {
    const opened = await gateway();
    const environment = new ManualEnvironment(0.5);
    const made = client(opened.url, {}, environment);
    const waits: (number | null)[] = [];
    made.on('state', (_state, info) => waits.push(info.retryInMs));
    made.connect().catch(() => {});
    for (const wait of [250, 500, 1000]) {
      (await opened.accept()).cut();
      await until(() => waits.at(-1) === wait);
      expect(opened.waiting).toBe(0);
      environment.advance(wait);
    }
    await (await opened.accept()).welcome();
    await made.connect();
    expect(waits).toEqual([null, 250, 500, 1000, null]);
  });

  test('gives a try up when no welcome comes before its deadline', async () => {
    const opened = await gateway();
    const environment = new ManualEnvironment();
    const made = client(opened.url, { connectTimeoutMs: 5000 }, environment);
    const connected = made.connect();
    const silent = await opened.accept();
    await silent.next('hello');
    environment.advance(5000);
    await silent.closed;
    environment.advance(0);
    await (await opened.accept()).welcome();
    await connected;
  });

  test('starts with short waits again only after a connection that lasted', async () => {
    const environment = new ManualEnvironment(0.5);
    const { gateway: opened, client: made, peer } = await pair({}, environment);
    const waits: (number | null)[] = [];
    made.on('state', (_state, info) => info.retryInMs !== null && waits.push(info.retryInMs));
    peer.cut();
    await until(() => waits.length === 1);
    environment.advance(250);
    const second = await opened.accept();
    await second.welcome({ resumed: true });
    await made.connect();
    second.cut();
    await until(() => waits.length === 2);
    environment.advance(500);
    const third = await opened.accept();
    await third.welcome({ resumed: true });
    await made.connect();
    environment.advance(10_000);
    third.cut();
    await until(() => waits.length === 3);
    expect(waits).toEqual([250, 500, 250]);
  });

  test('resumes with the newest key', async () => {
    const { gateway: opened, peer } = await pair();
    peer.cut();
    const second = await opened.accept();
    await second.welcome({ resumed: true, resumeKey: 'key-2' });
    second.cut();
    const third = await opened.accept();
    expect((await third.next('hello')).resume).toEqual({
      session: SESSION,
      key: 'key-2',
      cursors: [[null, null]],
    });
  });

  test('does not tell stateLost when it was resumed', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    let lost = 0;
    made.on('stateLost', () => lost++);
    peer.cut();
    await (await opened.accept()).welcome({ resumed: true });
    await made.connect();
    expect(lost).toBe(0);
  });

  test('tells stateLost with both sessions when it was not resumed', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    const told = new Promise((resolve) => made.on('stateLost', resolve));
    peer.cut();
    await (await opened.accept()).welcome({ resumed: false, session: OTHER_SESSION });
    expect(await told).toEqual({ previous: SESSION, current: OTHER_SESSION });
    expect(made.sessionId).toBe(OTHER_SESSION);
  });
});

describe('liveness', () => {
  test('answers ping with pong', async () => {
    const { peer } = await pair();
    peer.send({ type: 'ping' });
    await peer.next('pong');
  });

  test('drops the connection and comes back when nothing was heard for two ping intervals', async () => {
    const environment = new ManualEnvironment();
    const { gateway: opened, client: made, peer } = await pair({}, environment, { pingIntervalMs: 1000 });
    environment.advance(1500);
    peer.send({ type: 'ping' });
    await peer.next('pong');
    environment.advance(1999);
    expect(made.state).toBe('connected');
    environment.advance(1);
    expect(made.state).toBe('reconnecting');
    await peer.closed;
    environment.advance(0);
    await (await opened.accept()).next('hello');
  });

  test('comes back when the gateway sends what is no frame, and ignores frames of a newer version', async () => {
    const { gateway: opened, client: made, peer, errors } = await pair();
    const heard = new Promise((resolve) => made.onMessage('*', resolve));
    peer.sendRaw(new Uint8Array([0x91, 0x7f]));
    peer.message('greet', 1);
    await heard;
    expect(errors).toEqual([]);
    peer.sendRaw('text');
    await (await opened.accept()).next('hello');
    expect(errors).toMatchObject([{ code: 'bad_frame' }]);
  });

  test('leaves no timer behind after close()', async () => {
    const environment = new ManualEnvironment();
    const { client: made, peer } = await pair({}, environment);
    void made.request('bob', 'add', 1).catch(() => {});
    const closing = made.close();
    peer.close(1000);
    await closing;
    expect(environment.pending).toBe(0);
  });
});

describe('tokens', () => {
  test('come from the function once while they are good, and again after token_expired', async () => {
    let calls = 0;
    const { gateway: opened, peer } = await pair({ token: () => `a.b.${++calls}` });
    expect(peer.offered).toContain('bearer.a.b.1');
    peer.cut();
    const second = await opened.accept();
    expect(second.offered).toContain('bearer.a.b.1');
    await second.welcome();
    second.close(4010);
    expect((await opened.accept()).offered).toContain('bearer.a.b.2');
  });

  test('come from the function again when the last one is about to expire', async () => {
    let calls = 0;
    const { gateway: opened, peer } = await pair({ token: async () => `a.b.${++calls}` }, EAGER, {
      tokenExpiresInMs: 1000,
    });
    peer.cut();
    expect((await opened.accept()).offered).toContain('bearer.a.b.2');
  });

  test('are refreshed on the connection when the gateway says that they expire', async () => {
    let calls = 0;
    const { gateway: opened, peer, errors } = await pair({ token: () => `a.b.${++calls}` });
    peer.send({ type: 'expiring', inMs: 30_000 });
    const frame = await peer.next('token');
    expect(frame.token).toBe('a.b.2');
    peer.ok(frame.ref, { expiresInMs: 3_600_000 });
    peer.send({ type: 'ping' });
    await peer.next('pong');
    peer.cut();
    expect((await opened.accept()).offered).toContain('bearer.a.b.2');
    expect(errors).toEqual([]);
  });

  test('are reported through error when the function fails, and the next try asks again', async () => {
    let calls = 0;
    const opened = await gateway();
    const made = client(opened.url, {
      token: () => {
        if (++calls === 1) throw new Error('no network');
        return 'a.b.c';
      },
    });
    const connected = made.connect();
    await (await opened.accept()).welcome();
    await connected;
    expect(made.errors).toMatchObject([{ code: 'unavailable', cause: { message: 'no network' } }]);
  });

  test('are reported through error when they are fixed strings that expire, and end the client when they did', async () => {
    const { client: made, peer, errors } = await pair({ token: 'a.b.c' });
    const closed = new Promise((resolve) =>
      made.on('state', (state) => state === 'closed' && resolve(state)),
    );
    peer.send({ type: 'expiring', inMs: 30_000 });
    peer.close(4010);
    await closed;
    expect(errors).toMatchObject([{ code: 'token_expired' }, { code: 'token_expired' }]);
  });

  test('are not offered again when they were refused, however long they were good for', async () => {
    let calls = 0;
    const { gateway: opened, client: made, peer } = await pair({ token: () => `a.b.${++calls}` });
    const closed = new Promise((resolve) =>
      made.on('state', (state) => state === 'closed' && resolve(state)),
    );
    peer.close(4501);
    await closed;
    const connected = made.connect();
    const next = await opened.accept();
    await next.welcome();
    await connected;
    expect(next.offered).toContain('bearer.a.b.2');
  });

  test('end the client with invalid_token when they cannot be a token', async () => {
    const opened = await gateway();
    const made = client(opened.url, { token: () => 'two words' });
    expect(await codeOf(made.connect())).toBe('invalid_token');
    expect(opened.waiting).toBe(0);
  });
});
