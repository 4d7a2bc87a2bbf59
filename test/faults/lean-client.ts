// A client with as little of its own work as can be, where ten thousand share a machine with the gateway that they measure. In place of the SDK's
// `Client`, as far as simulated clients use it: raw sockets, no timers but those of a connection that is being made, no call sent twice.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { ClientFrame, Cursor, GatewayFrame } from '../../src/protocol/frame.js';
import type { RoomName, SessionId } from '../../src/protocol/ids.js';
import type * as Codec from '../../src/protocol/msgpack-codec.js';
import type * as Payloads from '../../src/protocol/payload.js';

/** For `PopulationOptions.sdk`. */
export const LEAN_CLIENT = fileURLToPath(import.meta.url);

// What the SDK is made of, from the build: the suite runs as plain JavaScript.
const { msgpackCodec } = (await import(built('msgpack-codec'))) as typeof Codec;
const { encodePayload, decodePayload } = (await import(built('payload'))) as typeof Payloads;

/** As many as the load has processes are enough for the ports of ten thousand connections and their predecessors. */
const ADDRESSES = 5;
let sockets = 0;

export interface LeanOptions {
  token: () => string;
  backoff: { minMs: number; maxMs: number };
  connectTimeoutMs: number;
}
interface Told {
  code: string | null;
  retryInMs: number | null;
}
type Handler = (data: unknown, from: { client: string }, info: { id: string | null }) => void;
interface Call {
  resolve(result: unknown): void;
  reject(error: CallError): void;
}

class CallError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

export class Client {
  state: 'connecting' | 'connected' | 'reconnecting' | 'closed' = 'connecting';
  sessionId: string | null = null;
  /** Time of the newest hello, ms since 1970. */
  helloAt = 0;
  #token: string | null = null;
  #key = '';
  #socket: Socket | null = null;
  /** What came and is no whole frame yet. */
  #rest: Buffer = Buffer.alloc(0);
  #isUpgraded = false;
  #attempt = 0;
  #retryAfterMs = 0;
  #closeCode = 1006;
  #ref = 0;
  #deadline: NodeJS.Timeout | null = null;
  #started: (() => void) | null = null;
  readonly #calls = new Map<number, Call>();
  readonly #cursors = new Map<string | null, string | null>();
  readonly #handlers = new Map<string | null, Handler>();
  readonly #listeners = new Map<string, ((...told: unknown[]) => void)[]>();

  constructor(
    readonly url: string,
    readonly options: LeanOptions,
  ) {}

  connect(): Promise<void> {
    return new Promise((resolve) => {
      this.#started = resolve;
      this.#open();
    });
  }

  on(event: string, listener: (...told: unknown[]) => void): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  onMessage(_event: string, handler: Handler): void {
    this.#handlers.set(null, handler);
  }

