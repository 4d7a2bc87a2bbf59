// The door for clients that come without a WebSocket: event streams and polls down, POSTs up, to any worker of any node.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import { CODES, type Code, codeOfClose, type CloseCode } from '../protocol/codes.js';
import { type FrameCodec, PROTOCOL_VERSION, TYPES } from '../protocol/frame.js';
import {
  BODY_TYPES,
  CLOSE_HEADER,
  CONNECTION_HEADER,
  EVENTS_PATH,
  FRAMES_PATH,
  NUMBER_HEADER,
  POLL_PATH,
  POST_BATCH_BYTES,
  POST_SLACK_BYTES,
  TICKETS_PATH,
} from '../protocol/http-transport.js';
import { type CodecName, SUBPROTOCOLS, type Subprotocol } from '../protocol/subprotocol.js';
import type { TimerWheel } from '../session/wheel.js';
import { clientAddress } from '../transport/client-address.js';
import { allowOrigin, answerPreflight } from '../transport/cross-origin.js';
import { EventStreamConnection, type EventStreamOptions, STREAM_HEADERS } from '../transport/event-stream.js';
import type { HttpConnection } from '../transport/http-connection.js';
import { replyAndHangUp, replyBytes, replyEmpty, replyJson } from '../transport/http-reply.js';
import { LongPollConnection } from '../transport/long-poll.js';
import { positionsOf, ReaderEvents, ReaderStream } from '../transport/reader-stream.js';
import { readBody } from '../transport/request-body.js';
import { TickFlusher } from '../transport/tick-flusher.js';
import { bearerOf, HEADER_COUNT_LIMIT, valuesOf } from '../transport/upgrade-check.js';
import type { Admission } from './admission.js';
import type { Errands } from './errands.js';
import type { Gateway } from './gateway.js';
import type { ErrandAnswer, HttpConnections } from './http-connections.js';
import type { Reading, Tickets } from './tickets.js';

export interface HttpDoorOptions {
  config: Config;
  gateway: Gateway;
  metrics: Metrics;
  log: Logger;
  codecs: Record<Subprotocol, FrameCodec>;
  admission: Admission;
  connections: HttpConnections;
  errands: Errands;
  tickets: Tickets;
  wheel: TimerWheel;
}

/** A route's handler; `query` is what stands behind the `?`. */
export type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void;
/** Path → method → handler. */
export type Routes = Record<string, Record<string, Handler>>;

/** Bytes of bodies that are being read, in all, bytes. */
const BODIES_LIMIT_BYTES = 64 * 1024 * 1024;
/** Of a request for a ticket, bytes: its rooms. */
const TICKET_BODY_LIMIT_BYTES = 8 * 1024;
const NUMBER = /^[1-9]\d{0,14}$/;

export class HttpDoor {
  private readonly flusher = new TickFlusher();
  private readonly readerEvents = new ReaderEvents();
  private bodies = 0;

  constructor(private readonly options: HttpDoorOptions) {}

  /** What it serves. */
  get routes(): Routes {
    return {
      [EVENTS_PATH]: { GET: this.guarded((...call) => this.events(...call)) },
      [FRAMES_PATH]: { POST: this.guarded((request, response) => void this.frames(request, response)) },
      [POLL_PATH]: { GET: this.guarded((...call) => this.poll(...call)) },
      [TICKETS_PATH]: { POST: this.guarded((request, response) => void this.ticket(request, response)) },
    };
  }

  /** Answers a method that a path does not have; preflights are one. */
  other(path: string, request: IncomingMessage, response: ServerResponse): void {
    const methods = Object.keys(this.routes[path] ?? {}).join(', ');
    if (request.method !== 'OPTIONS') {
      replyJson(response, 405, { code: 'method_not_allowed' }, { Allow: `${methods}, OPTIONS` });
    } else if (allowOrigin(request, response, this.options.config.origins)) {
      answerPreflight(response, methods);
    } else {
      this.refuse(response, 403, 'origin');
    }
  }

