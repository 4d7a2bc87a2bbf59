// What code that was written for Socket.IO's client does through `signalbox/socket.io`, against a real gateway.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import {
  fromName,
  io,
  type Socket,
  type SocketOptions,
  toName,
} from '../../src/client/socket-io/socket-io.js';
import { ADMIN_KEY, type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

let gateway: GatewayProcess;
let backend: Client;
const sockets: Socket[] = [];

beforeAll(async () => {
  gateway = await startGateway({ RESUME_WINDOW_MS: '5000' });
  backend = new Client(gateway.url, { token: tokenOf('chat-server') });
  await backend.connect();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) await socket.client.close();
});
afterAll(async () => {
  await backend.close();
  await gateway.stop();
});

const NEIGHBOURS = { send: ['*'], rooms: { join: ['room/*'], publish: ['room/*'] } };

function open(name: string, options: Partial<SocketOptions> = {}): Socket {
  const auth = { token: tokenOf(name, NEIGHBOURS) };
  const socket = io(gateway.url.replace('ws:', 'http:'), { auth, server: 'chat-server', ...options });
  // What is still awaited at the end of a test fails then.
  socket.on('emit_error', () => undefined);
  sockets.push(socket);
  return socket;
}

async function connected(name: string, options?: Partial<SocketOptions>): Promise<Socket> {
  const socket = open(name, options);
  await until(() => socket.connected);
  return socket;
}

/** What the socket's handler of an event got, as it comes. */
function heard(socket: Socket, event: string): unknown[][] {
  const calls: unknown[][] = [];
  socket.on(event, (...args: unknown[]) => calls.push(args));
  return calls;
}

describe('a name of Socket.IO', () => {
  test.each([
    ['chat', 'chat'],
    ['chat message', 'chat~20message'],
    ['größe', 'gr~C3~B6~C3~9Fe'],
    ['a~20b', 'a~7E20b'],
    ['🚀!', '~F0~9F~9A~80~21'],
  ])('%s travels as %s, and comes back', (text, name) => {
    expect(toName(text)).toBe(name);
    expect(fromName(name)).toBe(text);
  });

  test('that somebody else made stays as it is where it is no escape', () => {
    expect(fromName('~simple-peer')).toBe('~simple-peer');
  });
});

describe('emit', () => {
  test('reaches the backend with all its arguments, bytes and dates among them', async () => {
    const socket = await connected('alice');
    const got: unknown[] = [];
    const stop = backend.onMessage('chat~20message', (data, from) => got.push([from.client, data]));
    const when = new Date(5);
    socket.emit('chat message', 'hi', { n: 1 }, new Uint8Array([1, 2]), when).emit('chat message');
    await until(() => got.length === 2);
    expect(got).toEqual([
      ['alice', ['hi', { n: 1 }, new Uint8Array([1, 2]), when]],
      ['alice', []],
    ]);
    stop();
  });

  test('waits for the connection, and keeps its order', async () => {
    const got: unknown[] = [];
    const stop = backend.onMessage('n', (data) => got.push(data));
    const socket = open('alice', { autoConnect: false });
    for (let n = 0; n < 5; n++) socket.emit('n', n);
    expect([socket.active, socket.id]).toEqual([false, undefined]);
    socket.connect();
    await until(() => got.length === 5);
    expect(got).toEqual([[0], [1], [2], [3], [4]]);
    stop();
  });

  test('calls its acknowledgement with what the backend answers, one value or several', async () => {
    const socket = await connected('alice');
    const stops = [
      backend.onRequest('add', ([a, b]: [number, number]) => a + b),
      backend.onRequest('both', ([a]) => [a, 'second']),
      backend.onRequest('nothing', () => undefined),
    ];
    const acknowledged = (event: string, ...args: unknown[]) =>
      new Promise((resolve) => socket.emit(event, ...args, (...answer: unknown[]) => resolve(answer)));
    expect(await acknowledged('add', 1, 2)).toEqual([3]);
    expect(await acknowledged('both', 1)).toEqual([1, 'second']);
    expect(await acknowledged('nothing')).toEqual([]);
    expect(await socket.emitWithAck('add', 3, 4)).toBe(7);
    for (const stop of stops) stop();
  });

  test('with timeout() gives the error first, and null where there is none', async () => {
    const socket = await connected('alice');
    const stops = [
      backend.onRequest('hang', () => new Promise(() => undefined)),
      backend.onRequest('ok', () => 'fine'),
    ];
    const answers = await Promise.all(
      ['hang', 'ok', 'nobody'].map(
        (event) =>
          new Promise<unknown[]>((resolve) =>
            socket.timeout(300).emit(event, (...args: unknown[]) => resolve(args)),
          ),
      ),
    );
    expect(answers).toMatchObject([[{ code: 'timeout' }], [null, 'fine'], [{ code: 'no_handler' }]]);
    await expect(socket.timeout(200).emitWithAck('hang')).rejects.toMatchObject({ code: 'timeout' });
    for (const stop of stops) stop();
  });

  test('that fails is told by emit_error, a volatile one offline by nobody', async () => {
    const socket = await connected('alice', { server: 'nobody' });
    const errors = heard(socket, 'emit_error');
    socket.emit('news', 1);
    socket.emit('asked', 2, () => undefined);
    await until(() => errors.length === 2);
    expect(errors).toMatchObject([
      [{ code: 'not_found' }, 'news', [1]],
      [{ code: 'not_found' }, 'asked', [2]],
    ]);
    socket.disconnect();
    await until(() => socket.disconnected);
    socket.volatile.emit('news', 3);
    socket.emit('news', 4);
    await until(() => errors.length > 2);
    // In order: the volatile one before it would have been told by now.
    expect(errors.slice(2)).toMatchObject([[{ code: 'closed' }, 'news', [4]]]);
  });

  test('refuses reserved events, an acknowledgement of a room, and an emit to nobody', async () => {
    const socket = await connected('alice');
    const alone = io(gateway.url, { auth: { token: tokenOf('bob') } });
    sockets.push(alone);
    expect(() => socket.emit('connect')).toThrow(TypeError);
    expect(() => alone.emit('news')).toThrow(/option server/);
    await expect(alone.emitWithAck('news')).rejects.toThrow(/option server/);
    await expect(socket.to('room/1').emitWithAck('news')).rejects.toThrow(/not a room/);
  });
});

