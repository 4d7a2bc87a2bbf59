// What an application writes to a stream: cut into chunks, held up where too much is kept, and kept until the other side has it.
import { PARTS, type Payload } from '../../protocol/frame.js';
import { NO_PAYLOAD } from '../../protocol/payload.js';
import { payloadsOf } from './chunks.js';
import { ChunkMemory } from './roomy-payload.js';
import { SendFlow } from './send-flow.js';
import type { StreamCodec } from './stream-codec.js';
import { Wake } from './wake.js';

export interface WritingPort {
  readonly isOver: boolean;
  /** Why it is over; null where it is not, or ended well. */
  readonly failure: Error | null;
  /** Sends what the other side allows. */
  pump(): void;
  /** Asks the other side what it has. */
  ask(): void;
  /** The application ends it for both sides. */
  abort(reason: unknown): void;
  /** What cannot be written ends it for both sides. */
  refuse(error: unknown): void;
}

export interface WritingOptions {
  codec: StreamCodec;
  /** Most bytes that are kept until the other side has them. */
  sendBufferBytes: number;
}

export class Writing {
  readonly #port: WritingPort;
  readonly #options: WritingOptions;
  readonly #memory = new ChunkMemory();
  readonly flow = new SendFlow((payload) => this.#memory.free(payload));
  readonly stream: WritableStream<unknown>;
  /** Resolves when this side has written its last. */
  readonly written: Promise<void>;
  #resolveWritten: () => void = () => {};
  readonly #hasRoom = new Wake();
  /** Nothing more can be written. */
  stop: (error: Error) => void = () => {};

  constructor(port: WritingPort, options: WritingOptions) {
    this.#port = port;
    this.#options = options;
    this.written = new Promise((resolve) => (this.#resolveWritten = resolve));
    this.stream = new WritableStream({
      start: (controller) => {
        this.stop = (error) => controller.error(error);
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
      abort: (reason) => port.abort(reason),
    });
  }

  /** The other side has, or allows, more. */
  credited(): void {
    if (!this.flow.isWaiting) this.#memory.clear();
    this.#hasRoom.fire();
  }

  /** The stream is over: whoever waits looks again. */
  end(): void {
    this.#memory.clear();
    this.#resolveWritten();
    this.#hasRoom.fire();
  }

  async #write(chunk: unknown): Promise<void> {
    const { flow } = this;
    const port = this.#port;
    for (const payload of this.#payloadsOf(chunk)) {
      while (!port.isOver && flow.heldBytes >= this.#options.sendBufferBytes) {
        if (flow.takeQuestion(true)) port.ask();
        await this.#hasRoom.next();
      }
      if (port.failure !== null) throw port.failure;
      flow.push(PARTS.data, payload);
      port.pump();
    }
  }

  async #close(): Promise<void> {
    const { flow } = this;
    const port = this.#port;
    if (!flow.isEnded) flow.push(PARTS.end, NO_PAYLOAD);
    this.#resolveWritten();
    port.pump();
    while (!port.isOver && !flow.isDone) await this.#hasRoom.next();
    if (port.failure !== null) throw port.failure;
  }

  /** The other side would wait for what cannot be written. */
  *#payloadsOf(chunk: unknown): Generator<Payload> {
    try {
      yield* payloadsOf(chunk, this.#options.codec, this.#memory);
    } catch (error) {
      this.#port.refuse(error);
      throw error;
    }
  }
}
