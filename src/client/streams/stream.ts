// One stream as its two applications see it: a readable and a writable side, an answer, and an end with a code.
import { type Code, CODES } from '../../protocol/codes.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { type Ask, ASKS, type Part, PARTS, type Payload } from '../../protocol/frame.js';
import type { ClientFrame, GatewayFrame } from '../../protocol/frame.js';
import type { StreamId } from '../../protocol/ids.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';
import { decodePayload, encodePayload } from '../../protocol/payload.js';
import type { Sender } from '../events.js';
import { ReceiveFlow } from './receive-flow.js';
import { costOf, SendFlow } from './send-flow.js';

/** Bytes, or any data; bytes come in other pieces than they were written in. */
export interface Stream {
  readonly name: string;
  /** Who is at the other end; null where there are several. */
  readonly peer: Sender | null;
  /** What the other side writes. */
  readonly readable: ReadableStream<unknown>;
  /** `close()` resolves when the other side has everything. */
  readonly writable: WritableStream<unknown>;
  /** To who opened it: what the other side's handler returned. Rejects where the stream is aborted. */
  readonly reply: Promise<unknown>;
  /** Resolves when both sides are done, rejects with the code of an abort. */
  readonly closed: Promise<void>;
  /** Bytes of payload that the other side has. */
  readonly ackedBytes: number;
  /** Ends it at once for both sides, which get this code. */
  abort(code?: Code, text?: string): void;
}

/** What a stream needs of those that manage it. */
export interface StreamHost {
  readonly isOpen: boolean;
  readonly isCongested: boolean;
  now(): number;
  /** Writes now, or not at all. */
  put(frame: ClientFrame): void;
  /** What the socket has no room for is asked for again later. */
  pumpLater(): void;
  /** It is over. */
  done(stream: StreamEnd): void;
}

export interface StreamOptions {
  id: StreamId;
  name: string;
  opened: boolean;
  peer: Sender | null;
  /** Most bytes that wait for the application. */
  windowBytes: number;
  /** Most bytes that are kept until the other side has them. */
  sendBufferBytes: number;
}

/** Nothing was heard of the other side for so long: it is asked, ms. */
const ASK_AFTER_MS = 3_000;
/** The same while there is nothing to wait for, ms. */
const ASK_IDLE_AFTER_MS = 15_000;
/** A gap is told again after this time, ms. */
const TELL_GAP_AGAIN_MS = 500;

export class StreamEnd implements Stream {
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly send = new SendFlow();
  readonly receive: ReceiveFlow;
  /** Arrived, and not yet taken. */
  readonly #arrived: Payload[] = [];
  readonly #hasRoom = new Signal();
  readonly #hasData = new Signal();
  readonly readable: ReadableStream<unknown>;
  readonly writable: WritableStream<unknown>;
  readonly reply: Promise<unknown>;
  readonly closed: Promise<void>;
  /** Resolves when this side has written its last. */
  readonly written: Promise<void>;
  #resolveWritten: () => void = () => {};
  peer: Sender | null;
  #resolveReply: (answer: unknown) => void = () => {};
  #rejectReply: (error: Error) => void = () => {};
  #resolveClosed: () => void = () => {};
  #rejectClosed: (error: Error) => void = () => {};
  #stopWriting: (error: Error) => void = () => {};
  #stopReading: (error: Error | null) => void = () => {};
  #failure: Error | null = null;
  #isOver = false;
  #isReadableClosed = false;
  #heardAt: number;
  #askedAt: number;
  #gapToldAt = -Infinity;

