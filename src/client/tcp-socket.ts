// A TCP connection with the face of a WebSocket, in Node: `tcp://host:port`, or `tcps://` with TLS.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { closeRecord, joinRecords, RECORD_HEADER_BYTES, RecordReader } from '../protocol/records.js';
import type { WebSocketLike } from './websocket-class.js';

/** Largest record that the gateway may send: a frame of the largest size that can be configured, bytes. */
const RECORD_LIMIT_BYTES = 16 * 1024 * 1024;
const BEARER = 'bearer.';
const PSK = 'psk1';
/** How long the gateway may take to end after our farewell, ms. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Records up to this size are put together; larger ones are not worth the copy, bytes. */
const COPY_LIMIT_BYTES = 16 * 1024;

/** With a name before the `@` of the URL, that is the client's id and the token is its pre-shared key. */
export class TcpSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #socket: Socket;
  readonly #client: string;
  readonly #credential: string;
  readonly #binary: boolean;
  readonly #clientNonce = randomBytes(24).toString('base64url');
  /** Frames of this tick. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #gatewayNonce = '';
  #open = false;
  #close = 1006;

  constructor(text: string, protocols: string[]) {
    const url = new URL(text);
    this.#client = decodeURIComponent(url.username);
    this.#binary = protocols[0]?.endsWith('msgpack') ?? true;
    this.#credential = protocols.find((entry) => entry.startsWith(BEARER))?.slice(BEARER.length) ?? '';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port);
    const isTls = url.protocol === 'tcps:';
    this.#socket = isTls
      ? connectTls({
          host,
          port,
          ...(/[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {}),
        })
      : connectTcp({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.once(isTls ? 'secureConnect' : 'connect', () => this.#greet());
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.onclose?.({ code: this.#close }));
    const reader = new RecordReader(RECORD_LIMIT_BYTES, {
      record: (bytes) => this.#receive(bytes),
      close: (number) => {
        this.#close = number;
        this.#socket.end();
      },
      tooBig: () => this.terminate(),
    });
    this.#socket.on('data', (chunk: Buffer) => reader.push(chunk));
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength + this.#pendingBytes;
  }

  /** All of a tick leave in one write: each one costs a system call here, and wakes the gateway for a read there. */
  send(data: string | Uint8Array): void {
    if (!this.#socket.writable) return;
    const frame = typeof data === 'string' ? Buffer.from(data) : data;
    if (this.#pending.length === 0) process.nextTick(() => this.#flush());
    this.#pending.push(frame);
    this.#pendingBytes += RECORD_HEADER_BYTES + frame.length;
  }

  close(code = 1000): void {
    this.#flush();
    if (this.#socket.writable) this.#socket.end(closeRecord(code));
    setTimeout(() => this.terminate(), CLOSE_TIMEOUT_MS).unref();
  }

  terminate(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (!this.#socket.writable) return;
    let small: Uint8Array[] = [];
    const writeSmall = (): void => {
      if (small.length > 0) this.#socket.write(joinRecords(small));
      small = [];
    };
    this.#socket.cork();
    for (const frame of pending) {
      if (frame.length <= COPY_LIMIT_BYTES) {
        small.push(frame);
        continue;
      }
      writeSmall();
      const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
      header.writeUInt32BE(frame.length);
      this.#socket.write(header);
      this.#socket.write(frame);
    }
    writeSmall();
    this.#socket.uncork();
  }

  #greet(): void {
    if (this.#client === '') {
      if (this.#credential !== '') this.send(`bearer ${this.#credential}`);
      this.#opened();
    } else {
      this.send(`${PSK} ${this.#client} ${this.#clientNonce}`);
    }
  }

  #opened(): void {
    this.#open = true;
    this.onopen?.({});
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#open) this.#prove(Buffer.from(bytes).toString('latin1').split(' '));
    else if (this.#binary) this.onmessage?.({ data: bytes });
    else this.onmessage?.({ data: Buffer.from(bytes).toString('utf8') });
  }

  /** What the gateway says before the first frame: its nonce, then its proof. */
  #prove([word, value = '']: string[]): void {
    if (word === PSK && this.#gatewayNonce === '') {
      this.#gatewayNonce = value;
      this.send(`${PSK} ${this.#proofOf('client')}`);
    } else if (word === PSK && isSame(value, this.#proofOf('gateway'))) {
      this.#opened();
    } else {
      // It does not know the key: whoever answers there, it is not the gateway.
      this.terminate();
    }
  }

  #proofOf(side: 'client' | 'gateway'): string {
    const text = ['signalbox', PSK, side, this.#client, this.#clientNonce, this.#gatewayNonce].join('\n');
    return createHmac('sha256', this.#credential).update(text).digest('base64url');
  }
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
