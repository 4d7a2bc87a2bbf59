// A WebSocket that lives in a worker, which also deflates and inflates payloads there: what passes between is frames with plain payloads.
import type { WebSocketClass, WebSocketLike } from './websocket-class.js';

/** To the worker. Arrays, because both files are shortened apart. */
export type SocketTask =
  | [kind: 'open', url: string, protocols: string[], compressAboveBytes: number]
  | [kind: 'send', bytes: Uint8Array]
  | [kind: 'close', code: number | undefined];
export type SocketReport =
  | [kind: 'ready']
  | [kind: 'open']
  | [kind: 'message', data: unknown]
  /** Of so many bytes that were handed over the socket has taken; so many it still holds. */
  | [kind: 'flow', taken: number, buffered: number]
  | [kind: 'close', code: number];

/** How long a closing handshake may take before the worker is ended with it, ms. */
const FAREWELL_MS = 2_000;

/** The client's settings, as far as they change while the worker compresses. */
export interface OffloadSettings {
  offload?: boolean;
  codec: 'msgpack' | 'json';
  compressAboveBytes: number;
}

/** `plain` where there are no workers, or frames are text. */
export function offloaded(settings: OffloadSettings, plain: WebSocketClass): WebSocketClass {
  if (!settings.offload || settings.codec === 'json' || typeof Worker !== 'function') return plain;
  return class extends OffloadSocket {
    constructor(url: string, protocols: string[]) {
      super(settings, plain, url, protocols);
    }
  };
}

class OffloadSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #settings: OffloadSettings;
  readonly #compressAboveBytes: number;
  #worker: Worker | null = null;
  /** Where no worker could be started. */
  #plain: WebSocketLike | null = null;
  /** Handed over, and not taken yet. */
  #passing = 0;
  #buffered = 0;
  #isEnded = false;
  #isReady = false;

  constructor(settings: OffloadSettings, plain: WebSocketClass, url: string, protocols: string[]) {
    this.#settings = settings;
    const { compressAboveBytes } = settings;
    this.#compressAboveBytes = compressAboveBytes;
    const failed = (): void => {
      if (this.#isEnded) return;
      if (this.#isReady) this.#end(1006);
      else if (settings.offload) {
        // From now on everything stays here.
        settings.offload = false;
        this.#goPlain(new plain(url, protocols));
      }
    };
    try {
      const worker = (this.#worker = startWorker());
      worker.onerror = (event) => {
        event.preventDefault();
        failed();
      };
      worker.onmessage = ({ data }: MessageEvent<SocketReport>) => {
        if (data[0] !== 'ready') {
          this.#take(data);
          return;
        }
        this.#isReady = true;
        settings.compressAboveBytes = Infinity;
        this.#post(['open', url, protocols, compressAboveBytes]);
      };
    } catch {
      queueMicrotask(failed);
    }
  }

  get bufferedAmount(): number {
    return this.#plain?.bufferedAmount ?? this.#passing + this.#buffered;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#plain !== null) return this.#plain.send(data);
    if (typeof data === 'string') throw new TypeError('Frames are bytes.');
    // Codecs write the next frame into the same buffer.
    const bytes = data.slice();
    this.#passing += bytes.length;
    this.#post(['send', bytes], [bytes.buffer]);
  }

  close(code?: number): void {
    if (this.#plain !== null) return this.#plain.close(code);
    if (!this.#isReady) return this.#end(1006);
    this.#post(['close', code]);
    setTimeout(() => this.#end(1006), FAREWELL_MS);
  }

  #post(task: SocketTask, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(task, transfer);
  }

  #take(report: Exclude<SocketReport, [kind: 'ready']>): void {
    switch (report[0]) {
      case 'open':
        return this.onopen?.({});
      case 'message':
        return this.onmessage?.({ data: report[1] });
      case 'flow':
        this.#passing -= report[1];
        this.#buffered = report[2];
        return;
      case 'close':
        return this.#end(report[1]);
    }
  }

  #end(code: number): void {
    if (this.#isEnded) return;
    this.#stop();
    this.onclose?.({ code });
  }

  #stop(): void {
    this.#isEnded = true;
    this.#settings.compressAboveBytes = this.#compressAboveBytes;
    if (this.#worker === null) return;
    this.#worker.onmessage = this.#worker.onerror = null;
    this.#worker.terminate();
    this.#worker = null;
  }

  #goPlain(socket: WebSocketLike): void {
    this.#stop();
    this.#plain = socket;
    socket.binaryType = this.binaryType;
    socket.onopen = (event) => this.onopen?.(event);
    socket.onmessage = (event) => this.onmessage?.(event);
    socket.onclose = (event) => this.onclose?.(event);
    socket.onerror = (event) => this.onerror?.(event);
  }
}

function startWorker(): Worker {
  const { href, origin } = new URL('./offload-socket-worker.js', import.meta.url);
  if (origin === location.origin) return new Worker(new URL('./offload-socket-worker.js', import.meta.url));
  // The SDK came from another origin, of which no worker is made; a worker of this one may load it.
  const text = `importScripts(${JSON.stringify(href)})`;
  return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
}