  /** Checks that cost nothing, before anything else is looked at. */
  private guarded(handler: Handler): Handler {
    return (request, response, query) => {
      // A request behind one that is still answered: its client never waits for it, or is none of ours.
      if (response.socket === null) {
        request.socket.destroy();
        return;
      }
      const { headers } = request;
      if (!allowOrigin(request, response, this.options.config.origins)) this.refuse(response, 403, 'origin');
      else if (request.rawHeaders.length / 2 > HEADER_COUNT_LIMIT) this.refuse(response, 431, 'header_count');
      else if (
        request.httpVersion !== '1.0' &&
        (valuesOf(request, 'host').length !== 1 || headers.host === '')
      )
        this.refuse(response, 400, 'host');
      // A token in a URL ends up in logs and histories (RFC 6750 §5.3).
      else if (query.has('token') || query.has('access_token')) this.refuse(response, 400, 'token_in_url');
      else if (headers['content-encoding'] !== undefined) this.refuse(response, 415, 'content_encoding');
      else if (request.method === 'GET' && hasBody(request)) this.refuse(response, 400, 'body');
      else handler(request, response, query);
    };
  }

  private events(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    if (!accepts(request.headers.accept, 'text/event-stream')) {
      this.refuse(response, 406, 'accept');
      return;
    }
    const codec = this.codecOf(query);
    if (codec === null) {
      this.refuse(response, 400, 'codec');
      return;
    }
    const address = this.admit(request, response);
    if (address === null) return;
    const ticket = query.get('ticket');
    if (ticket !== null) {
      // Browsers say it when they come back to a URL; who opens another one says it there.
      const lastId = headerOf(request, 'last-event-id') ?? query.get('last-event-id');
      void this.read(response, address, ticket, lastId);
      return;
    }
    const stream = new EventStreamConnection(this.streamOptions(response, codec, address));
    stream.tell('open', this.open(stream, request));
  }

  /** A stream of what a ticket is good for, from after the last event of another one where that is given. */
  private async read(
    response: ServerResponse,
    address: string,
    ticket: string,
    lastId: string | null,
  ): Promise<void> {
    const { gateway, admission, metrics, tickets, codecs } = this.options;
    let reading: Reading | null;
    try {
      reading = await tickets.redeem(ticket);
    } catch (error) {
      this.fail(response, error);
      return;
    }
    if (response.destroyed) return;
    // EventSource comes back to the same URL: an error ends that.
    if (reading === null) {
      this.refuse(response, 401, 'invalid_ticket');
      return;
    }
    const { rooms, history } = reading;
    const positions = lastId === null ? [] : positionsOf(lastId, rooms.length);
    if (positions === null) {
      this.refuse(response, 400, 'last_event_id');
      return;
    }
    const codec = codecs[SUBPROTOCOLS.json];
    const stream = new ReaderStream(
      this.streamOptions(response, codec, address),
      this.readerEvents,
      rooms,
      lastId,
    );
    metrics.handshakes.add('accepted');
    admission.enter(address);
    stream.open(gateway.accept(stream, reading.identity));
    const from = history === 0 ? null : history;
    const joins = rooms.map((room, i) => [TYPES.join, i + 1, room, positions[i] ?? from]);
    stream.begin([[TYPES.hello, PROTOCOL_VERSION, null, null, 'event stream'], ...joins]);
  }

  private streamOptions(response: ServerResponse, codec: FrameCodec, address: string): EventStreamOptions {
    const { config, wheel } = this.options;
    response.writeHead(200, STREAM_HEADERS);
    return {
      response,
      flusher: this.flusher,
      wheel,
      codec,
      address,
      frameLimitBytes: config.limits.frameLimitBytes,
      silenceLimitMs: config.sessions.httpSilenceLimitMs,
    };
  }

  private async ticket(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { config, admission, tickets } = this.options;
    if (!admission.takeHandshake(clientAddress(request, config.server.trustedProxies))) {
      this.refuse(response, 429, 'handshake_rate', { 'Retry-After': '1' });
      return;
    }
    const body = await this.bodyOf(request, response, TICKET_BODY_LIMIT_BYTES);
    if (body === null) return;
    try {
      const token = bearerOf(request.headers.authorization);
      replyJson(response, 200, await tickets.issue(token, parseJson(body)));
    } catch (error) {
      this.fail(response, error);
    }
  }

