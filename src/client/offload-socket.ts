// A WebSocket that lives in a worker, with the codec of large payloads: what passes between is frames with plain payloads, and data.
import { Decodings, type EncodeReport, Encodings, type EncodeTask } from './offload-codec.js';
import type { Parcel } from './offload-forms.js';
import type { LoadingPayload } from './payload-encoder.js';
import type { ReadPayload } from './payloads.js';
import type { WebSocketClass, WebSocketLike } from './websocket-class.js';

/** To the worker. Arrays, because both files are shortened apart. */
export type SocketTask =
  | [kind: 'open', url: string, protocols: string[], compressAboveBytes: number]
  /** `weight`: for how many bytes it counts. With `payload`, its own is what was encoded under that id. */
  | [kind: 'send', bytes: Uint8Array, weight: number, payload: number | null]
  | EncodeTask
  | [kind: 'close', code: number | undefined];
export type SocketReport =
  | [kind: 'ready']
  | [kind: 'open', protocol: string]
  /** `parcel`: the data of its payload, where they came decoded. */
  | [kind: 'message', frame: unknown, parcel?: Parcel | undefined]
  | EncodeReport
  /** Of so many bytes that were handed over the socket has taken; so many it still holds. */
  | [kind: 'flow', taken: number, buffered: number]
  | [kind: 'close', code: number];

/** How long a closing handshake may take before the worker is ended with it, ms. */
const FAREWELL_MS = 2_000;
/** How long one whose connection ended may take for what it still has to encode, ms: a busy machine is slow, and a dead worker says nothing. */
const ENCODING_MS = 30_000;
/** How long a worker may take to be there before the page does without it, ms. */
const READY_MS = 3_000;

/** The client's settings, as far as they change with the worker. */
export interface OffloadSettings {
  offload?: boolean;
  codec: 'msgpack' | 'json';
  /** Infinity while a worker compresses. */
  compressAboveBytes: number;
  read: ReadPayload;
  encodeAway?: (data: unknown) => LoadingPayload | null;
}

/** What the sockets of one client share. */
interface Page {
  readonly settings: OffloadSettings;
  readonly plain: WebSocketClass;
  /** As the application set it. */
  readonly compressAboveBytes: number;
  readonly decodings: Decodings;
  /** Whose worker encodes and compresses: earlier ones may still be closing. */
  current: OffloadSocket | null;
}

/** `plain` where there are no workers, or frames are text. Once for each client. */
export function offloaded(settings: OffloadSettings, plain: WebSocketClass): WebSocketClass {
  if (!settings.offload || settings.codec === 'json' || typeof Worker !== 'function') return plain;
  const { compressAboveBytes } = settings;
  const decodings = new Decodings();
  const page: Page = { settings, plain, compressAboveBytes, decodings, current: null };
  settings.read = decodings.reading(settings.read);
  settings.encodeAway = (data) => page.current?.encode(data) ?? null;
  Object.defineProperty(settings, 'compressAboveBytes', {
    get: () => (page.current === null ? compressAboveBytes : Infinity),
  });
  return class extends OffloadSocket {
    constructor(url: string, protocols: string[]) {
      super(page, url, protocols);
    }
  };
}

class OffloadSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  protocol: string | undefined = undefined;
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #page: Page;
  readonly #encodings = new Encodings({
    post: (task) => this.#post(task),
    isOpen: () => this.#page.current === this,
  });
  #worker: Worker | null = null;
  /** What has to be tidied up when the worker is there, or never will be. */
  #stopWaiting: () => void = () => {};
  /** Where no worker could be started. */
  #plain: WebSocketLike | null = null;
  /** Handed over, and not taken yet. */
  #passing = 0;
  #buffered = 0;
  #isEnded = false;
  #isReady = false;
  #isLeft = false;

  constructor(page: Page, url: string, protocols: string[]) {
    this.#page = page;
    const { settings, plain, compressAboveBytes } = page;
    if (!settings.offload) {
      this.#goPlain(new plain(url, protocols));
      return;
    }
    const failed = (): void => {
      if (this.#isEnded || this.#plain !== null) return;
      if (this.#isReady) return this.#end(1006);
      // From now on everything stays here.
      settings.offload = false;
      let socket: WebSocketLike;
      try {
        socket = new plain(url, protocols);
      } catch (error) {
        this.#end(1006);
        throw error;
      }
      this.#goPlain(socket);
    };
    try {
      const [worker, madeUrl] = startWorker();
      this.#worker = worker;
      const timer = setTimeout(failed, READY_MS);
      this.#stopWaiting = () => {
        clearTimeout(timer);
        if (madeUrl !== null) URL.revokeObjectURL(madeUrl);
      };
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
        this.#stopWaiting();
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
    const { attached } = this.#encodings;
    const weight = bytes.length + (attached?.bytes ?? 0);
    this.#passing += weight;
    this.#post(['send', bytes, weight, attached?.id ?? null], [bytes.buffer]);
  }

  /** See `Encodings.start`. */
  encode(data: unknown): LoadingPayload | null {
    return this.#encodings.start(data);
  }

  close(code?: number): void {
    if (this.#plain !== null) return this.#plain.close(code);
    if (!this.#isReady) return this.#end(1006);
    this.#leave();
    this.#post(['close', code]);
    setTimeout(() => this.#end(1006), FAREWELL_MS);
  }

  #post(task: SocketTask, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(task, transfer);
  }

  #take(report: Exclude<SocketReport, [kind: 'ready']>): void {
    switch (report[0]) {
      case 'open':
        this.protocol = report[1];
        return this.onopen?.({});
      case 'message': {
        const [, frame, parcel] = report;
        // Not before: a socket that is opened to see whether it opens carries nothing.
        if (!this.#isLeft) this.#page.current = this;
        if (frame instanceof ArrayBuffer && parcel !== undefined) this.#page.decodings.add(frame, parcel);
        return this.onmessage?.({ data: frame });
      }
      case 'encoded':
      case 'unencodable':
        return this.#encodings.take(report);
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
    this.#leave();
    this.#stopWaiting();
    const worker = this.#worker;
    if (worker === null) return;
    this.#worker = null;
    worker.onerror = null;
    const end = (): void => {
      clearTimeout(timer);
      worker.onmessage = null;
      worker.terminate();
      this.#encodings.fail();
    };
    const timer = setTimeout(end, ENCODING_MS);
    // What it encodes may be written to the next connection.
    worker.onmessage = ({ data }: MessageEvent<SocketReport>) => {
      if (data[0] === 'encoded' || data[0] === 'unencodable') this.#encodings.take(data);
      if (this.#encodings.isDone) end();
    };
    if (this.#encodings.isDone) end();
  }

  /** The page compresses again, unless another socket is the current one by now. */
  #leave(): void {
    this.#isLeft = true;
    if (this.#page.current === this) this.#page.current = null;
  }

  #goPlain(socket: WebSocketLike): void {
    this.#stop();
    this.#plain = socket;
    socket.binaryType = this.binaryType;
    socket.onopen = (event) => {
      this.protocol = socket.protocol;
      this.onopen?.(event);
    };
    socket.onmessage = (event) => this.onmessage?.(event);
    socket.onclose = (event) => this.onclose?.(event);
    socket.onerror = (event) => this.onerror?.(event);
  }
}

/** With the URL that was made for it, to be revoked when it runs. */
function startWorker(): [worker: Worker, madeUrl: string | null] {
  const { href, origin } = new URL('./offload-socket-worker.js', import.meta.url);
  if (origin === location.origin)
    return [new Worker(new URL('./offload-socket-worker.js', import.meta.url)), null];
  // The SDK came from another origin, of which no worker is made; a worker of this one may load it.
  const text = `importScripts(${JSON.stringify(href)})`;
  const madeUrl = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  return [new Worker(madeUrl), madeUrl];
}
