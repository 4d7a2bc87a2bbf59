// The door for TCP: who a client is by its first records, then frames. Off unless TCP_PORT is set.
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { ClientId } from '../protocol/ids.js';
import { closeRecord, joinRecords, RecordReader } from '../protocol/records.js';
import { SUBPROTOCOLS, type Subprotocol } from '../protocol/subprotocol.js';
import type { Authenticator, Identity } from '../session/authenticator.js';
import { Challenge, PSK } from '../session/challenge.js';
import { parseKeys, type PreSharedKey } from '../session/pre-shared-keys.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import { plainAddress } from '../transport/client-address.js';
import { TcpConnection } from '../transport/tcp.js';
import { TickFlusher } from '../transport/tick-flusher.js';
import type { Admission } from './admission.js';
import type { Gateway } from './gateway.js';

/** A JSON frame begins with it; a MessagePack one never does. */
const OPENING_BRACKET = 0x5b;
const BEARER = 'bearer';
/** How long a refused client may take to read why, ms. */
const CLOSE_TIMEOUT_MS = 5_000;

export interface TcpDoorOptions {
  config: Config;
  gateway: Gateway;
  metrics: Metrics;
  codecs: Record<Subprotocol, FrameCodec>;
  admission: Admission;
  authenticator: Pick<Authenticator, 'isWelcome'>;
  wheel: TimerWheel;
}

export class TcpDoor {
  private readonly flusher = new TickFlusher();
  private readonly keys: ReadonlyMap<ClientId, PreSharedKey>;

  constructor(private readonly options: TcpDoorOptions) {
    const { keysFile } = options.config.tcp ?? { keysFile: null };
    this.keys = keysFile === null ? new Map() : parseKeys(readFileSync(keysFile, 'utf8'));
  }

  /** Null where it is off. */
  createServer(): Server | null {
    const { tcp, tls, server: settings } = this.options.config;
    if (tcp === null) return null;
    const listener = (socket: Socket): void => {
      this.accept(socket);
    };
    if (!tcp.tls || tls === null) return createServer({ noDelay: true }, listener);
    const server = createTlsServer(
      {
        cert: readFileSync(tls.certFile),
        key: readFileSync(tls.keyFile),
        minVersion: 'TLSv1.2',
        handshakeTimeout: settings.headersTimeoutMs,
      },
      listener,
    );
    server.on('tlsClientError', (_error, socket) => {
      this.options.metrics.handshakes.add('bad_request');
      socket.destroy();
    });
    return server;
  }

  private accept(socket: Socket): void {
    socket.on('error', ignore);
    const { config, admission, gateway } = this.options;
    const address = plainAddress(socket.remoteAddress ?? '');
    if (!admission.takeHandshake(address)) {
      // Without a word: it is the work which there is too much of.
      this.options.metrics.handshakes.add('handshake_rate');
      socket.destroy();
      return;
    }
    const overload = admission.overload(address) ?? (gateway.hellos.isFull ? 'overloaded' : null);
    if (overload !== null) {
      this.turnAway(socket, overload);
      return;
    }
    admission.enter(address);
    new Greeting(socket, address, this.flusher, this.keys, this.options).begin(
      config.sessions.helloTimeoutMs,
    );
  }

  private turnAway(socket: Socket, code: CloseCode): void {
    this.options.metrics.handshakes.add(code);
    hangUp(socket, code);
  }
}

/** A socket until its first frame. */
class Greeting {
  private readonly reader: RecordReader;
  private connection: TcpConnection | null = null;
  private credential: string | Identity | null = null;
  private challenge: Challenge | null = null;
  private deadline: Deadline | null = null;
  private readonly leave = (): void => {
    this.deadline?.cancel();
    this.options.admission.exit(this.address);
  };

  constructor(
    private readonly socket: Socket,
    private readonly address: string,
    private readonly flusher: TickFlusher,
    private readonly keys: ReadonlyMap<ClientId, PreSharedKey>,
    private readonly options: TcpDoorOptions,
  ) {
    this.reader = new RecordReader(options.config.limits.frameLimitBytes, {
      record: (bytes) => {
        if (this.connection === null) this.greet(bytes);
        else this.connection.receive(bytes);
      },
      close: (number) => {
        if (this.connection === null) socket.destroy();
        else this.connection.farewell(mayBeSaid(number) ? number : CODES.protocol_error.close);
      },
      tooBig: () => {
        if (this.connection === null) this.end('too_big');
        else this.connection.close('too_big');
      },
    });
  }

  begin(timeoutMs: number): void {
    const { socket } = this;
    socket.on('data', (chunk: Buffer) => {
      this.reader.push(chunk);
    });
    socket.once('close', this.leave);
    // Absolute: half a record does not move it.
    this.deadline = this.options.wheel.in(timeoutMs, () => {
      this.end('auth_timeout');
    });
  }

  /** Records before the first frame say who the client is. */
  private greet(bytes: Uint8Array): void {
    const { codecs } = this.options;
    const first = bytes[0] ?? 0;
    // A frame is an array: in MessagePack its first byte is above all letters.
    if (first === OPENING_BRACKET || first >= 0x80) {
      this.open(codecs[first === OPENING_BRACKET ? SUBPROTOCOLS.json : SUBPROTOCOLS.msgpack], bytes);
      return;
    }
    const [word, ...words] = Buffer.from(bytes).toString('latin1').split(' ');
    if (word === BEARER && words.length === 1 && this.credential === null && this.challenge === null)
      this.credential = words[0] ?? null;
    else if (word === PSK && this.credential === null) this.prove(words);
    else this.end('bad_frame');
  }

  private prove(words: string[]): void {
    if (this.challenge === null) {
      this.challenge = Challenge.begin(this.keys, words);
      if (this.challenge === null) this.end('bad_frame');
      else this.say(`${PSK} ${this.challenge.gatewayNonce}`);
      return;
    }
    const { tokens } = this.options.config;
    const answer = this.challenge.answer(words.join(' '), tokens.maxLifeS * 1000);
    if (answer === null || !this.options.authenticator.isWelcome(answer.identity)) {
      this.options.metrics.tokensRefused.inc({ reason: 'signature' });
      this.end('invalid_token');
      return;
    }
    this.credential = answer.identity;
    this.say(`${PSK} ${answer.proof}`);
  }

  private open(codec: FrameCodec, hello: Uint8Array): void {
    const { metrics, gateway } = this.options;
    if (this.challenge !== null && this.credential === null) {
      this.end('bad_frame');
      return;
    }
    this.deadline?.cancel();
    // From here on the gateway counts it out.
    this.socket.off('close', this.leave);
    metrics.handshakes.add('accepted');
    const connection = new TcpConnection(this.socket, this.flusher, codec, this.address);
    this.connection = connection;
    connection.open(gateway.accept(connection, this.credential));
    connection.receive(hello);
  }

  private say(text: string): void {
    this.socket.write(joinRecords([Buffer.from(text, 'latin1')]));
  }

  private end(code: CloseCode): void {
    this.options.metrics.handshakes.add(code);
    this.reader.stop();
    hangUp(this.socket, code);
  }
}

function hangUp(socket: Socket, code: CloseCode): void {
  socket.resume();
  socket.end(closeRecord(CODES[code].close));
  setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref();
}

/** What a client may end with: on purpose, going away, or a number of its application. */
function mayBeSaid(number: number): boolean {
  return number === 1000 || number === 1001 || (number >= 3000 && number <= 4999);
}

function ignore(): void {
  // The socket is destroyed, and tells so by `close`.
}
