// A connection over HTTP with the face of a WebSocket: frames go up in numbered POSTs, and come down some other way.
import {
  BODY_TYPES,
  CONNECTION_HEADER,
  FRAMES_PATH,
  NUMBER_HEADER,
  POST_BATCH_BYTES,
} from '../protocol/http-transport.js';
import { joinRecords } from '../protocol/records.js';
import { MSGPACK_SUBPROTOCOL } from '../protocol/subprotocol.js';
import { backoff } from './backoff.js';
import { platformRequest, type Reply, type RequestSettings } from './node-request.js';
import type { WebSocketLike } from './websocket-class.js';

type Data = string | Uint8Array<ArrayBuffer>;

/** POSTs under way at once: more would not be faster, and the gateway keeps few that overtake each other. */
const IN_FLIGHT_LIMIT = 3;
/** How long one request is made again and again before the connection counts as lost, ms. */
const GIVE_UP_MS = 20_000;
const WAITS = { minMs: 200, maxMs: 3_000 };
const RECORD_BYTES = 4;
const BEARER = 'bearer.';

export abstract class HttpSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  bufferedAmount = 0;
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;

  protected readonly binary: boolean;
  protected readonly signal: AbortSignal;
  /** The id of the connection; empty until the gateway has told it. */
  protected id = '';
  readonly #url: URL;
  readonly #request = platformRequest();
  readonly #authorization: Record<string, string>;
  readonly #abort = new AbortController();
  /** Of numbered requests under way: of the many that a connection makes, each leaves a listener behind at the signal that it was given. */
  readonly #requests = new Set<AbortController>();
  #queue: Data[] = [];
  #posts = 0;
  #inFlight = 0;
  #scheduled = false;
  #closed = false;

  /** @param protocols as a WebSocket gets them: the codec, and the token */
  constructor(url: string, protocols: string[]) {
    this.#url = new URL(url);
    this.#url.protocol = this.#url.protocol.replace('ws', 'http');
    this.binary = protocols.includes(MSGPACK_SUBPROTOCOL);
    const bearer = protocols.find((entry) => entry.startsWith(BEARER));
    this.#authorization =
      bearer === undefined ? {} : { Authorization: `Bearer ${bearer.slice(BEARER.length)}` };
    this.signal = this.#abort.signal;
    void this.run();
  }

  /** Brings frames down until the connection ends; never rejects. */
  protected abstract run(): Promise<void>;

  send(data: Data): void {
    if (this.#closed) return;
    this.#queue.push(data);
    this.bufferedAmount += data.length;
    this.#schedule();
  }

  close(): void {
    this.end(1006);
  }

  /** Only once; what is under way is given up. */
  protected end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort.abort();
    for (const request of this.#requests) request.abort();
    this.onclose?.({ code });
  }

  protected opened(id: string): void {
    this.id = id;
    this.onopen?.({});
  }

  protected receive(data: string | ArrayBuffer): void {
    if (!this.#closed) this.onmessage?.({ data });
  }

  /** A request to a path beside that of the WebSocket. */
  protected async ask(path: string, init: RequestSettings): Promise<Reply> {
    // The paths of the protocol stand in one folder, wherever a proxy has put it.
    const url = new URL(path.slice(path.lastIndexOf('/') + 1), this.#url);
    const request = await this.#request;
    return request(url, { cache: 'no-store', credentials: 'omit', signal: this.signal, ...init });
  }

  /** The first request of a connection; null where there is no connection, which has ended then. */
  protected async dial(path: string, headers: Record<string, string>): Promise<Reply | null> {
    try {
      const query = `${path}?codec=${this.binary ? 'msgpack' : 'json'}`;
      const response = await this.ask(query, { headers: { ...this.#authorization, ...headers } });
      if (response.ok) return response;
      this.end(await closeOf(response));
    } catch {
      this.end(1006);
    }
    return null;
  }

  /** A numbered request, made again until its answer was read to its end; null where the connection has ended. */
  protected async insist<Answer>(
    path: string,
    number: number,
    init: RequestSettings,
    read: (response: Reply) => Promise<Answer>,
  ): Promise<Answer | null> {
    const headers = { ...init.headers, [CONNECTION_HEADER]: this.id, [NUMBER_HEADER]: String(number) };
    const since = Date.now();
    for (let attempt = 0; !this.#closed; attempt++) {
      const request = new AbortController();
      this.#requests.add(request);
      try {
        const response = await this.ask(path, { ...init, headers, signal: request.signal });
        if (response.ok) return await read(response);
        if (!mayPass(response.status)) {
          this.end(await closeOf(response));
          return null;
        }
        await response.body?.cancel();
      } catch {
        // The network, for now; or the end, which the loop sees.
      } finally {
        this.#requests.delete(request);
      }
      if (Date.now() - since > GIVE_UP_MS) this.end(1006);
      await pause(backoff(attempt, Math.random(), WAITS), this.signal);
    }
    return null;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // All frames of a tick go together.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#inFlight < IN_FLIGHT_LIMIT && this.id !== '') {
      let bytes = 0;
      let count = 0;
      for (const data of this.#queue) {
        bytes += lengthOf(data) + RECORD_BYTES;
        if (count > 0 && bytes > POST_BATCH_BYTES) break;
        count++;
      }
      const batch = this.#queue.slice(0, count);
      this.#queue = this.#queue.slice(count);
      void this.#post(batch);
    }
  }

  async #post(batch: Data[]): Promise<void> {
    this.#inFlight++;
    const body = this.binary
      ? joinRecords(batch.filter((data) => typeof data !== 'string'))
      : batch.join('\n');
    const headers = { 'Content-Type': this.binary ? BODY_TYPES.binary : BODY_TYPES.text };
    await this.insist(FRAMES_PATH, ++this.#posts, { method: 'POST', body, headers }, (response) =>
      response.text(),
    );
    this.#inFlight--;
    for (const data of batch) this.bufferedAmount -= data.length;
    this.#flush();
  }
}

/** What is only so for now: too much at once, a gateway or a way to it that is away. */
function mayPass(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** The number that an answer with an error stands for, as a WebSocket would be closed with. */
async function closeOf(response: Reply): Promise<number> {
  if (response.status === 413) return 1009;
  try {
    const body: unknown = await response.json();
    const close = typeof body === 'object' && body !== null && 'close' in body ? body.close : null;
    if (typeof close === 'number' && close >= 1000 && close < 5000) return close;
  } catch {
    // Not the gateway's words.
  }
  return 1006;
}

function lengthOf(data: Data): number {
  // Three bytes at most for what JavaScript counts as one.
  return typeof data === 'string' ? data.length * 3 : data.length;
}

/** Ends sooner where the signal is given. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}