  private fail(response: ServerResponse, error: unknown): void {
    if (error instanceof GatewayError) {
      this.refuse(response, 503, error.code, { 'Retry-After': '1' });
    } else if (error instanceof ProtocolError) {
      const challenge = error.code === 'invalid_token' ? { 'WWW-Authenticate': 'Bearer' } : undefined;
      this.refuse(response, STATUS_OF_CODE[error.code] ?? 400, error.code, challenge);
    } else {
      this.options.log.error({ err: error }, 'a request failed');
      this.refuse(response, 500, 'internal_error');
    }
  }

  private poll(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const connection = headerOf(request, CONNECTION_HEADER);
    if (connection !== null) {
      void this.ask(request, response, connection);
      return;
    }
    const codec = this.codecOf(query);
    if (codec === null) {
      this.refuse(response, 400, 'codec');
      return;
    }
    const address = this.admit(request, response);
    if (address === null) return;
    const { config, wheel } = this.options;
    const poll = new LongPollConnection({
      flusher: this.flusher,
      wheel,
      codec,
      address,
      frameLimitBytes: config.limits.frameLimitBytes,
      silenceLimitMs: config.sessions.httpSilenceLimitMs,
    });
    replyJson(response, 200, { connection: this.open(poll, request) });
  }

  /** The next answer of a connection that polls. */
  private async ask(request: IncomingMessage, response: ServerResponse, connection: string): Promise<void> {
    const number = this.numberOf(request, response);
    if (number === null) return;
    const errand = { work: 'poll', number, binary: false, body: NOTHING } as const;
    this.answer(response, await this.options.errands.run(connection, errand));
  }

  private async frames(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = headerOf(request, CONNECTION_HEADER);
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
    if (connection === null) {
      this.refuse(response, 400, 'connection');
      return;
    }
    if (type !== BODY_TYPES.binary && type !== BODY_TYPES.text) {
      this.refuse(response, 415, 'content_type');
      return;
    }
    const number = this.numberOf(request, response);
    if (number === null) return;
    const { frameLimitBytes } = this.options.config.limits;
    const limitBytes = Math.max(frameLimitBytes, POST_BATCH_BYTES) + POST_SLACK_BYTES;
    const body = await this.bodyOf(request, response, limitBytes);
    if (body === null) return;
    const errand = { work: 'post', number, binary: type === BODY_TYPES.binary, body } as const;
    this.answer(response, await this.options.errands.run(connection, errand));
  }

  /** Counts a request of a connection that stands, and reads its number; null where it was refused. */
  private numberOf(request: IncomingMessage, response: ServerResponse): number | null {
    const { config, admission } = this.options;
    const text = headerOf(request, NUMBER_HEADER) ?? '';
    if (!admission.takeRequest(clientAddress(request, config.server.trustedProxies))) {
      this.refuse(response, 429, 'request_rate', { 'Retry-After': '1' });
    } else if (!NUMBER.test(text)) {
      this.refuse(response, 400, 'number');
    } else {
      return Number(text);
    }
    return null;
  }

  private async bodyOf(
    request: IncomingMessage,
    response: ServerResponse,
    limitBytes: number,
  ): Promise<Buffer | null> {
    const { server } = this.options.config;
    const reserved = Math.min(Number(request.headers['content-length'] ?? limitBytes), limitBytes);
    if (this.bodies + reserved > BODIES_LIMIT_BYTES) {
      this.refuse(response, 503, 'overloaded', { 'Retry-After': '1', Connection: 'close' });
      return null;
    }
    this.bodies += reserved;
    const body = await readBody(request, { limitBytes, timeoutMs: server.headersTimeoutMs });
    this.bodies -= reserved;
    if (typeof body !== 'string') return body;
    if (body === 'cut') return null;
    this.options.metrics.handshakes.add(body);
    replyAndHangUp(response, body === 'too_big' ? 413 : 408, { code: body });
    return null;
  }

