// What the browser says about the network, and a socket that takes no more: with a browser's globals and a socket in memory.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import type { StateInfo } from '../../src/client/state.js';
import { DROPPED, type WebSocketLike } from '../../src/client/websocket-class.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { codeOf, ManualEnvironment, until, useScriptedGateways } from './fixture.js';
import { SESSION } from './scripted-gateway.js';

const { client, pair } = useScriptedGateways();

const page = new EventTarget();

beforeEach(() => {
  Object.assign(globalThis, {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    document: Object.assign(new EventTarget(), { visibilityState: 'visible' }),
  });
});
// Registered after the one that closes the clients: they still remove their listeners.
afterEach(() => {
  for (const name of ['addEventListener', 'removeEventListener', 'document'])
    Reflect.deleteProperty(globalThis, name);
});

describe('in a browser', () => {
  test('tries at once when the network is back, and waits for it while it is away', async () => {
    const environment = new ManualEnvironment(0.5);
    const { gateway, client: made, peer } = await pair({}, environment);
    const waits: (number | null)[] = [];
    made.on('state', (_state: unknown, info: StateInfo) => waits.push(info.retryInMs));
    page.dispatchEvent(new Event('offline'));
    peer.cut();
    await until(() => waits.length === 1);
    expect(waits).toEqual([30_000]);
    page.dispatchEvent(new Event('online'));
    await (await gateway.accept()).next('hello');
  });

  test('keeps a connection that answers a probe when the page is visible again, and drops one that does not', async () => {
    const environment = new ManualEnvironment();
    const { client: made, peer } = await pair({}, environment);
    document.dispatchEvent(new Event('visibilitychange'));
    peer.ok((await peer.next('online')).ref, true);
    const heard = made.isOnline('bob');
    peer.ok((await peer.next('online')).ref, true);
    await heard;
    environment.advance(5000);
    expect(made.state).toBe('connected');

    page.dispatchEvent(new Event('pageshow'));
    await peer.next('online');
    environment.advance(5000);
    expect(made.state).toBe('reconnecting');
  });

  test('drops a connection so that the session goes on, also where a socket can only be closed', async () => {
    const environment = new ManualEnvironment();
    // As a browser's, which has no terminate().
    const BrowserSocket = new Proxy(WebSocket, {
      construct: (Base, [url, protocols]: [string, string[]]) =>
        Object.assign(new Base(url, protocols), { terminate: undefined }),
    });
    const { client: made, peer } = await pair({ WebSocket: BrowserSocket }, environment);
    page.dispatchEvent(new Event('pageshow'));
    await peer.next('online');
    environment.advance(5000);
    expect(made.state).toBe('reconnecting');
    expect(await peer.closed).toBe(DROPPED);
  });

  test('listens no more when the client is closed', async () => {
    const { gateway, client: made, peer } = await pair();
    const closing = made.close();
    peer.close(1000);
    await closing;
    page.dispatchEvent(new Event('online'));
    expect(made.state).toBe('closed');
    expect(gateway.waiting).toBe(0);
  });
});

/** Takes whatever is sent and reports a buffer that the test fills. */
class SocketInMemory implements WebSocketLike {
  static last: SocketInMemory | null = null;
  binaryType = 'blob';
  bufferedAmount = 0;
  onopen: ((event: unknown) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly sent: string[] = [];

  constructor() {
    SocketInMemory.last = this;
  }
  send(data: string | Uint8Array): void {
    this.sent.push(msgpackCodec.decodeClient(data).type);
  }
  close(): void {
    this.onclose?.({ code: 1000 });
  }
}

describe('an injected WebSocket class', () => {
  test('is used, and nothing is written into it beyond the limit of its buffer', async () => {
    const environment = new ManualEnvironment();
    const made = client('ws://gateway.test', { WebSocket: SocketInMemory }, environment);
    const connected = made.connect();
    await until(() => SocketInMemory.last !== null);
    const socket = SocketInMemory.last;
    if (socket === null) throw new Error('no socket');
    socket.onopen?.({});
    const welcome = msgpackCodec.encodeGateway({
      type: 'welcome',
      info: {
        server: '0.1.0',
        client: 'alice' as never,
        session: SESSION,
        resumeKey: 'k',
        resumed: false,
        rooms: [],
        kept: null,
        resumeWindowMs: 1,
        pingIntervalMs: 25_000,
        tokenExpiresInMs: 1,
        frameLimitBytes: 1000,
        iceServers: [],
      },
    });
    socket.onmessage?.({ data: Uint8Array.from(welcome as Uint8Array).buffer });
    await connected;
    socket.bufferedAmount = 1024 * 1024 + 1;
    const first = codeOf(made.send('bob', 'a', 1));
    const second = made.send('bob', 'b', 2, { volatile: true });
    environment.advance(100);
    expect(socket.sent).toEqual(['hello']);
    socket.bufferedAmount = 0;
    environment.advance(20);
    await second;
    expect(socket.sent).toEqual(['hello', 'send', 'send']);
    const closing = made.close();
    environment.advance(1000);
    await closing;
    expect(await first).toBe('closed');
  });
});