  room(name: string): {
    join(): Promise<void>;
    publish(event: string, data: unknown): Promise<unknown>;
    onMessage(event: string, handler: Handler): void;
  } {
    const room = name as RoomName;
    return {
      join: async () => {
        const result = await this.#call((ref) => ({ type: 'join', ref, room, since: null }));
        this.#cursors.set(name, (result as { position: string | null }).position);
      },
      publish: (event, data) =>
        this.#call((ref) => {
          const payload = encodePayload(data);
          return { type: 'publish', ref, seq: null, options: {}, room, event, payload } as ClientFrame;
        }),
      onMessage: (_event, handler) => this.#handlers.set(name, handler),
    };
  }

  send(to: string, event: string, data: unknown): Promise<unknown> {
    return this.#call((ref) => {
      const payload = encodePayload(data);
      return { type: 'send', ref, seq: null, options: {}, to, event, payload } as ClientFrame;
    });
  }

  close(): Promise<void> {
    this.state = 'closed';
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (this.#isUpgraded) this.#write({ type: 'bye' });
    this.#socket?.end();
    return Promise.resolve();
  }

  #call(frame: (ref: number) => ClientFrame): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.state !== 'connected') {
        reject(new CallError('not_connected'));
        return;
      }
      const ref = ++this.#ref;
      this.#calls.set(ref, { resolve, reject });
      this.#write(frame(ref));
    });
  }

  #open(): void {
    const { hostname, port } = new URL(this.url);
    const localAddress = `127.0.0.${2 + (sockets++ % ADDRESSES)}`;
    const socket = connect({ host: hostname, port: Number(port), localAddress, noDelay: true });
    this.#socket = socket;
    this.#isUpgraded = false;
    this.#closeCode = 1006;
    this.#retryAfterMs = 0;
    this.#rest = Buffer.alloc(0);
    this.#deadline = setTimeout(() => socket.destroy(), this.options.connectTimeoutMs);
    socket.once('connect', () => socket.write(this.#upgrade(`${hostname}:${port}`)));
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => this.#lost());
  }

  #upgrade(host: string): string {
    // One for all its life: to sign it takes as long as all else that a connection costs here.
    this.#token ??= this.options.token();
    const fields = {
      Host: host,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Protocol': `signalbox.v1.msgpack, bearer.${this.#token}`,
    };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    return `GET /v1/connect HTTP/1.1\r\n${lines.join('')}\r\n`;
  }

  #lost(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    for (const { reject } of this.#calls.values()) reject(new CallError('unknown_outcome'));
    this.#calls.clear();
    if (this.state === 'closed') return;
    const wasConnected = this.state === 'connected';
    if (wasConnected) this.#attempt = 0;
    const { minMs, maxMs } = this.options.backoff;
    const longest = Math.min(maxMs, minMs * 2 ** Math.min(this.#attempt++, 31));
    const retryInMs = Math.max(Math.random() * longest, this.#retryAfterMs);
    if (this.#closeCode >= 4500) this.#become('closed', { code: String(this.#closeCode), retryInMs: null });
    else {
      this.#become('reconnecting', { code: String(this.#closeCode), retryInMs });
      setTimeout(() => this.#open(), retryInMs);
    }
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    if (!this.#isUpgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      this.#rest = bytes;
      if (end < 0) return;
      if (!bytes.toString('latin1', 0, 12).endsWith(' 101')) {
        this.#socket?.destroy();
        return;
      }
      this.#isUpgraded = true;
      this.#greet();
      at = end + 4;
    }
    // RFC 6455 §5.2; what the gateway sends is neither masked nor in fragments.
    while (bytes.length - at >= 2) {
      const short = (bytes[at + 1] ?? 0) & 0x7f;
      const head = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (bytes.length - at < head) break;
      const length =
        short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short === 126
            ? bytes.readUInt16BE(at + 2)
            : short;
      if (bytes.length - at < head + length) break;
      const body = bytes.subarray(at + head, at + head + length);
      const kind = (bytes[at] ?? 0) & 0x0f;
      if (kind === 2) this.#hear(msgpackCodec.decodeGateway(body));
      else if (kind === 8) {
        this.#closeCode = body.length >= 2 ? body.readUInt16BE(0) : 1005;
        this.#socket?.destroy();
        return;
      }
      at += head + length;
    }
    this.#rest = bytes.subarray(at);
  }

  #greet(): void {
    const session = this.sessionId as SessionId | null;
    const cursors = [...this.#cursors] as Cursor[];
    this.helloAt = Date.now();
    this.#write({
      type: 'hello',
      version: 1,
      token: null,
      resume: session === null ? null : { session, key: this.#key, cursors },
      agent: 'lean',
    });
  }

  #hear(frame: GatewayFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.#welcome(frame.info);
        return;
      case 'ping':
        this.#write({ type: 'pong' });
        return;
      case 'message':
        this.#hand(null, frame);
        return;
      case 'roomMessage':
        this.#hand(frame.room, frame);
        return;
      case 'ok':
        this.#calls.get(frame.ref)?.resolve(frame.result);
        this.#calls.delete(frame.ref);
        return;
      case 'error':
        this.#calls.get(frame.ref)?.reject(new CallError(frame.code));
        this.#calls.delete(frame.ref);
        return;
      case 'position':
        this.#cursors.set(frame.channel, frame.id);
        return;
      case 'gap':
        if (frame.id !== null) this.#cursors.set(frame.channel, frame.id);
        this.#tell('gap', { room: frame.channel, missing: frame.missing, reason: frame.reason });
        return;
      case 'goaway':
        this.#retryAfterMs = frame.retryAfterMs;
        return;
      default:
    }
  }

  #welcome(info: Extract<GatewayFrame, { type: 'welcome' }>['info']): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    const before = this.sessionId;
    this.sessionId = info.session;
    this.#key = info.resumeKey;
    const rooms = [...this.#cursors.keys()].filter((room) => room !== null);
    if (!info.resumed) {
      this.#cursors.clear();
      this.#cursors.set(null, info.inbox ?? null);
    }
    this.#become('connected', { code: null, retryInMs: null });
    if (before !== null && !info.resumed) {
      this.#tell('stateLost');
      for (const room of rooms)
        this.room(room)
          .join()
          .catch(() => undefined);
    }
    this.#started?.();
    this.#started = null;
  }

  #hand(room: string | null, frame: Extract<GatewayFrame, { type: 'message' | 'roomMessage' }>): void {
    const { id, from, payload } = frame;
    this.#handlers.get(room)?.(decodePayload(payload), { client: from }, { id });
    if (id !== null) this.#cursors.set(room, id);
  }

  #become(state: Client['state'], told: Told): void {
    this.state = state;
    this.#tell('state', state, told);
  }

  #tell(event: string, ...told: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...told);
  }

  /** Masked with zeros, which is a mask as good as any where no proxy listens. */
  #write(frame: ClientFrame): void {
    const body = msgpackCodec.encodeClient(frame);
    const isShort = body.length < 126;
    const head = Buffer.alloc(isShort ? 6 : 8);
    head[0] = 0x82;
    head[1] = 0x80 | (isShort ? body.length : 126);
    if (!isShort) head.writeUInt16BE(body.length, 2);
    this.#socket?.write(Buffer.concat([head, body as Uint8Array]));
  }
}

function built(name: string): string {
  return new URL(`../../dist/protocol/${name}.js`, import.meta.url).href;
}
