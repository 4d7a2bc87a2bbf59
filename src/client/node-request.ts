// How requests are made in Node: by `node:http`, in a fraction of the time that fetch takes. In the browsers' bundle fetch is all that is left of it.
import type http from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';

/** What is asked of `fetch`, here and in browsers. */
export interface RequestSettings {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  signal?: AbortSignal;
  cache?: 'no-store';
  credentials?: 'omit';
}
/** What is used of a `Response`. */
export interface Reply {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: ReplyBody | null;
  text(): Promise<string>;
  json(): Promise<unknown>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
interface ReplyBody {
  getReader(): { read(): Promise<{ done?: boolean; value?: Uint8Array | undefined }> };
  cancel(): Promise<void>;
}
export type Ask = (url: URL, settings: RequestSettings) => Promise<Reply>;
type Modules = Record<'http' | 'https', Pick<typeof http, 'request'>>;

/** A gateway that moved says so once or twice, not in a ring. */
const REDIRECTS_LIMIT = 5;
/** Where `fetch` has its settings in Node, those of proxies among them: undici's and Node's own copy of it both look there. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

export async function platformRequest(): Promise<Ask> {
  try {
    const [http, https] = await Promise.all([import('node:http'), import('node:https')]);
    return (url, settings) =>
      isFetchSetUp() ? fetch(url, settings) : ask({ http, https }, url, settings, REDIRECTS_LIMIT);
  } catch {
    return fetch;
  }
}

/** A program that has given `fetch` a proxy, or anything else that is not the plain agent, wants its requests to go by it. */
function isFetchSetUp(): boolean {
  const dispatcher: unknown = Reflect.get(globalThis, DISPATCHER);
  return typeof dispatcher === 'object' && dispatcher !== null && dispatcher.constructor.name !== 'Agent';
}

/** Follows redirects as fetch does. Rejects where there is no answer. */
async function ask(modules: Modules, url: URL, settings: RequestSettings, left: number): Promise<Reply> {
  const message = await send(modules, url, settings);
  const { statusCode: status = 0, headers } = message;
  const isGet = (settings.method ?? 'GET') === 'GET';
  const isRedirect = status === 307 || status === 308 || (isGet && status >= 301 && status <= 303);
  if (!isRedirect || headers.location === undefined) return new NodeReply(message, status);
  message.resume();
  if (left === 0) throw new Error('Redirected too often.');
  const next = new URL(headers.location, url);
  if (!/^https?:$/.test(next.protocol)) throw new Error('Redirected to no HTTP.');
  const { Authorization, ...others } = settings.headers ?? {};
  const isHome = next.origin === url.origin || Authorization === undefined;
  // The token is for the origin that it was given to.
  return ask(modules, next, { ...settings, headers: isHome ? { ...settings.headers } : others }, left - 1);
}

/** On a kept connection where there is one; once more where that one had just ended, since what is asked here can be asked twice. */
async function send(modules: Modules, url: URL, settings: RequestSettings): Promise<IncomingMessage> {
  for (;;) {
    settings.signal?.throwIfAborted();
    const request = begin(modules, url, settings);
    try {
      return await new Promise((resolve, reject) => {
        request.once('response', resolve);
        // Also behind the answer, which tells its reader by itself.
        request.on('error', reject);
      });
    } catch (error) {
      // Errors of Node's own are no `Error` of another realm.
      const isReset =
        typeof error === 'object' && error !== null && 'code' in error && error.code === 'ECONNRESET';
      if (!request.reusedSocket || !isReset) throw error;
    }
  }
}

function begin(
  modules: Modules,
  url: URL,
  { method, headers, body, signal }: RequestSettings,
): ClientRequest {
  const module = url.protocol === 'https:' ? modules.https : modules.http;
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  const request = module.request(url, {
    ...(method === undefined ? {} : { method }),
    headers: { 'Cache-Control': 'no-cache', ...headers, ...length },
  });
  // Not by the option `signal`: with it Node 20 throws where an answer has just ended, at the socket that nobody listens to any more.
  const abort = (): void => void request.destroy();
  signal?.addEventListener('abort', abort);
  request.once('close', () => signal?.removeEventListener('abort', abort));
  request.end(body);
  return request;
}

class NodeReply implements Reply {
  readonly #message: IncomingMessage;
  readonly status: number;
  readonly ok: boolean;
  readonly headers: Reply['headers'];
  readonly body: ReplyBody;

  constructor(message: IncomingMessage, status: number) {
    this.#message = message;
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = {
      get: (name) => {
        const value = message.headers[name.toLowerCase()];
        return typeof value === 'string' ? value : null;
      },
    };
    this.body = {
      getReader: () => {
        const chunks: AsyncIterator<Uint8Array, undefined> = message[Symbol.asyncIterator]();
        return { read: () => chunks.next() };
      },
      cancel: () => {
        // Read to its end: the connection is used again.
        message.resume();
        return Promise.resolve();
      },
    };
  }

  async text(): Promise<string> {
    return (await this.#bytes()).toString();
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.#bytes();
    return new Uint8Array(bytes).buffer;
  }

  async #bytes(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#message) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }
}
