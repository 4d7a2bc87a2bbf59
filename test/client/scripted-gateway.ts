// A gateway that does what a test says: a real WebSocket server on loopback that speaks frames, and nothing by itself.
import { once } from 'node:events';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Code } from '../../src/protocol/codes.js';
import type { ClientFrame, FrameCodec, GatewayFrame, Payload, Welcome } from '../../src/protocol/frame.js';
import type { ClientId, EventName, RoomName, SessionId } from '../../src/protocol/ids.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { decodePayload, encodePayload } from '../../src/protocol/payload.js';

export const BOB = 'bob' as ClientId;
export const SESSION = 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId;
export const OTHER_SESSION = 'BBBBBBBBBBBBBBBBBBBBBB' as SessionId;

/** What a gateway says at the beginning. */
export const WELCOME: Welcome = {
  server: '0.1.0',
  client: 'alice' as ClientId,
  session: SESSION,
  resumeKey: 'key-1',
  resumed: false,
  rooms: [],
  inbox: null,
  kept: null,
  resumeWindowMs: 30_000,
  pingIntervalMs: 25_000,
  tokenExpiresInMs: 3_600_000,
  frameLimitBytes: 256 * 1024,
  iceServers: [],
};

type FrameOf<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>;

/** A list to which one side adds and the other awaits. */
class Mailbox<Item> {
  private readonly items: Item[] = [];
  private readonly takers: ((item: Item) => void)[] = [];

  put(item: Item): void {
    const taker = this.takers.shift();
    if (taker === undefined) this.items.push(item);
    else taker(item);
  }

  take(): Promise<Item> {
    const item = this.items.shift();
    return item === undefined ? new Promise((resolve) => this.takers.push(resolve)) : Promise.resolve(item);
  }

  get size(): number {
    return this.items.length;
  }
}

export function textOf(payload: Payload): unknown {
  return decodePayload(payload);
}

/** What a kept message has beside its data. */
export interface Kept {
  id?: string;
  session?: SessionId;
  seq?: number;
  delivered?: true;
}

/** The gateway's end of one connection. */
export class Peer {
  private readonly frames = new Mailbox<ClientFrame>();
  readonly closed: Promise<number>;

  constructor(
    private readonly socket: WebSocket,
    private readonly codec: FrameCodec,
    /** What the client offered beside the subprotocol. */
    readonly offered: string,
  ) {
    socket.on('message', (data: Buffer, isBinary) => {
      this.frames.put(codec.decodeClient(isBinary ? new Uint8Array(data) : data.toString()));
    });
    this.closed = once(socket, 'close').then(([code]) => Number(code));
  }

  /** The next frame, which must be of that type. */
  async next<T extends ClientFrame['type']>(type: T): Promise<FrameOf<T>> {
    const frame = await this.frames.take();
    if (frame.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(frame)}`);
    return frame as FrameOf<T>;
  }

  get unread(): number {
    return this.frames.size;
  }

  send(frame: GatewayFrame): void {
    this.socket.send(this.codec.encodeGateway(frame));
  }

  sendRaw(bytes: string | Uint8Array): void {
    this.socket.send(bytes);
  }

  /** Reads hello and answers it. */
  async welcome(info: Partial<Welcome> = {}): Promise<FrameOf<'hello'>> {
    const hello = await this.next('hello');
    this.send({
      type: 'welcome',
      info: {
        ...WELCOME,
        ...info,
      },
    });
    return hello;
  }

  ok(ref: number, result: unknown = null): void {
    this.send({ type: 'ok', ref, result });
  }

  refuse(ref: number, code: Code, expected: number | null = null, text = 'no'): void {
    this.send({ type: 'error', ref, code, text, expected });
  }

  message(event: string, data: unknown, payload: Payload = encodePayload(data), kept: Kept = {}): void {
    const { id = null, session = OTHER_SESSION, ...options } = kept;
    this.send({ type: 'message', id, options, from: BOB, session, event: event as EventName, payload });
  }

  roomMessage(room: string, event: string, data: unknown, kept: Kept = {}): void {
    const { id = null, session = OTHER_SESSION, ...options } = kept;
    this.send({
      type: 'roomMessage',
      id,
      options,
      room: room as RoomName,
      from: BOB,
      session,
      event: event as EventName,
      payload: encodePayload(data),
    });
  }

  requested(handle: string, event: string, data: unknown): void {
    this.send({
      type: 'requested',
      handle,
      options: {},
      from: BOB,
      session: OTHER_SESSION,
      event: event as EventName,
      payload: encodePayload(data),
    });
  }

  close(code: number): void {
    this.socket.close(code);
  }

  /** As a cable that is pulled. */
  cut(): void {
    this.socket.terminate();
  }
}

export class ScriptedGateway {
  private readonly peers = new Mailbox<Peer>();

  private constructor(
    private readonly server: WebSocketServer,
    readonly url: string,
  ) {}

  static async open(codecName: 'msgpack' | 'json' = 'msgpack'): Promise<ScriptedGateway> {
    const codec = codecName === 'msgpack' ? msgpackCodec : createJsonCodec();
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      handleProtocols: (offered) => (offered.has(codec.subprotocol) ? codec.subprotocol : false),
    });
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const gateway = new ScriptedGateway(server, `ws://127.0.0.1:${address.port}`);
    server.on('connection', (socket, request) => {
      socket.on('error', () => {});
      const offered = request.headers['sec-websocket-protocol'] ?? '';
      gateway.paths.push(request.url ?? '');
      gateway.peers.put(new Peer(socket, codec, offered));
    });
    return gateway;
  }

  readonly paths: string[] = [];

  /** The next connection. */
  accept(): Promise<Peer> {
    return this.peers.take();
  }

  /** Connections that no test looked at yet. */
  get waiting(): number {
    return this.peers.size;
  }

  close(): Promise<void> {
    for (const socket of this.server.clients) socket.terminate();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
