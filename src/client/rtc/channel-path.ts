// A data channel as the path of one stream: frames as messages, and no more of them than it sends.
import type { StreamPath } from '../streams/paths.js';

/** More than this is not put into a channel: Chromium ends one that holds 16 MiB, and what is in it is late for another way. */
const BUFFER_LIMIT_BYTES = 256 * 1024;
const BUFFER_LOW_BYTES = BUFFER_LIMIT_BYTES / 2;

/** The stream that goes by it. */
export interface PathUser {
  came(bytes: Uint8Array, path: StreamPath): void;
  /** There is room again. */
  pump(): void;
  left(path: StreamPath): void;
}

export class ChannelPath implements StreamPath {
  /** Through a TURN server or not: known by the pair of candidates, which may change. */
  kind: StreamPath['kind'] = 'direct';
  /** Resolves when it is closed, whoever closed it. */
  readonly over: Promise<void>;
  readonly #channel: RTCDataChannel;
  readonly #user: PathUser;
  readonly #stopped = new AbortController();
  #resolveOver: () => void = () => {};

  /** @param channel open */
  constructor(channel: RTCDataChannel, user: PathUser) {
    this.#channel = channel;
    this.#user = user;
    this.over = new Promise((resolve) => (this.#resolveOver = resolve));
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = BUFFER_LOW_BYTES;
    const { signal } = this.#stopped;
    channel.addEventListener('message', ({ data }) => this.#receive(data), { signal });
    channel.addEventListener('bufferedamountlow', () => user.pump(), { signal });
    for (const event of ['closing', 'close', 'error'])
      channel.addEventListener(event, () => this.close(), { signal });
  }

  get isOpen(): boolean {
    return this.#channel.readyState === 'open' && !this.#stopped.signal.aborted;
  }

  get isCongested(): boolean {
    return this.#channel.bufferedAmount >= BUFFER_LIMIT_BYTES;
  }

  put(bytes: Uint8Array<ArrayBuffer>): void {
    try {
      this.#channel.send(bytes);
    } catch {
      // Closed without a word, or full in spite of all: what it did not take is sent by the other way.
      this.close();
    }
  }

  close(): void {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#channel.close();
    this.#resolveOver();
    this.#user.left(this);
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) this.#user.came(new Uint8Array(data), this);
    else this.close();
  }
}
