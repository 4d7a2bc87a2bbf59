// What an application reads of a stream: it waits here until it is wanted, in no more memory than the window that the other side was given.
import type { Payload } from '../../protocol/frame.js';
import { ReceiveFlow } from './receive-flow.js';
import { costOf } from './send-flow.js';
import type { StreamCodec } from './stream-codec.js';
import { Wake } from './wake.js';

export interface ReadingPort {
  readonly isOver: boolean;
  /** Why it is over; null where it is not, or ended well. */
  readonly failure: Error | null;
  /** Tells the other side what was taken. */
  tell(): void;
  /** The application ends it for both sides. */
  abort(reason: unknown): void;
  /** What cannot be read ends it for both sides. */
  refuse(error: unknown): void;
}

export interface ReadingOptions {
  codec: StreamCodec;
  /** Most bytes that wait for the application. */
  windowBytes: number;
}

export class Reading {
  readonly #port: ReadingPort;
  readonly #options: ReadingOptions;
  readonly flow: ReceiveFlow;
  readonly stream: ReadableStream<unknown>;
  /** Arrived, and not yet taken. */
  readonly #arrived: Payload[] = [];
  readonly #hasData = new Wake();
  #isClosed = false;
  #controller: ReadableStreamDefaultController<unknown> | null = null;

  constructor(port: ReadingPort, options: ReadingOptions) {
    this.#port = port;
    this.#options = options;
    this.flow = new ReceiveFlow(options.windowBytes);
    const source: UnderlyingDefaultSource<unknown> = {
      start: (controller) => {
        this.#controller = controller;
      },
      pull: (controller) => this.#pull(controller),
      cancel: (reason: unknown) => {
        this.#isClosed = true;
        port.abort(reason);
      },
    };
    // Nothing is taken before the application wants it.
    this.stream = new ReadableStream(source, { highWaterMark: 0 });
  }

  /** For the application; null where it is nothing to read, but there is news. */
  arrived(payload: Payload | null): void {
    if (payload !== null) this.#arrived.push(ownPayload(payload));
    this.#hasData.fire();
  }

  /** Nothing more is read. */
  stop(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (error === null) this.#controller?.close();
    else this.#controller?.error(error);
  }

  /** The stream is over, and what has arrived is still read. */
  complete(): void {
    if (this.#arrived.length === 0) this.stop(null);
  }

  /** The stream is over: whoever waits looks again. */
  end(): void {
    this.#hasData.fire();
  }

  async #pull(controller: ReadableStreamDefaultController<unknown>): Promise<void> {
    const port = this.#port;
    while (this.#arrived.length === 0 && !this.flow.isEnded && !port.isOver) await this.#hasData.next();
    const payload = this.#arrived.shift();
    if (this.#isClosed) return;
    if (payload === undefined) {
      this.stop(port.failure);
      return;
    }
    this.flow.taken(costOf(payload));
    if (this.flow.isDue) port.tell();
    try {
      controller.enqueue(this.#options.codec.decode(payload));
    } catch (error) {
      port.refuse(error);
    }
  }
}

/** A copy that is all of its buffer: a small chunk that waits must not hold the memory of all that came with it. */
function ownPayload({ encoding, data }: Payload): Payload {
  return { encoding, data: data.length === data.buffer.byteLength ? data : new Uint8Array(data) };
}
