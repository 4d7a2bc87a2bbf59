// The ways to a gateway and what is known of them: tries the next where one fails, remembers what worked, looks for a better one.
import { EventStreamSocket } from './event-stream-socket.js';
import { PollSocket } from './poll-socket.js';
import { DROPPED, type Transport, type WebSocketClass, type WebSocketLike } from './websocket-class.js';

/** How long a way may take to open where another one is left to try, ms: some networks swallow a WebSocket without a word. */
const OPEN_TIMEOUT_MS = 4_000;
/** How long a way that was not the first choice is remembered, ms. */
const MEMORY_MS = 600_000;
/** First and longest wait before a better way is looked for, ms. */
const UPGRADE_FIRST_MS = 30_000;
const UPGRADE_LAST_MS = 600_000;
/** How long a connection is left alone once more where something waits to be sent, ms. */
const BUSY_MS = 1_000;
/** What worked before has to fail so often in a row before others are tried: a gateway that is away is no blocked way. */
const PATIENCE = 3;
/** The end that makes the link come back at once, by the better way. */
const GOING_AWAY = 1001;

const HTTP_CLASSES = { sse: EventStreamSocket, poll: PollSocket } as const;

/** What a test may set apart from the real ones. */
export interface WaysOptions {
  openTimeoutMs?: number;
  upgradeFirstMs?: number;
}

export class Ways {
  readonly #order: readonly Transport[];
  readonly #webSocket: WebSocketClass;
  readonly openTimeoutMs: number;
  readonly #upgradeFirstMs: number;
  /** Place in the order where the next try begins. */
  #first = 0;
  #rememberedUntil = 0;
  /** The way that brought the last frame, and how often it has failed since. */
  #proven: number | null = null;
  #failures = 0;

  constructor(
    order: readonly Transport[] = ['websocket', 'sse', 'poll'],
    webSocket: WebSocketClass,
    { openTimeoutMs = OPEN_TIMEOUT_MS, upgradeFirstMs = UPGRADE_FIRST_MS }: WaysOptions = {},
  ) {
    this.#order = order;
    this.#webSocket = webSocket;
    this.openTimeoutMs = openTimeoutMs;
    this.#upgradeFirstMs = upgradeFirstMs;
  }

