// The door of the connection test page: the page itself, tokens for its guests, and what they measured.
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { ProtocolError } from '../protocol/errors.js';
import { GUEST_PREFIX } from '../protocol/ids.js';
import { parseTestReport, type TestReport, type TestSummary } from '../protocol/test-report.js';
import type { Authenticator } from '../session/authenticator.js';
import { BucketMap, TokenBucket } from '../session/rate-limit.js';
import { clientAddress } from '../transport/client-address.js';
import { replyAndHangUp, replyBytes, replyEmpty, replyJson } from '../transport/http-reply.js';
import { readBody } from '../transport/request-body.js';
import { bearerOf, isOriginAllowed } from '../transport/upgrade-check.js';
import type { Admission } from './admission.js';
import type { Routes } from './http-door.js';
import type { TestGuests } from './test-guests.js';

export interface TestDoorOptions {
  config: Config;
  /** Of the page: `test-page.html`, `.css` and `.js`, and `test-page-old.js` for browsers that cannot run it. */
  webDirectory: string;
  guests: TestGuests;
  authenticator: Pick<Authenticator, 'verify'>;
  admission: Pick<Admission, 'takeHandshake'>;
  /** Takes what a page measured. */
  tested: (report: TestReport) => void;
  count: (outcome: string) => void;
  /** Monotonic, ms. */
  now?: () => number;
}

/** A key, or a report of a full page. */
const BODY_LIMIT_BYTES = 16 * 1024;
/** Bodies that are being read at a time. */
const BODIES_LIMIT = 64;
/** A page reports once a minute at most; behind one address may be an office. */
const ADDRESS_REPORTS = { perSecond: 0.5, burst: 60 };
/** Of all pages at this worker: what they tell goes through the primary. */
const ALL_REPORTS = { perSecond: 50, burst: 200 };

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
/** What may stand in a policy: no spaces, no semicolons. */
const HOST = /^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/;
const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
};

export class TestDoor {
  private readonly reports = new BucketMap(ADDRESS_REPORTS);
  private readonly allReports = new TokenBucket(ALL_REPORTS);
  private bodies = 0;
  private summary: TestSummary | null = null;

  constructor(private readonly options: TestDoorOptions) {}

  get routes(): Routes {
    const file = (name: string, type: keyof typeof TYPES): Routes[string] => {
      const body = readFileSync(join(this.options.webDirectory, `${name}.${type}`));
      const serve = (request: IncomingMessage, response: ServerResponse): void => {
        this.serve(request, response, TYPES[type], body);
      };
      return { GET: serve, HEAD: serve };
    };
    return {
      '/test': file('test-page', 'html'),
      '/test/page.css': file('test-page', 'css'),
      '/test/page.js': file('test-page', 'js'),
      '/test/old.js': file('test-page-old', 'js'),
      '/test/token': { POST: (request, response) => void this.token(request, response) },
      '/test/results': {
        GET: (request, response) => {
          this.tell(request, response);
        },
        POST: (request, response) => void this.report(request, response),
      },
    };
  }

  other(path: string, _request: IncomingMessage, response: ServerResponse): void {
    const methods = Object.keys(this.routes[path] ?? {}).join(', ');
    replyJson(response, 405, { code: 'method_not_allowed' }, { Allow: methods });
  }

  /** What all pages of this node found, as the primary added it up. */
  learn(summary: TestSummary): void {
    this.summary = summary;
  }

  /** Forgets addresses that have been quiet. */
  prune(): void {
    this.reports.prune(this.now());
  }

  private now(): number {
    return (this.options.now ?? (() => performance.now()))();
  }

  private serve(request: IncomingMessage, response: ServerResponse, type: string, body: Buffer): void {
    const host = this.hostOf(request);
    if (host === null) {
      replyJson(response, 404, { code: 'not_found' });
      return;
    }
    replyBytes(response, 200, request.method === 'HEAD' ? NOTHING : body, {
      'Content-Type': type,
      'Cache-Control': 'no-cache',
      // The gateway by name: older browsers do not take 'self' for its WebSocket too.
      'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws://${host} wss://${host}; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`,
      'X-Frame-Options': 'DENY',
    });
  }

