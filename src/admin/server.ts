// The admin port: metrics of the node, and the API for servers.
import { type IncomingMessage, createServer } from 'node:http';
import { isIP } from 'node:net';
import Router from 'find-my-way';
import type { Config } from '../config.js';
import { StartError } from '../start-error.js';
import { Api } from './api.js';
import type { ApiSource } from './api-routes.js';
import { reply } from './reply.js';

export interface AdminSource extends Omit<ApiSource, 'tokensLiveS'> {
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
}

export interface AdminServer {
  readonly port: number;
  /** Reads the keys of servers again. @throws Error that says what is wrong with the file; the old keys stay then */
  reload(): void;
  close(): void;
}

/** How often callers that have been quiet are forgotten, ms. */
const PRUNE_INTERVAL_MS = 10_000;

/**
 * Null where the admin port is off.
 * @throws StartError where it cannot be listened on
 */
export async function startAdminServer(config: Config, source: AdminSource): Promise<AdminServer | null> {
  const { adminPort, adminHost } = config.server;
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
  const api = new Api(config, { ...source, tokensLiveS: config.tokens.maxLifeS });
  api.mount(router);
  const pruning = setInterval(() => {
    api.prune();
  }, PRUNE_INTERVAL_MS).unref();
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
    reload: () => {
      api.reload();
    },
    close: () => {
      clearInterval(pruning);
      server.close();
      server.closeAllConnections();
    },
  };
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