describe('a handler', () => {
  test('hears the backend and nobody else who sends directly, and sees who it was', async () => {
    const socket = await connected('alice');
    const other = await connected('mallory');
    const froms: unknown[] = [];
    const news = heard(socket, 'news');
    socket.on('news', () => froms.push(socket.from?.client));
    other.to(String(socket.id)).emit('news', 'forged');
    await other.emitWithAck('nobody').catch(() => undefined);
    await backend.send('alice', 'news', ['true']);
    await backend.send('alice', 'news', 'from another SDK');
    await until(() => news.length === 2);
    expect([news, froms, socket.from]).toEqual([
      [['true'], ['from another SDK']],
      ['chat-server', 'chat-server'],
      null,
    ]);
    await expect(other.client.request('alice', 'news', [])).rejects.toMatchObject({ code: 'no_handler' });
  });

  test('acknowledges what the backend asks, once for once(), and not after off()', async () => {
    const socket = await connected('alice');
    const seen: unknown[] = [];
    socket.onAny((event: string, ...args: unknown[]) => seen.push([event, args.length]));
    socket.on('ask', (a: number, done: (answer: number) => void) => done(a + 1));
    expect(await backend.request('alice', 'ask', [1])).toEqual([2]);
    socket.off('ask');
    await expect(backend.request('alice', 'ask', [1])).rejects.toMatchObject({ code: 'no_handler' });
    socket.once('ask', (_: number, done: (answer: string) => void) => done('once'));
    expect(await backend.request('alice', 'ask', [1])).toEqual(['once']);
    await expect(backend.request('alice', 'ask', [1])).rejects.toMatchObject({ code: 'no_handler' });
    expect(seen).toEqual([
      ['ask', 2],
      ['ask', 2],
    ]);
    expect(socket.listeners('ask')).toEqual([]);
  });

  test('that is there for once() and on() stays for on()', async () => {
    const socket = await connected('alice');
    const got: unknown[] = [];
    const hear = (n: number): unknown => got.push(n);
    socket.on('news', hear).once('news', hear);
    for (const n of [1, 2]) await backend.send('alice', 'news', [n]);
    await until(() => got.length >= 3);
    expect(got).toEqual([1, 1, 2]);
    expect(socket.listeners('news')).toEqual([hear]);
  });

  test("of every event does not hear the SDK's own signals, but names of applications that begin alike", async () => {
    const socket = await connected('alice');
    const got: string[] = [];
    socket.onAny((event: string) => got.push(event));
    for (const event of ['~rtc', toName('~rtc'), '~mine', 'news']) await backend.send('alice', event, [1]);
    await until(() => got.includes('news'));
    // The second is escaped on the wire.
    expect(got).toEqual(['~rtc', '~mine', 'news']);
  });

  test('that throws keeps no other from hearing, and is told', async () => {
    const socket = await connected('alice');
    const errors: unknown[] = [];
    socket.client.on('error', (error) => errors.push(error));
    socket.on('news', () => {
      throw new Error('mine');
    });
    socket.on('news', async () => {
      throw new Error('later');
    });
    const news = heard(socket, 'news');
    await backend.send('alice', 'news', [1]);
    await until(() => news.length === 1 && errors.length === 1);
    expect(errors).toMatchObject([{ message: 'mine' }]);
    await expect(backend.request('alice', 'news', [])).rejects.toMatchObject({ code: 'rejected' });
  });
});

