// A WebSocket client that can break every rule: bytes on a TCP socket, frames put together by hand.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, createConnection } from 'node:net';

export const JSON_PROTOCOL = 'signalbox.v1.json';
export const MSGPACK_PROTOCOL = 'signalbox.v1.msgpack';
export const HELLO_PROTOCOL = 'signalbox.v1.hello';

export interface HttpAnswer {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
}

/** Header fields of a good handshake; `null` leaves one out. */
export type HandshakeFields = Record<string, string | null>;

export function handshake(fields: HandshakeFields = {}, requestLine = 'GET /v1/connect HTTP/1.1'): string {
  const all: HandshakeFields = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Protocol': JSON_PROTOCOL,
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return `${[requestLine, ...lines].join('\r\n')}\r\n\r\n`;
}

async function connectTo(port: number): Promise<Socket> {
  const socket = createConnection(port, '127.0.0.1');
  // A refused client may see a reset after the answer: what counts is the answer.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function parseHead(head: string): Omit<HttpAnswer, 'body'> {
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(statusLine.split(' ')[1]), headers };
}

/** Sends these bytes on a connection of their own, and returns what is answered first. */
export async function ask(port: number, bytes: string | Buffer): Promise<HttpAnswer> {
  const socket = await connectTo(port);
  let received = '';
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    const look = (ended: boolean): void => {
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) {
        if (ended) reject(new Error(`closed without an answer: ${JSON.stringify(received)}`));
        return;
      }
      const head = parseHead(received.slice(0, end));
      const body = received.slice(end + 4);
      if (ended || head.status === 101 || body.length >= Number(head.headers['content-length'] ?? 0)) {
        resolve({ ...head, body });
      }
    };
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      look(false);
    });
    socket.on('close', () => {
      look(true);
    });
  });
  socket.write(bytes);
  try {
    return await answer;
  } finally {
    socket.destroy();
  }
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameShape {
  fin?: boolean;
  /** Bits RSV1–3 as a number of three bits. */
  rsv?: number;
  masked?: boolean;
  /** Bytes of the length field beyond the first: the shortest when absent. */
  lengthBytes?: 0 | 2 | 8;
}

/** One frame, RFC 6455 §5.2. */
export function wsFrame(opcode: number, payload: string | Uint8Array, shape: FrameShape = {}): Buffer {
  const data = Buffer.from(payload);
  const { fin = true, rsv = 0, masked = true } = shape;
  const lengthBytes = shape.lengthBytes ?? (data.length < 126 ? 0 : data.length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? data.length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(data.length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(data.length), 2);
  if (!masked) return Buffer.concat([head, data]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

export function closeFrame(code: number | null, reason: string | Uint8Array = ''): Buffer {
  if (code === null) return wsFrame(OPCODE.close, '');
  const number = Buffer.alloc(2);
  number.writeUInt16BE(code);
  return wsFrame(OPCODE.close, Buffer.concat([number, Buffer.from(reason)]));
}

/** How the gateway ended it: the number of its close frame; 1005 without one in it, 1006 without a close frame. */
export interface Ending {
  code: number;
  reason: string;
}

export class RawWebSocket {
  /** Payloads of text and binary messages so far; the gateway never fragments. */
  readonly messages: Buffer[] = [];
  readonly pongs: string[] = [];
  readonly ended: Promise<Ending>;
  private unread: Buffer = Buffer.alloc(0);
  private ending: Ending = { code: 1006, reason: '' };
  private wake: () => void = () => undefined;
  private taken = 0;
  private over = false;
  /** Whether a close frame of the gateway is answered, as it should be. */
  answersClose = true;

  private constructor(
    readonly socket: Socket,
    readonly answer: Omit<HttpAnswer, 'body'>,
    rest: Buffer,
  ) {
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.over = true;
        this.wake();
        resolve(this.ending);
      });
    });
    socket.on('data', (chunk: Buffer) => {
      this.receive(chunk);
    });
    this.receive(rest);
  }

  /** Completes a handshake. */
  static async open(port: number, fields: HandshakeFields = {}): Promise<RawWebSocket> {
    const socket = await connectTo(port);
    socket.write(handshake(fields));
    let received = Buffer.alloc(0);
    for (;;) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) continue;
      const answer = parseHead(received.subarray(0, end).toString('latin1'));
      if (answer.status !== 101) {
        socket.destroy();
        throw new Error(`the handshake was refused with ${String(answer.status)}`);
      }
      return new RawWebSocket(socket, answer, received.subarray(end + 4));
    }
  }

  /** Completes a handshake and says hello; resolves when the gateway has welcomed the session. */
  static async enter(port: number, token: string, fields: HandshakeFields = {}): Promise<RawWebSocket> {
    const client = await RawWebSocket.open(port, fields);
    client.say([0, 1, token, null, null]);
    const [type] = await client.next();
    if (type !== 1) throw new Error('not welcomed');
    return client;
  }

  write(...bytes: Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** Sends a frame of ours as JSON. */
  say(frame: unknown): void {
    this.write(wsFrame(OPCODE.text, JSON.stringify(frame)));
  }

  /** The next frame of the gateway, as the array that it is in JSON. */
  async next(): Promise<unknown[]> {
    while (this.messages.length === this.taken) {
      if (this.over) throw new Error(`ended with ${String(this.ending.code)} ${this.ending.reason}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const frame: unknown = JSON.parse(this.messages[this.taken++]?.toString() ?? '');
    if (!Array.isArray(frame)) throw new Error('not a frame');
    return frame;
  }

  /** The answer to a call: ok, error or response with this ref. */
  async answerTo(ref: number): Promise<unknown[]> {
    for (;;) {
      const frame = await this.next();
      if ([5, 6, 23].includes(Number(frame[0])) && frame[1] === ref) return frame;
    }
  }

  destroy(): Promise<Ending> {
    this.socket.destroy();
    return this.ended;
  }

  private receive(chunk: Buffer): void {
    this.unread = Buffer.concat([this.unread, chunk]);
    while (this.unread.length >= 2) {
      const short = (this.unread[1] ?? 0) & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (this.unread.length < head) return;
      const length =
        short === 126
          ? this.unread.readUInt16BE(2)
          : short === 127
            ? Number(this.unread.readBigUInt64BE(2))
            : short;
      if (this.unread.length < head + length) return;
      this.take((this.unread[0] ?? 0) & 0x0f, this.unread.subarray(head, head + length));
      this.unread = this.unread.subarray(head + length);
    }
  }

  private take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text || opcode === OPCODE.binary) {
      this.messages.push(Buffer.from(payload));
    } else if (opcode === OPCODE.pong) {
      this.pongs.push(payload.toString());
    } else if (opcode === OPCODE.close) {
      const code = payload.length >= 2 ? payload.readUInt16BE() : 1005;
      this.ending = { code, reason: payload.subarray(2).toString() };
      if (this.answersClose) this.socket.end(wsFrame(OPCODE.close, payload));
    }
    this.wake();
  }
}
