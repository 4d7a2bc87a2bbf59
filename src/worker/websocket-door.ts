// The door for WebSockets: cheap checks first, then the handshake, then the gateway.
import '../transport/masking.js';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { CountedReads } from '../relay/counted-reads.js';
import { HELLO_SUBPROTOCOL, SUBPROTOCOLS, type Subprotocol } from '../protocol/subprotocol.js';
import { clientAddress } from '../transport/client-address.js';
import { TickFlusher } from '../transport/tick-flusher.js';
import { Framer } from '../transport/websocket-frames.js';
import { checkUpgrade, type UpgradeVerdict } from '../transport/upgrade-check.js';
import { WebSocketConnection } from '../transport/websocket.js';
import type { Admission } from './admission.js';
import { DoorQueue } from './door-queue.js';
import type { Gateway } from './gateway.js';

/** Fragments of one message: browsers send one, a few libraries a handful. */
const FRAGMENTS_LIMIT = 256;
/** How long a client may take to answer our close frame, ms. */
const CLOSE_TIMEOUT_MS = 5_000;

export interface WebSocketDoorOptions {
  config: Config;
  gateway: Gateway;
  metrics: Metrics;
  codecs: Record<Subprotocol, FrameCodec>;
  admission: Admission;
  /** Reads of logs under way. */
  reads: Pick<CountedReads, 'underWay'>;
}

type Accepted = Extract<UpgradeVerdict, { status: 'accept' }>;

export class WebSocketDoor {
  private readonly flusher = new TickFlusher();
  private readonly framer = new Framer();
  private readonly server: WebSocketServer;
  private readonly queue: DoorQueue;

  constructor(private readonly settings: WebSocketDoorOptions) {
    const { limits } = settings.config;
    const { gateway, reads } = settings;
    this.queue = new DoorQueue({
      owed: () => gateway.hellos.taken + gateway.hellos.length + reads.underWay,
      silent: () => gateway.newcomers.size,
    });
    // In a variable of its own: @types/ws does not know closeTimeout yet.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.frameLimitBytes,
      maxFragments: FRAGMENTS_LIMIT,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: firstOf,
    };
    this.server = new WebSocketServer(options);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Before anything else: a socket that fails without a listener ends the process (CVE-2024-38355's class).
    socket.on('error', ignore);
    const { config, admission } = this.settings;
    const address = clientAddress(request, config.server.trustedProxies);
    if (!admission.takeHandshake(address)) {
      this.refuse(socket, 429, 'handshake_rate', { 'Retry-After': '1' });
      return;
    }
    const verdict = checkUpgrade(request, head, config.origins);
    if (verdict.status === 'refuse') {
      this.refuse(socket, verdict.http, verdict.reason, verdict.headers);
      return;
    }
    if (verdict.status === 'unsupported_version') {
      this.turnAway(request, socket, head, 'unsupported_version');
      return;
    }
    const refusal = admission.overload(address);
    if (refusal !== null) {
      this.turnAway(request, socket, head, refusal);
      return;
    }
    if (this.isFull(socket)) return;
    this.queue.enter({
      begin: () => {
        this.complete(request, socket, head, address, verdict);
      },
      refuse: () => {
        this.refusePending(socket);
      },
      isGone: () => socket.destroyed,
    });
  }

  /** Refuses the handshakes that still wait. */
  close(): void {
    this.queue.close();
  }

  private complete(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    address: string,
    verdict: Accepted,
  ): void {
    const { admission } = this.settings;
    // Once more: it may have waited.
    const refusal = admission.overload(address);
    if (refusal !== null) {
      this.turnAway(request, socket, head, refusal);
      return;
    }
    if (this.isFull(socket)) return;
    // Who has said hello already gets the answer of the handshake and the welcome in one write.
    if (verdict.hello !== null) socket.cork();
    this.server.handleUpgrade(request, socket, head, (ws) => {
      this.admit(ws, socket, address, verdict);
    });
  }

  /** Whether so many hellos wait that the store or the key set must be slow: then nobody waits for it at the door. */
  private isFull(socket: Duplex): boolean {
    if (!this.settings.gateway.hellos.isFull) return false;
    this.refusePending(socket);
    return true;
  }

  /** Not by completing the handshake: that would be the work which there is too much of. */
  private refusePending(socket: Duplex): void {
    this.refuse(socket, 503, 'handshakes_pending', { 'Retry-After': '1' });
  }

  /** A method of its own: what a listener of the connection closes over lives as long as the connection. */
  private admit(
    ws: WebSocket,
    socket: Duplex,
    address: string,
    { subprotocol, token, hello }: Accepted,
  ): void {
    const { metrics, gateway, codecs, admission } = this.settings;
    socket.off('error', ignore);
    metrics.handshakes.add('accepted');
    admission.enter(address);
    const connection = new WebSocketConnection(
      ws,
      socket,
      this.flusher,
      this.framer,
      codecs[subprotocol],
      address,
      hello !== null,
    );
    const visit = gateway.accept(connection, token);
    connection.open(visit);
    // Who came by the doorstep has not been read since.
    socket.resume();
    if (hello === null) return;
    visit.frame(connection.codec.binary ? hello : Buffer.from(hello).toString('utf8'));
  }

  /** Completes the handshake only to say why not: a script in a browser sees no HTTP status of a refused one. */
  private turnAway(request: IncomingMessage, socket: Duplex, head: Buffer, code: CloseCode): void {
    this.server.handleUpgrade(request, socket, head, (ws) => {
      this.settings.metrics.handshakes.add(code);
      ws.on('error', ignore);
      ws.close(CODES[code].close, code);
      socket.resume();
    });
  }

  private refuse(socket: Duplex, status: number, reason: string, headers: Record<string, string>): void {
    this.settings.metrics.handshakes.add(reason);
    const body =
      reason === 'subprotocol'
        ? JSON.stringify({ code: 'unsupported_version', subprotocols: Object.values(SUBPROTOCOLS) })
        : JSON.stringify({ code: reason });
    const lines = Object.entries({
      Connection: 'close',
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
    // A client that keeps its side open must not hold the socket.
    socket.once('finish', () => socket.destroy());
  }
}

/** The client's first subprotocol of ours, or its first at all when we only complete the handshake to refuse. */
function firstOf(offered: Set<string>): string | false {
  if (offered.has(HELLO_SUBPROTOCOL)) return HELLO_SUBPROTOCOL;
  let first: string | false = false;
  for (const name of offered) {
    // Not the client's own string: it is a part of the whole request, and would keep that as long as the connection lives.
    for (const known of [SUBPROTOCOLS.msgpack, SUBPROTOCOLS.json]) if (name === known) return known;
    if (first === false && name.startsWith('signalbox.')) first = name;
  }
  return first;
}

function ignore(): void {
  // ws destroys the socket itself; there is nobody left to tell.
}