  /** Null for a name that the page is not for: in development mode this machine only, as for the playground (DNS rebinding). */
  private hostOf({ headers: { host } }: IncomingMessage): string | null {
    const pattern = this.options.config.development ? LOOPBACK_HOST : HOST;
    return host !== undefined && pattern.test(host) ? host : null;
  }

  /** Only the page itself: browsers send the origin with every POST, and no page can forge it. */
  private isOwnPage(request: IncomingMessage): boolean {
    const host = this.hostOf(request);
    const { origin } = request.headers;
    return host !== null && (origin === `http://${host}` || origin === `https://${host}`);
  }

  private async token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { config, admission, guests } = this.options;
    const address = clientAddress(request, config.server.trustedProxies);
    if (!admission.takeHandshake(address)) {
      this.refuse(response, 429, 'handshake_rate', { 'Retry-After': '1' });
      return;
    }
    if (!this.isOwnPage(request)) {
      this.refuse(response, 403, 'forbidden', {}, FOREIGN);
      return;
    }
    const { origin } = request.headers;
    // Else the page would see a handshake fail, and take it for the network's fault.
    if (!isOriginAllowed(origin, config.origins)) {
      this.refuse(response, 403, 'origin', {}, notListed(String(origin)));
      return;
    }
    const body = await this.bodyOf(request, response);
    if (body === null) return;
    const guest = guests.admit(fieldOf(parseJson(body), 'key'), address);
    if (guest === null) this.refuse(response, 400, 'bad_parameter');
    else replyJson(response, 200, guest);
  }

  private async report(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { config, authenticator, tested, count } = this.options;
    const address = clientAddress(request, config.server.trustedProxies);
    const tooMany = (): void => {
      this.refuse(response, 429, 'rate_limited', { 'Retry-After': '60' });
    };
    if (this.reports.take(address, 1, this.now()) > 0) {
      tooMany();
      return;
    }
    const token = bearerOf(request.headers.authorization);
    const isGuest = await authenticator.verify(token ?? '').then(
      ({ client }) => client.startsWith(GUEST_PREFIX),
      () => false,
    );
    if (!isGuest) {
      this.refuse(response, 401, 'invalid_token', { 'WWW-Authenticate': 'Bearer' });
      return;
    }
    // Behind the token: else anybody could use up what is for all. What is refused is not owed, so that it is soon over.
    if (this.allReports.take(0, this.now()) > 0 || this.allReports.take(1, this.now()) > 0) {
      tooMany();
      return;
    }
    const body = await this.bodyOf(request, response);
    if (body === null) return;
    try {
      tested(parseTestReport(parseJson(body)));
      count('reported');
      replyEmpty(response);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      count(error.code);
      replyJson(response, 400, { code: error.code, text: error.message });
    }
  }

  private tell(request: IncomingMessage, response: ServerResponse): void {
    if (this.hostOf(request) === null) replyJson(response, 404, { code: 'not_found' });
    else replyJson(response, 200, this.summary ?? { sinceMs: Date.now(), reports: 0, groups: [] });
  }

  private async bodyOf(request: IncomingMessage, response: ServerResponse): Promise<Buffer | null> {
    if (this.bodies >= BODIES_LIMIT) {
      replyAndHangUp(response, 503, { code: 'overloaded' });
      return null;
    }
    this.bodies++;
    const timeoutMs = this.options.config.server.headersTimeoutMs;
    const body = await readBody(request, { limitBytes: BODY_LIMIT_BYTES, timeoutMs });
    this.bodies--;
    if (typeof body !== 'string') return body;
    this.options.count(body);
    if (body !== 'cut') replyAndHangUp(response, body === 'too_big' ? 413 : 408, { code: body });
    return null;
  }

  private refuse(
    response: ServerResponse,
    status: number,
    code: string,
    headers: Record<string, string> = {},
    text?: string,
  ): void {
    this.options.count(code);
    replyJson(response, status, text === undefined ? { code } : { code, text }, headers);
  }
}

const FOREIGN =
  'The request does not name the address that this page has. Where the address is right, a proxy in front of the gateway changes the Host header: its operator has to let it through.';

function notListed(origin: string): string {
  return `Pages of ${origin} may not connect to this gateway. Its operator has to add that origin to ORIGINS.`;
}

const NOTHING = new Uint8Array(0);

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}