  constructor(host: StreamHost, options: StreamOptions) {
    this.#host = host;
    this.#options = options;
    this.peer = options.peer;
    this.receive = new ReceiveFlow(options.windowBytes);
    this.#heardAt = this.#askedAt = host.now();
    this.reply = new Promise((resolve, reject) => {
      this.#resolveReply = resolve;
      this.#rejectReply = reject;
    });
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.written = new Promise((resolve) => (this.#resolveWritten = resolve));
    // Whoever looks at neither is told by the two sides.
    this.reply.catch(() => {});
    this.closed.catch(() => {});
    this.writable = this.#makeWritable();
    this.readable = this.#makeReadable();
  }

  get id(): StreamId {
    return this.#options.id;
  }
  get name(): string {
    return this.#options.name;
  }
  get opened(): boolean {
    return this.#options.opened;
  }
  get ackedBytes(): number {
    return this.send.ackedBytes;
  }
  get isOver(): boolean {
    return this.#isOver;
  }
  /** ms since the other side was heard. */
  get silentMs(): number {
    return this.#host.now() - this.#heardAt;
  }

  abort(given: Code = 'aborted', text = ''): void {
    if (this.#isOver) return;
    const code = CODES[given].close === null ? given : 'aborted';
    this.#host.put({ type: 'cut', stream: this.id, to: null, code, text });
    this.fail(new GatewayError(code, text || undefined));
  }

  /** Ends it without a word to the other side. */
  fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.#finish();
    this.#stopWriting(error);
    this.#stopReading(error);
    this.#rejectReply(error);
    this.#rejectClosed(error);
  }

  /** Sends what the other side allows. */
  pump(): void {
    while (this.#host.isOpen && !this.#isOver) {
      if (this.#host.isCongested) return this.#host.pumpLater();
      const chunk = this.send.take();
      if (chunk === null) return;
      try {
        this.#host.put({ type: 'chunk', stream: this.id, ...chunk });
      } catch (error) {
        return this.abort(codeOf(error));
      }
    }
  }

  /** The other side may have lost what was sent after that. */
  rewind(upTo: number): void {
    this.#heard();
    this.send.rewind(upTo);
    this.pump();
  }

  /** Every other side is done: these are their answers. */
  replied(results: unknown): void {
    if (this.#isOver) return;
    this.#host.put({ type: 'cut', stream: this.id, to: null, code: 'normal', text: '' });
    this.#resolveReply(results);
    this.#stopWriting(new TypeError('Every reader is done.'));
    this.#complete();
  }

  /** Writes the last of what this side says, for the other's `reply`. */
  answer(result: unknown): void {
    if (this.#isOver) return;
    let payload: Payload;
    try {
      payload = encodePayload(result);
      if (payload.data.length > STREAM_CHUNK_LIMIT_BYTES)
        throw new ProtocolError('bad_payload', 'An answer may have 32 KiB.');
    } catch (error) {
      return this.abort(codeOf(error));
    }
    this.send.push(PARTS.answer, payload);
    this.#stopWriting(new TypeError('The stream was answered.'));
    this.pump();
  }

  /** Takes what still comes without an application that wants it. */
  discard(): void {
    if (this.readable.locked || this.#isOver) return;
    this.readable.pipeTo(new WritableStream()).catch(() => {});
  }

  // ── what the other side says ────────────────────────────────────────────────────────────────────

  /** It accepted, or is there again. */
  attached(upTo: number, limit: number): void {
    this.#heard();
    this.send.credited(upTo, limit);
    this.send.rewind(upTo);
    this.#afterCredit();
    this.tell(ASKS.nothing);
    this.pump();
  }

  credited({ upTo, limit, ask }: { upTo: number; limit: number; ask: Ask }): void {
    this.#heard();
    // The gateway's own word: what was sent to the other side may be lost.
    if (limit === 0 && ask === ASKS.tell) return this.#ask();
    const wasPaused = this.send.isPaused;
    this.send.credited(upTo, limit);
    if (wasPaused) this.send.rewind(upTo);
    if (ask === ASKS.again) this.send.again(upTo);
    this.#afterCredit();
    if (ask === ASKS.tell) this.tell(ASKS.nothing);
    this.pump();
  }

  arrived({ offset, part, payload }: GatewayFrame & { type: 'piece' }): void {
    this.#heard();
    switch (this.receive.arrived(offset, costOf(payload), part)) {
      case 'new':
        return this.#take(part, payload);
      case 'old':
        // Sent again because what said that it is here got lost.
        if (this.receive.isEnded) this.tell(ASKS.nothing);
        return;
      case 'gap':
        if (this.#host.now() - this.#gapToldAt < TELL_GAP_AGAIN_MS) return;
        this.#gapToldAt = this.#host.now();
        return this.tell(ASKS.again);
      case 'beyond':
        return this.abort('credit_exceeded');
    }
  }

  wasCut(code: Code, text: string): void {
    if (code === 'normal' || (code === 'not_found' && this.#isDone)) {
      if (this.#isDone || !this.opened) return this.#complete();
    }
    this.fail(new GatewayError(code === 'normal' ? 'aborted' : code, text || undefined));
  }

  /** The connection is a new one: this side says where it stands, and waits for the other to do so. */
  resume(): void {
    this.send.isPaused = true;
    this.#heardAt = this.#askedAt = this.#host.now();
  }

  /** Once a second: asks where too little is heard. */
  watch(silenceLimitMs: number): void {
    const { silentMs } = this;
    if (silentMs > silenceLimitMs) return this.abort('timeout', 'Nothing was heard of the other side.');
    const askAfterMs = this.send.isWaiting || this.receive.isEnded ? ASK_AFTER_MS : ASK_IDLE_AFTER_MS;
    const now = this.#host.now();
    if (silentMs < askAfterMs || now - this.#askedAt < askAfterMs) return;
    this.#askedAt = now;
    // What was sent last may be lost without a gap that shows it.
    this.#ask();
  }

  /** Nothing is sent before the other side has said where it stands. */
  #ask(): void {
    this.send.isPaused = true;
    this.tell(ASKS.tell);
  }

  tell(ask: Ask): void {
    if (this.#isOver || !this.#host.isOpen) return;
    this.#host.put({ type: 'credit', stream: this.id, ...this.receive.tell(), ask });
  }

  #heard(): void {
    this.#heardAt = this.#host.now();
  }

  #afterCredit(): void {
    this.#hasRoom.fire();
    this.#checkDone();
  }

  #take(part: Part, payload: Payload): void {
    if (part === PARTS.data) this.#arrived.push(payload);
    else {
      this.receive.taken(costOf(payload));
      if (part === PARTS.answer && this.opened) {
        try {
          this.#resolveReply(decodePayload(payload));
        } catch (error) {
          this.#rejectReply(error instanceof Error ? error : new GatewayError('bad_payload'));
        }
      }
    }
    this.#hasData.fire();
    if (this.receive.isDue) this.tell(ASKS.nothing);
    this.#checkDone();
  }

  get #isDone(): boolean {
    const { send, receive } = this;
    return this.opened
      ? send.isDone && receive.isAnswered
      : send.isAnswered && send.isDone && receive.isEnded;
  }

  #checkDone(): void {
    // Whoever opened it says that it is over, because it hears the answer.
    if (!this.opened || !this.#isDone || this.#isOver) return;
    this.#host.put({ type: 'cut', stream: this.id, to: null, code: 'normal', text: '' });
    this.#complete();
  }

  #complete(): void {
    if (this.#isOver) return;
    this.#finish();
    if (!this.#isReadableClosed && this.#arrived.length === 0) this.#stopReading(null);
    this.#resolveClosed();
  }

  #finish(): void {
    this.#isOver = true;
    this.#resolveWritten();
    this.#host.done(this);
    this.#hasRoom.fire();
    this.#hasData.fire();
  }

  #makeWritable(): WritableStream<unknown> {
    const sink: UnderlyingSink<unknown> = {
      start: (controller) => {
        this.#stopWriting = (error) => controller.error(error);
      },
      write: async (chunk) => {
        for (const payload of payloadsOf(chunk)) {
          while (!this.#isOver && this.send.heldBytes >= this.#options.sendBufferBytes)
            await this.#hasRoom.next();
          if (this.#failure !== null) throw this.#failure;
          this.send.push(PARTS.data, payload);
          this.pump();
        }
      },
      close: async () => {
        if (!this.send.isEnded) this.send.push(PARTS.end, NOTHING);
        this.#resolveWritten();
        this.pump();
        while (!this.#isOver && !this.send.isDone) await this.#hasRoom.next();
        if (this.#failure !== null) throw this.#failure;
      },
      abort: (reason: unknown) => this.abort(codeOf(reason), textOf(reason)),
    };
    return new WritableStream(sink);
  }

  #makeReadable(): ReadableStream<unknown> {
    const source: UnderlyingDefaultSource<unknown> = {
      start: (controller) => {
        this.#stopReading = (error) => {
          if (this.#isReadableClosed) return;
          this.#isReadableClosed = true;
          if (error === null) controller.close();
          else controller.error(error);
        };
      },
      pull: async (controller) => {
        while (this.#arrived.length === 0 && !this.receive.isEnded && !this.#isOver)
          await this.#hasData.next();
        const payload = this.#arrived.shift();
        if (this.#isReadableClosed) return;
        if (payload === undefined) {
          this.#stopReading(this.#failure);
          return;
        }
        this.receive.taken(costOf(payload));
        if (this.receive.isDue) this.tell(ASKS.nothing);
        try {
          controller.enqueue(decodePayload(payload));
        } catch (error) {
          this.abort('bad_payload', textOf(error));
        }
      },
      cancel: (reason: unknown) => {
        this.#isReadableClosed = true;
        this.abort(codeOf(reason), textOf(reason));
      },
    };
    // Nothing is taken before the application wants it.
    return new ReadableStream(source, { highWaterMark: 0 });
  }
}

/** Wakes those who wait, all at once. */
class Signal {
  #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  fire(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

const NOTHING: Payload = { encoding: 0, data: new Uint8Array() };

/** A chunk of the application as chunks of the stream: bytes in pieces, which are copied, all else whole. */
function* payloadsOf(chunk: unknown): Generator<Payload> {
  const payload = encodePayload(chunk);
  const { encoding, data } = payload;
  if (!(chunk instanceof Uint8Array || chunk instanceof ArrayBuffer)) {
    if (data.length > STREAM_CHUNK_LIMIT_BYTES)
      throw new ProtocolError(
        'bad_payload',
        `Chunks that are not bytes may have ${STREAM_CHUNK_LIMIT_BYTES} bytes.`,
      );
    yield payload;
    return;
  }
  for (let at = 0; at < data.length; at += STREAM_CHUNK_LIMIT_BYTES)
    yield { encoding, data: data.slice(at, at + STREAM_CHUNK_LIMIT_BYTES) };
}

/** The code of what an application aborts with. */
export function codeOf(reason: unknown): Code {
  const isTyped = reason instanceof GatewayError || reason instanceof ProtocolError;
  // What ends a connection is no word between two applications.
  return isTyped && CODES[reason.code].close === null ? reason.code : 'aborted';
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message.slice(0, 200) : '';
}