  /** The class for the next connection. */
  choose(): WebSocketClass {
    if (Date.now() > this.#rememberedUntil) this.#first = 0;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the class below has a `this` of its own
    const ways = this;
    return class extends TriedSocket {
      constructor(url: string, protocols: string[]) {
        super(ways, url, protocols);
      }
    };
  }

  get first(): number {
    return this.#first;
  }

  /** Whether another way is tried after this one failed to open; TCP has no other. */
  goesOn(at: number, url: string): boolean {
    if (/^tcps?:/.test(url)) return false;
    return at + 1 < this.#order.length && (at !== this.#proven || this.#failures + 1 >= PATIENCE);
  }

  /** @throws where the platform forbids it, as a page of https and a ws: URL */
  open(at: number, url: string, protocols: string[]): WebSocketLike {
    const name = this.#order[at] ?? 'websocket';
    return new (name === 'websocket' ? this.#webSocket : HTTP_CLASSES[name])(url, protocols);
  }

  /** A frame came by this way. */
  worked(at: number): void {
    this.#proven = at;
    this.#failures = 0;
    this.#first = at;
    this.#rememberedUntil = Date.now() + MEMORY_MS;
  }

  /** It ended before a frame came. Where it opened, or has worked before, that is rather the gateway's doing, unless it goes on. */
  failed(at: number, isOpen: boolean): void {
    if ((isOpen || at === this.#proven) && ++this.#failures < PATIENCE) return;
    this.#failures = 0;
    this.#first = at + 1 < this.#order.length ? at + 1 : 0;
    this.#rememberedUntil = Date.now() + MEMORY_MS;
  }

  /** Looks for a WebSocket again and again while a connection goes another way; the returned function ends it. */
  watchForBetter(at: number, url: string, protocols: string[], found: () => void): () => void {
    if (!this.#order.slice(0, at).includes('websocket')) return () => {};
    let waitMs = this.#upgradeFirstMs;
    let timer: ReturnType<typeof setTimeout>;
    let probe: WebSocketLike | null = null;
    const plan = (): void => {
      // Spread: those who fell back together should not come back together.
      timer = setTimeout(look, waitMs * (0.5 + Math.random()));
      waitMs = Math.min(waitMs * 2, UPGRADE_LAST_MS);
    };
    const look = (): void => {
      try {
        // Without the token: it says nothing, and is closed as soon as it stands.
        probe = new this.#webSocket(url, protocols.slice(0, 1));
      } catch {
        return;
      }
      const { onopen } = watchOpening(probe, this.openTimeoutMs, (isOpen) => {
        probe = null;
        if (!isOpen) {
          plan();
          return;
        }
        this.#first = 0;
        found();
      });
      probe.onopen = onopen;
    };
    plan();
    return () => {
      clearTimeout(timer);
      probe?.close();
    };
  }
}

/** Tells once whether a socket opens in time, and closes it again. */
function watchOpening(
  socket: WebSocketLike,
  timeoutMs: number,
  tell: (isOpen: boolean) => void,
): { onopen: () => void } {
  let isTold = false;
  const end = (isOpen: boolean): void => {
    if (isTold) return;
    isTold = true;
    clearTimeout(timer);
    socket.close();
    tell(isOpen);
  };
  const timer = setTimeout(() => end(false), timeoutMs);
  socket.onclose = () => end(false);
  socket.onerror = () => {};
  return { onopen: () => end(true) };
}

/** One connection by the first way that opens. */
class TriedSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  #socket: WebSocketLike | null = null;
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopWatching: () => void = () => {};
  /** Says once that the present way failed, unless a frame came. */
  #giveUp: () => void = () => {};
  readonly #ways: Ways;
  readonly #url: string;
  readonly #protocols: string[];

  constructor(ways: Ways, url: string, protocols: string[]) {
    this.#ways = ways;
    this.#url = url;
    this.#protocols = protocols;
    // Not before its handlers are set.
    queueMicrotask(() => this.#try(ways.first));
  }

  get protocol(): string | undefined {
    return this.#socket?.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket?.send(data);
  }

  close(code?: number): void {
    this.#leave();
    if (this.#socket === null) this.#ended = true;
    else this.#socket.close(code);
  }

  terminate(): void {
    this.#leave();
    if (this.#socket === null) this.#ended = true;
    else if (this.#socket.terminate === undefined) this.#socket.close(DROPPED);
    else this.#socket.terminate();
  }

  #leave(): void {
    clearTimeout(this.#timer);
    this.#stopWatching();
    this.#giveUp();
  }

  #try(at: number): void {
    if (this.#ended) return;
    let socket: WebSocketLike;
    try {
      socket = this.#ways.open(at, this.#url, this.#protocols);
    } catch {
      this.#next(at, 1006);
      return;
    }
    this.#socket = socket;
    let isOpen = false;
    let isProven = false;
    this.#giveUp = () => {
      if (!isProven) this.#ways.failed(at, isOpen);
      isProven = true;
    };
    socket.binaryType = this.binaryType;
    socket.onerror = () => {};
    socket.onopen = (event) => {
      isOpen = true;
      clearTimeout(this.#timer);
      this.onopen?.(event);
    };
    socket.onmessage = (event) => {
      if (!isProven) {
        isProven = true;
        this.#ways.worked(at);
        this.#stopWatching = this.#ways.watchForBetter(at, this.#url, this.#protocols, () => this.#upgrade());
      }
      this.onmessage?.(event);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket) return;
      this.#leave();
      // A number of the gateway's own is an answer: by another way it would say the same.
      if (!isOpen && code === 1006) this.#next(at, code);
      else this.#end(code);
    };
    if (!this.#ways.goesOn(at, this.#url)) return;
    this.#timer = setTimeout(() => {
      this.#giveUp();
      this.#socket = null;
      socket.close();
      this.#next(at, 1006);
    }, this.#ways.openTimeoutMs);
  }

  #next(at: number, code: number): void {
    if (this.#ended) return;
    if (this.#ways.goesOn(at, this.#url)) this.#try(at + 1);
    else this.#end(code);
  }

  #end(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onclose?.({ code });
  }

  #upgrade(): void {
    if (this.bufferedAmount > 0) {
      this.#timer = setTimeout(() => this.#upgrade(), BUSY_MS);
      return;
    }
    const socket = this.#socket;
    this.#socket = null;
    this.#end(GOING_AWAY);
    socket?.close();
  }
}