describe('a room', () => {
  test('is joined, heard without its own messages, excepted from, and left', async () => {
    const [alice, bob, carol] = await Promise.all([connected('alice'), connected('bob'), connected('carol')]);
    await Promise.all([alice, bob, carol].map((socket) => socket.join('room/my room')));
    const [a, b, c] = [alice, bob, carol].map((socket) => heard(socket, 'line')) as [
      unknown[][],
      unknown[][],
      unknown[][],
    ];
    alice.to('room/my room').emit('line', 1);
    alice.to('room/my room').except('carol').emit('line', 2);
    await until(() => b.length === 2 && c.length === 1);
    await bob.leave('room/my room');
    alice.to('room/my room').volatile.emit('line', 3);
    await until(() => c.length === 2);
    expect([a, b, c]).toEqual([[], [[1], [2]], [[1], [3]]]);
  });

  test('that the server lets it join is heard', async () => {
    const socket = (await connected('alice')).hear('room/1');
    const lines = heard(socket, 'line');
    const joined = await fetch(`http://127.0.0.1:${gateway.adminPort}/api/v1/clients/alice/join`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ADMIN_KEY}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ room: 'room/1' }),
    });
    expect(joined.status).toBe(200);
    const bob = await connected('bob');
    await bob.join('room/1');
    bob.to('room/1').emit('line', 1);
    await until(() => lines.length === 1);
    expect(lines).toEqual([[1]]);
  });

  test('that the token does not permit rejects, and is not heard', async () => {
    const socket = await connected('alice');
    await expect(socket.join('elsewhere')).rejects.toMatchObject({ code: 'forbidden' });
    const errors = heard(socket, 'emit_error');
    socket.to('elsewhere').emit('line', 1);
    await until(() => errors.length === 1);
  });

  test('cannot tell that the socket is connected', async () => {
    const socket = await connected('alice');
    await socket.join('room/1');
    const connects = heard(socket, 'connect');
    const lines = heard(socket, 'line');
    const other = new Client(gateway.url, { token: tokenOf('mallory') });
    await other.connect();
    await other.room('room/1').join();
    await other.room('room/1').publish('connect', []);
    await other.room('room/1').publish('line', []);
    await until(() => lines.length === 1);
    expect(connects).toEqual([]);
    await other.close();
  });
});

describe('a connection', () => {
  test('that is lost is told, comes back by itself with the same id and rooms, and says that it recovered', async () => {
    const told: unknown[] = [];
    const socket = await connected('alice', { reconnectionDelay: 1, reconnectionDelayMax: 2 });
    expect([socket.recovered, socket.active]).toEqual([false, true]);
    const { id } = socket;
    await socket.join('room/1');
    const lines = heard(socket, 'line');
    socket.on('disconnect', (reason, { code }) => told.push([reason, code, socket.connected, socket.active]));
    socket.on('connect', () => told.push(['connect', socket.recovered]));
    const [place] = await gateway.locate('alice');
    const holder = (await gateway.workers()).find((worker) => worker.id === place?.worker);
    process.kill(holder?.pid ?? 0, 'SIGKILL');
    await until(() => told.length === 2);
    expect(told).toEqual([
      ['transport close', 'connection_lost', false, true],
      ['connect', true],
    ]);
    expect(socket.id).toBe(id);
    await until(() => backend.state === 'connected');
    await backend.room('room/1').join();
    await backend.room('room/1').publish('line', ['still here']);
    await until(() => lines.length === 1);
    await backend.room('room/1').leave();
  });

  test('that ends by disconnect() or by the server says which, and connect() begins another', async () => {
    const socket = await connected('alice');
    const reasons: unknown[] = [];
    socket.client.on('error', () => undefined);
    socket.on('disconnect', (reason) => reasons.push([reason, socket.active]));
    socket.disconnect();
    await until(() => socket.disconnected);
    socket.connect();
    await until(() => socket.connected);
    expect(socket.recovered).toBe(false);
    await fetch(`http://127.0.0.1:${gateway.adminPort}/api/v1/clients/alice/disconnect`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ADMIN_KEY}`, 'Content-Type': 'application/json' },
      body: '{}',
    });
    await until(() => reasons.length === 2);
    expect(reasons).toEqual([
      ['io client disconnect', false],
      ['io server disconnect', false],
    ]);
  });

  test('that cannot be had is told by connect_error, for ever or until the next try', async () => {
    const refused = open('alice', { auth: (done) => done({ token: 'a.b.c' }) });
    const refusals = heard(refused, 'connect_error');
    await until(() => refusals.length > 0);
    const error = refusals[0]?.[0];
    expect([error, refused.active]).toMatchObject([{ code: 'invalid_token' }, false]);
    refused.auth = { token: tokenOf('alice') };
    refused.connect();
    await until(() => refused.connected);
    const nobody = io('ws://127.0.0.1:1', { auth: { token: tokenOf('alice') }, reconnectionDelay: 1 });
    sockets.push(nobody);
    const errors = heard(nobody, 'connect_error');
    await until(() => errors.length > 1);
    expect([errors[0]?.[0], nobody.active]).toMatchObject([{ code: 'connection_lost' }, true]);
  });

  test('is not begun with what would do nothing', () => {
    const auth = { token: 'a.b.c' };
    expect(() => io(`${gateway.url}/admin`, { auth })).toThrow(/namespaces/);
    expect(() => io(gateway.url, { auth, query: {} } as SocketOptions)).toThrow(/no option query/);
    expect(() => io(gateway.url, undefined as unknown as SocketOptions)).toThrow(TypeError);
  });
});
