// The public port of a worker: health, the browser SDK, the playground, and the ways to a connection.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import Router from 'find-my-way';
import type { Config } from '../config.js';
import { HEADER_COUNT_LIMIT } from '../transport/upgrade-check.js';
import type { HttpDoor } from './http-door.js';
import { GUEST_TOKEN_PATH, type Playground } from './playground.js';
import type { StaticFile, StaticFiles } from './static-files.js';
import type { TestDoor } from './test-door.js';

export interface HttpServerOptions {
  config: Config;
  files: StaticFiles;
  /** Null outside development mode. */
  playground: Playground | null;
  door: Pick<HttpDoor, 'routes' | 'other'>;
  /** Null where there is no connection test page. */
  testDoor: Pick<TestDoor, 'routes' | 'other'> | null;
  isReady(): boolean;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  countBadRequest(): void;
}

/** Connections that the kernel holds until a worker takes them; Node's own default, 511, is short for a storm. */
export const LISTEN_BACKLOG = 4096;

export function createHttpServer(options: HttpServerOptions): Server {
  const { server: settings, tls } = options.config;
  const httpOptions = {
    maxHeaderSize: settings.headerLimitBytes,
    headersTimeout: settings.headersTimeoutMs,
    // Node refuses a time for the whole request that is shorter than the one for its header.
    requestTimeout: Math.max(30_000, settings.headersTimeoutMs),
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: 2_000,
    // Host is checked with the other fields of the handshake, so that each refusal is counted by its reason.
    requireHostHeader: false,
  };
  const router = createRouter(options);
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    router.lookup(request, response);
  };
  const server =
    tls === null
      ? createServer(httpOptions, listener)
      : createTlsServer(
          {
            ...httpOptions,
            cert: readFileSync(tls.certFile),
            key: readFileSync(tls.keyFile),
            minVersion: 'TLSv1.2',
            handshakeTimeout: settings.headersTimeoutMs,
          },
          listener,
        );
  // Node cuts the list off silently at its limit: one more than ours shows that there were more.
  server.maxHeadersCount = HEADER_COUNT_LIMIT + 1;
  server.maxRequestsPerSocket = 1000;
  server.on('upgrade', (request, socket, head) => {
    options.upgrade(request, socket, head);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    options.countBadRequest();
    const status = STATUS_OF_ERROR[error.code ?? ''] ?? '400 Bad Request';
    if (!socket.writable) socket.destroy();
    else socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  // An answer would wait for the handshake that failed, and hold the socket for ever.
  server.on('tlsClientError', (_error: Error, socket: Duplex) => {
    socket.destroy();
  });
  return server;
}

const STATUS_OF_ERROR: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function createRouter(options: HttpServerOptions): Router.Instance<Router.HTTPVersion.V1> {
  const router = Router({
    defaultRoute: (request, response) => {
      respond(request, response, options);
    },
    onBadUrl: (_path, _request, response) => {
      send(response, 400, 'application/json', '{"code":"bad_url"}');
    },
  });
  mount(router, options.door);
  if (options.testDoor !== null) mount(router, options.testDoor);
  return router;
}

function mount(
  router: Router.Instance<Router.HTTPVersion.V1>,
  door: Pick<HttpDoor, 'routes' | 'other'>,
): void {
  for (const [path, methods] of Object.entries(door.routes)) {
    router.all(path, (request, response) => {
      const [, query = ''] = (request.url ?? '').split('?', 2);
      const handle = Object.hasOwn(methods, request.method ?? '') ? methods[request.method ?? ''] : undefined;
      if (handle === undefined) door.other(path, request, response);
      else handle(request, response, new URLSearchParams(query));
    });
  }
}

function respond(request: IncomingMessage, response: ServerResponse, options: HttpServerOptions): void {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const { playground } = options;
  if (path === '/v1/connect') {
    send(response, 426, 'application/json', '{"code":"upgrade_required"}', {
      Upgrade: 'websocket',
      Connection: 'Upgrade',
    });
    return;
  }
  if (path === GUEST_TOKEN_PATH && playground !== null) {
    sendGuestToken(request, response, playground, query);
    return;
  }
  const known = find(path, request.headers.host, options);
  if (known === null) {
    send(response, 404, 'application/json', '{"code":"not_found"}');
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(response, 405, 'application/json', '{"code":"method_not_allowed"}', { Allow: 'GET, HEAD' });
  } else if (known === 'health') {
    const ready = path === '/healthz' || options.isReady();
    const body = JSON.stringify({ status: ready ? 'ok' : 'not_ready' });
    send(response, ready ? 200 : 503, 'application/json', body, NEVER_STORED);
  } else {
    send(response, 200, known.type, known.body, known.headers);
  }
}

const NEVER_STORED = { 'Cache-Control': 'no-store' };

function find(
  path: string,
  host: string | undefined,
  { files, playground }: HttpServerOptions,
): StaticFile | 'health' | null {
  if (path === '/healthz' || path === '/readyz') return 'health';
  return path === '/' && playground !== null ? playground.page(host) : files.find(path);
}

function sendGuestToken(
  { method, headers }: IncomingMessage,
  response: ServerResponse,
  playground: Playground,
  query: string,
): void {
  if (method !== 'POST') {
    send(response, 405, 'application/json', '{"code":"method_not_allowed"}', { Allow: 'POST' });
    return;
  }
  const client = new URLSearchParams(query).get('client');
  const token = playground.token(client, headers.host, headers.origin);
  if (token === null) send(response, 403, 'application/json', '{"code":"forbidden"}');
  else send(response, 200, 'application/json', JSON.stringify({ token }), NEVER_STORED);
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    ...headers,
  });
  response.end(body);
}
