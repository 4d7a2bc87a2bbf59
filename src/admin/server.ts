// The admin port: metrics of the node, and where a client is.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { isIP } from 'node:net';
import Router from 'find-my-way';
import type { Config } from '../config.js';
import type { Code } from '../protocol/codes.js';
import { type ClientId, isClientId } from '../protocol/ids.js';
import type { Revocation, SessionPlace } from '../session/store/store.js';
import { parseRevocation } from './revocation-request.js';
import { StartError } from '../start-error.js';

export interface AdminSource {
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  locate(client: ClientId): Promise<SessionPlace[] | null>;
  workers(): { id: string; pid: number; state: string }[];
  /** Resolves with why not; null where it is done. */
  revoke(revocation: Revocation): Promise<Code | null>;
}

/** Longest body of a request, bytes. */
const BODY_LIMIT_BYTES = 4096;

/**
 * Null where the admin port is off.
 * @throws StartError where it cannot be listened on
 */
export async function startAdminServer(
  config: Config,
  source: AdminSource,
): Promise<{ port: number; close(): void } | null> {
  const { adminPort, adminHost, adminKey } = config.server;
  if (adminPort === null) return null;
  const router = Router({
    // Longer than any id with every character escaped; the router's own limit is shorter than an id.
    maxParamLength: 512,
    defaultRoute: (_request, response) => {
      reply(response, 404, { code: 'not_found' });
    },
  });
  router.on('GET', '/healthz', (_request, response) => {
    reply(response, 200, { status: 'ok' });
  });
  router.on('GET', '/metrics', (_request, response) => {
    void source.metrics().then(
      (text) => {
        response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' });
        response.end(text);
      },
      () => {
        reply(response, 500, { code: 'internal_error' });
      },
    );
  });
  // Without a key the API does not exist: there is no default password.
  if (adminKey !== null) {
    router.on('GET', '/api/v1/workers', (request, response) => {
      if (isAdmin(request.headers.authorization, adminKey))
        reply(response, 200, { workers: source.workers() });
      else refuse(response);
    });
    router.on('POST', '/api/v1/revocations', (request, response) => {
      if (isAdmin(request.headers.authorization, adminKey))
        void revoke(request, response, config.tokens.maxLifeS, source);
      else refuse(response);
    });
    router.on('GET', '/api/v1/clients/:client', (request, response, { client }) => {
      if (!isAdmin(request.headers.authorization, adminKey)) {
        refuse(response);
        return;
      }
      const id = client ?? '';
      if (!isClientId(id)) {
        reply(response, 400, { code: 'bad_parameter' });
        return;
      }
      void source.locate(id).then((places) => {
        if (places === null) reply(response, 503, { code: 'unavailable' });
        else reply(response, 200, { client: id, sessions: places });
      });
    });
  }
  const server = createServer(
    { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000 },
    (request, response) => {
      if (isMeant(request, adminHost)) router.lookup(request, response);
      else reply(response, 421, { code: 'bad_host' });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(StartError.port('ADMIN_PORT', adminHost, adminPort, cause));
    });
    server.listen(adminPort, adminHost, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : adminPort,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function revoke(
  request: IncomingMessage,
  response: ServerResponse,
  maxLifeS: number,
  source: AdminSource,
): Promise<void> {
  const revocation = parseRevocation(await readJson(request), maxLifeS, Date.now());
  if (revocation === null) {
    reply(response, 400, { code: 'bad_parameter' });
    return;
  }
  const refusal = await source.revoke(revocation);
  if (refusal === null) reply(response, 200, revocation);
  // Full: to come again soon does not help, and is not what 503 should make a program do.
  else reply(response, refusal === 'limit' ? 507 : 503, { code: refusal });
}

/** Undefined for what is too long or no JSON. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // To its end, or the answer would be cut off with it.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= BODY_LIMIT_BYTES) chunks.push(chunk);
    }
    return bytes <= BODY_LIMIT_BYTES ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A page whose name was made to point here (DNS rebinding) can ask this port from an operator's browser, and read the
 * answer; its own name in `Host` gives it away. Programs without that field are no browsers.
 */
function isMeant({ headers: { host } }: IncomingMessage, adminHost: string): boolean {
  if (host === undefined) return true;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return isIP(name) !== 0 || name === 'localhost' || name === adminHost.toLowerCase();
}

/** Compares digests, so that neither time nor length tells anything about the key. */
function isAdmin(authorization: string | undefined, key: string): boolean {
  const given = authorization?.startsWith('Bearer ') === true ? authorization.slice(7) : '';
  return timingSafeEqual(digest(given), digest(key));
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}

function refuse(response: ServerResponse): void {
  response.setHeader('WWW-Authenticate', 'Bearer');
  reply(response, 401, { code: 'invalid_token' });
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(body));
}