  private answer(response: ServerResponse, { outcome, close, body }: ErrandAnswer): void {
    switch (outcome) {
      case 'taken':
      case 'again':
        replyEmpty(response);
        return;
      case 'frames':
        replyBytes(response, 200, body, {
          // A record begins with a zero: no frame is as long as 16 MiB.
          'Content-Type': body[0] === 0x5b ? BODY_TYPES.text : BODY_TYPES.binary,
          ...(close === 0 ? {} : { [CLOSE_HEADER]: String(close) }),
        });
        return;
      case 'out_of_order':
        replyJson(response, 409, { code: outcome });
        return;
      case 'wrong_type':
        replyJson(response, 415, { code: outcome });
        return;
      case 'gone':
        replyJson(response, 410, { code: codeOfClose(close) ?? 'connection_lost', close });
        return;
      case 'none':
        replyJson(response, 404, { code: 'no_connection' });
        return;
      case 'unavailable':
        replyJson(response, 503, { code: outcome }, { 'Retry-After': '1' });
        return;
      default:
        outcome satisfies never;
    }
  }

  /** The client's address where a newcomer may come in; null where it was refused. */
  private admit(request: IncomingMessage, response: ServerResponse): string | null {
    const { config, admission, gateway } = this.options;
    const address = clientAddress(request, config.server.trustedProxies);
    if (!admission.takeHandshake(address)) {
      this.refuse(response, 429, 'handshake_rate', { 'Retry-After': '1' });
      return null;
    }
    const overload = admission.overload(address);
    if (overload !== null) {
      this.turnAway(response, overload);
      return null;
    }
    if (gateway.hellos.isFull) {
      this.refuse(response, 503, 'handshakes_pending', { 'Retry-After': '1' });
      return null;
    }
    return address;
  }

  /** Takes the connection in; returns its id. */
  private open(connection: HttpConnection, request: IncomingMessage): string {
    const { metrics, admission, gateway, connections, errands } = this.options;
    const { id, secret } = errands.newId();
    metrics.handshakes.add('accepted');
    admission.enter(connection.address);
    const visit = gateway.accept(connection, bearerOf(request.headers.authorization));
    connections.add(secret, connection);
    connection.open({
      frame: (bytes) => {
        visit.frame(bytes);
      },
      closed: (number) => {
        connections.remove(secret, number);
        visit.closed(number);
      },
    });
    return id;
  }

  private codecOf(query: URLSearchParams): FrameCodec | null {
    const name = query.get('codec') ?? 'json';
    return isCodecName(name) ? this.options.codecs[SUBPROTOCOLS[name]] : null;
  }

  /** With the number that a WebSocket would be closed with: a script reads it here. */
  private turnAway(response: ServerResponse, code: CloseCode): void {
    this.options.metrics.handshakes.add(code);
    const status = code === 'limit_exceeded' ? 429 : 503;
    replyJson(response, status, { code, close: CODES[code].close }, { 'Retry-After': '1' });
  }

  private refuse(
    response: ServerResponse,
    status: number,
    reason: string,
    headers: Record<string, string> = {},
  ): void {
    this.options.metrics.handshakes.add(reason);
    replyJson(response, status, { code: reason }, headers);
  }
}

const NOTHING = new Uint8Array(0);
const STATUS_OF_CODE: Partial<Record<Code, number>> = { invalid_token: 401, forbidden: 403 };

/** Undefined for what is none. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isCodecName(name: string): name is CodecName {
  return Object.hasOwn(SUBPROTOCOLS, name);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Null where it is not there exactly once. */
function headerOf(request: IncomingMessage, name: string): string | null {
  const values = valuesOf(request, name.toLowerCase());
  return values.length === 1 ? (values[0] ?? null) : null;
}

/** Whether a field `Accept` has room for a type; weights are not looked at. */
function accepts(field: string | undefined, type: string): boolean {
  if (field === undefined) return true;
  const family = `${type.split('/', 1)[0] ?? ''}/*`;
  const ranges = field.split(',').map((range) => range.split(';', 1)[0]?.trim().toLowerCase());
  return ranges.some((range) => range === type || range === family || range === '*/*');
}
