// The API for servers on the admin port: who calls, how often, and whether what it sends is what the route takes.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import type { TSchema } from '@sinclair/typebox';
import type Router from 'find-my-way';
import type { Config } from '../config.js';
import { type ClientId, isName } from '../protocol/ids.js';
import { GatewayError } from '../protocol/errors.js';
import { ServerVerbs } from '../relay/server-verbs.js';
import { parsePermissions } from '../session/permissions.js';
import { parseKeys } from '../session/pre-shared-keys.js';
import { BucketMap } from '../session/rate-limit.js';
import type { ServerCaller } from '../relay/server-call.js';
import { API_ROUTES, type ApiAnswer, type ApiRoute, type ApiSource, refused } from './api-routes.js';
import { describeApi } from './openapi.js';
import { reply } from './reply.js';

/** Wrong keys from one address, per second, and at once: nobody guesses 190 bits, and a typing mistake is no attack. */
const WRONG_KEYS = { perSecond: 1, burst: 10 };
/** Requests that wait for their answers; each may hold a body. */
const PENDING_LIMIT = 256;
/** Longest `Idempotency-Key`, characters. */
const IDEMPOTENCY_KEY_LIMIT = 256;
/** How soon a caller may try again, s. */
const RETRY_AFTER_S = '1';

interface Key extends ServerCaller {
  digest: Buffer;
}

export class Api {
  private keys: readonly Key[];
  private readonly calls: BucketMap;
  private readonly wrongKeys = new BucketMap(WRONG_KEYS);
  private pending = 0;

  constructor(
    private readonly config: Config,
    private readonly source: ApiSource,
  ) {
    this.keys = readKeys(config);
    const perSecond = config.server.apiCallsPerSecondLimit;
    this.calls = new BucketMap({ perSecond, burst: perSecond * 2 });
  }

  /** Without a key there is no API: nothing has a default password. */
  mount(router: Router.Instance<Router.HTTPVersion.V1>): void {
    const { adminKey, apiKeysFile } = this.config.server;
    if (adminKey === null && apiKeysFile === null) return;
    const document = describeApi(API_ROUTES);
    router.on('GET', '/api/v1/openapi.json', (_request, response) => {
      reply(response, 200, document);
    });
    for (const route of API_ROUTES) {
      const input = TypeCompiler.Compile(route.input);
      const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
      router.on(route.method, path, (request, response, params) => {
        void this.answer(route, input, request, params).then(({ status, body }) => {
          if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
          if (status === 429 || status === 503) response.setHeader('Retry-After', RETRY_AFTER_S);
          reply(response, status, body);
        });
      });
    }
  }

  /** Reads the file of keys again. @throws Error that says what is wrong with it; the old keys stay then */
  reload(): void {
    this.keys = readKeys(this.config);
  }

  /** Forgets who has been quiet. */
  prune(): void {
    const now = performance.now();
    this.calls.prune(now);
    this.wrongKeys.prune(now);
  }

  private async answer(
    route: ApiRoute,
    input: TypeCheck<TSchema>,
    request: IncomingMessage,
    params: Record<string, string | undefined>,
  ): Promise<ApiAnswer> {
    const address = request.socket.remoteAddress ?? '';
    const now = performance.now();
    const caller = this.callerOf(request.headers.authorization);
    if (caller === null) {
      return this.wrongKeys.take(address, 1, now) > 0
        ? refused('rate_limited', 'Too many wrong keys.')
        : refused('invalid_token', 'No such key.');
    }
    if (this.calls.take(caller.client, 1, now) > 0)
      return refused('rate_limited', 'Too many calls with this key.');
    if (route.permission === 'admin' && !parsePermissions(caller.perm).admin) return refused('forbidden');
    if (this.pending >= PENDING_LIMIT) return refused('overloaded', 'Too many calls wait for their answers.');
    this.pending++;
    try {
      return await this.serve(route, input, request, params, caller);
    } catch {
      return refused('internal_error');
    } finally {
      this.pending--;
    }
  }

  private async serve(
    route: ApiRoute,
    input: TypeCheck<TSchema>,
    request: IncomingMessage,
    params: Record<string, string | undefined>,
    caller: ServerCaller,
  ): Promise<ApiAnswer> {
    const names: Record<string, string> = {};
    for (const [name, value] of Object.entries(params)) {
      if (!isName(value)) return refused('bad_parameter', `${name} in the path is no name`);
      names[name] = value;
    }
    const idempotencyKey = keyOf(request.headers['idempotency-key']);
    if (idempotencyKey === '') return refused('bad_parameter', 'Idempotency-Key has 1 to 256 characters');
    const limitBytes = this.config.limits.frameLimitBytes;
    const body = route.method === 'GET' ? queryOf(request.url ?? '') : await readBody(request, limitBytes);
    if (body === TOO_LARGE) return refused('too_big', `A body has at most ${String(limitBytes)} bytes.`);
    if (!input.Check(body)) {
      const error = input.Errors(body).First();
      const where = error === undefined || error.path === '' ? 'the body' : error.path.slice(1);
      return refused('bad_parameter', `${where}: ${error?.message ?? 'is no JSON'}`);
    }
    const key = route.idempotent ? idempotencyKey : null;
    const verbs = new ServerVerbs(this.source, caller);
    try {
      return await route.handle({ verbs, params: names, body, idempotencyKey: key, source: this.source });
    } catch (error) {
      if (error instanceof GatewayError) return refused(error.code, error.message);
      throw error;
    }
  }

  /** Compares digests with all keys, so that neither time nor length tells anything about one. */
  private callerOf(authorization: string | undefined): ServerCaller | null {
    const given = digest(authorization?.startsWith('Bearer ') === true ? authorization.slice(7) : '');
    let found: Key | null = null;
    for (const key of this.keys) if (timingSafeEqual(given, key.digest)) found = key;
    return found === null ? null : { client: found.client, perm: found.perm };
  }
}

/** `ADMIN_KEY` may do everything, as the client `admin`. */
function readKeys({ server: { adminKey, apiKeysFile } }: Config): Key[] {
  const keys: Key[] = [];
  if (adminKey !== null) keys.push({ client: 'admin' as ClientId, perm: '*', digest: digest(adminKey) });
  if (apiKeysFile === null) return keys;
  for (const [client, { secret, perm }] of parseKeys(readFileSync(apiKeysFile, 'utf8')))
    keys.push({ client, perm, digest: digest(secret) });
  return keys;
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}

/** Null without one, empty for one that is none. */
function keyOf(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  return typeof header === 'string' && header.length <= IDEMPOTENCY_KEY_LIMIT ? header : '';
}

/** Digits are numbers: a query has nothing but text. */
function queryOf(url: string): Record<string, unknown> {
  const { searchParams } = new URL(url, 'http://localhost');
  return Object.fromEntries(
    [...searchParams].map(([name, value]) => [
      name,
      name === 'limit' && /^\d{1,9}$/.test(value) ? Number(value) : value,
    ]),
  );
}

const TOO_LARGE = Symbol('too large');

/** Undefined for what is no JSON. */
async function readBody(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // To its end, or the answer would be cut off with it.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= limitBytes) chunks.push(chunk);
    }
    if (bytes > limitBytes) return TOO_LARGE;
    return bytes === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
