// One end of a stream: its two sides for the application, its frames for the other end by whichever way, and its end with a code.
import { type Code, CODES } from '../../protocol/codes.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { type Ask, ASKS, type Part, PARTS, type Payload } from '../../protocol/frame.js';
import type { StreamId } from '../../protocol/ids.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';
import { type PathFrame, readPathFrame, writePathFrame } from '../../protocol/path-frame.js';
import type { Sender } from '../events.js';
import { Reading, type ReadingPort } from './reading.js';
import type { ReceiveFlow } from './receive-flow.js';
import { costOf, type SendFlow } from './send-flow.js';
import { Silence } from './silence.js';
import { codeOf, textOf } from './reason.js';
import type { Stream } from './stream.js';
import type { StreamHost, StreamOptions } from './stream-host.js';
import { Writing, type WritingPort } from './writing.js';
import { type Carried, type StreamPath, type PathKind, Paths } from './paths.js';

/** A chunk of the other side, and what it says of those of this one, however they came. */
type Piece = Omit<PathFrame & { type: 'chunk' }, 'type'>;
type Credit = Omit<PathFrame & { type: 'credit' }, 'type'>;

/** A gap is told again after this time, ms. */
const TELL_GAP_AGAIN_MS = 500;

export class StreamEnd implements Stream {
  readonly #host: StreamHost;
  readonly #options: StreamOptions;
  readonly #writing: Writing;
  readonly #reading: Reading;
  readonly #paths = new Paths();
  readonly reply: Promise<unknown>;
  readonly closed: Promise<void>;
  peer: Sender | null;
  #resolveReply: (answer: unknown) => void = () => {};
  #rejectReply: (error: Error) => void = () => {};
  #resolveClosed: () => void = () => {};
  #rejectClosed: (error: Error) => void = () => {};
  #failure: Error | null = null;
  #isOver = false;
  readonly #silence: Silence;
  #gapToldAt = -Infinity;

  constructor(host: StreamHost, options: StreamOptions) {
    this.#host = host;
    this.#options = options;
    this.peer = options.peer;
    const port = this.#portOfSides();
    this.#writing = new Writing(port, options);
    this.#reading = new Reading(port, options);
    this.#silence = new Silence(() => host.now());
    this.reply = new Promise((resolve, reject) => {
      this.#resolveReply = resolve;
      this.#rejectReply = reject;
    });
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    // Whoever looks at neither is told by the two sides.
    this.reply.catch(() => {});
    this.closed.catch(() => {});
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
  get writable(): WritableStream<unknown> {
    return this.#writing.stream;
  }
  get readable(): ReadableStream<unknown> {
    return this.#reading.stream;
  }
  get send(): SendFlow {
    return this.#writing.flow;
  }
  get receive(): ReceiveFlow {
    return this.#reading.flow;
  }
  /** Resolves when this side has written its last. */
  get written(): Promise<void> {
    return this.#writing.written;
  }
  get ackedBytes(): number {
    return this.send.ackedBytes;
  }
  get path(): PathKind {
    return this.#paths.sending?.kind ?? 'gateway';
  }
  get carried(): Record<PathKind, Carried> {
    return this.#paths.carried;
  }
  /** Of the connection by which it may leave the gateway; null where it stays. */
  get rtcConfiguration(): RTCConfiguration | null {
    return this.#options.rtcConfiguration ?? null;
  }
  get isOver(): boolean {
    return this.#isOver;
  }

  abort(given: Code = 'aborted', text = ''): void {
    const code = CODES[given].close === null ? given : 'aborted';
    this.#abortFor(new GatewayError(code, text || undefined), text);
  }

  /** The other side gets its code, both sides here all of it. */
  #abortFor(error: unknown, text = textOf(error)): void {
    if (this.#isOver) return;
    this.#host.put({ type: 'cut', stream: this.id, to: null, code: codeOf(error), text });
    this.fail(error instanceof Error ? error : new GatewayError('aborted'));
  }

  /** Ends it without a word to the other side. */
  fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.#finish();
    this.#writing.stop(error);
    this.#reading.stop(error);
    this.#rejectReply(error);
    this.#rejectClosed(error);
  }

  /** Sends what the other side allows. */
  pump(): void {
    while (this.#isConnected && !this.#isOver) {
      const { sending } = this.#paths;
      if (sending?.isCongested === true) return;
      if (sending === null && this.#host.isCongested) return this.#host.pumpLater();
      const chunk = this.send.take();
      if (chunk === null) return this.send.takeQuestion() ? this.tell(ASKS.tell, sending) : undefined;
      this.#paths.sent(chunk.payload.data.length);
      try {
        const { offset, part, payload } = chunk;
        this.#put(sending, { type: 'chunk', offset, part, payload });
      } catch (error) {
        return this.abort(codeOf(error));
      }
    }
  }

  /** The other side may have lost what was sent after that. */
  rewind(upTo: number): void {
    this.#heard(null);
    this.send.rewind(upTo);
    this.pump();
  }

  /** Asks over a path, and goes on by it with the first word from there: a channel is open for its maker before the other side knows. */
  probe(path: StreamPath): void {
    this.#paths.probed = path;
    this.tell(ASKS.tell, path);
  }

  /**
   * Goes on over a path. Where the other side stands is asked for by the old way, behind all that went there; from there on everything
   * goes by the new one, so that nothing is lost and nothing arrives early.
   */
  move(path: StreamPath): void {
    if (this.#isOver || !path.isOpen || path === this.#paths.sending) return;
    // The other side made this one because it knows already that the old one is gone.
    this.#paths.sending?.close();
    this.send.changeWay();
    if (this.#host.isOpen) this.#ask();
    this.#paths.sending = path;
    this.#silence.wayChanged();
    if (!this.#host.isOpen) this.#ask();
  }

  /** A path is gone: goes on through the gateway, as after a new connection. */
  left(path: StreamPath): void {
    const paths = this.#paths;
    if (this.#isOver) return;
    const wasHeard = paths.heard === path;
    // What the other side may send is told by the gateway from here on, and not into a channel that is closed.
    if (wasHeard) paths.heard = null;
    if (paths.probed === path) paths.probed = null;

    if (paths.sending === path) {
      paths.sending = null;
      this.#silence.wayChanged();
      this.send.changeWay();
      this.#ask();
    } else if (wasHeard) this.tell(ASKS.nothing);
  }

  /** Every other side is done: these are their answers. */
  replied(results: unknown): void {
    if (this.#isOver) return;
    this.#host.put({ type: 'cut', stream: this.id, to: null, code: 'normal', text: '' });
    this.#resolveReply(results);
    this.#writing.stop(new TypeError('Every reader is done.'));
    this.#complete();
  }

  /** Writes the last of what this side says, for the other's `reply`. */
  answer(result: unknown): void {
    if (this.#isOver) return;
    let payload: Payload;
    try {
      payload = this.#options.codec.encode(result, true);
      if (payload.data.length > STREAM_CHUNK_LIMIT_BYTES)
        throw new ProtocolError('bad_payload', 'An answer may have 32 KiB.');
    } catch (error) {
      return this.abort(codeOf(error));
    }
    this.send.push(PARTS.answer, payload);
    this.#writing.stop(new TypeError('The stream was answered.'));
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
    this.#heard(null);
    const mayBeLost = this.send.isPaused || this.#paths.sending === null;
    this.send.credited(upTo, limit);
    if (mayBeLost) this.send.rewind(upTo);
    this.#afterCredit();
    this.tell(ASKS.nothing, null);
    this.pump();
  }

  /** @param over the path that it came by; null for the gateway */
  credited({ upTo, limit, ask }: Credit, over: StreamPath | null = null): void {
    this.#heard(over);
    const { sending } = this.#paths;
    // The gateway's own word: what was sent to the other side may be lost.
    if (limit === 0 && ask === ASKS.tell) return sending === null ? this.#ask() : undefined;
    if (over === sending || over === null) {
      const wasPaused = this.send.isPaused;
      this.send.credited(upTo, limit);
      if (wasPaused) this.send.rewind(upTo);
      if (ask === ASKS.again && over === sending) this.send.again(upTo);
    } else {
      // The gateway allows no more than it heard itself.
      this.send.acked(upTo);
    }
    this.#afterCredit();
    if (ask === ASKS.tell) {
      this.#paths.heard = over;
      this.tell(ASKS.nothing);
    }
    this.pump();
  }

  /** @param over the path that it came by; null for the gateway */
  arrived({ offset, part, payload }: Piece, over: StreamPath | null = null): void {
    this.#heard(over);
    switch (this.receive.arrived(offset, costOf(payload), part)) {
      case 'new':
        this.#paths.heard = over;
        this.#paths.received(over, payload.data.length);
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

  /** What came over a path: another client said it, and no gateway has looked at it. */
  came(bytes: Uint8Array, path: StreamPath): void {
    const frame = readPathFrame(bytes);
    if (this.#isOver) return;
    if (path === this.#paths.probed) {
      this.#paths.probed = null;
      this.move(path);
    }
    if (frame === null) path.close();
    else if (frame.type === 'chunk') this.arrived(frame, path);
    else this.credited(frame, path);
  }

  wasCut(code: Code, text: string): void {
    if (code === 'normal' || (code === 'not_found' && this.#isDone)) {
      if (this.#isDone || !this.opened) return this.#complete();
    }
    this.fail(new GatewayError(code === 'normal' ? 'aborted' : code, text || undefined));
  }

  /** The connection is a new one, of whose limits its gateway has told nothing: this side says where it stands, and waits for the other to do so. */
  resume(): void {
    if (this.#paths.sending === null) this.send.changeWay();
    this.#silence.begin();
  }

  /** Once a second: asks where too little is heard. */
  watch(limitMs: number): void {
    if (!this.#isConnected) return;
    const { sending } = this.#paths;
    const isAwaited = this.send.isWaiting || this.receive.isEnded;
    switch (this.#silence.look({ isAwaited, onPath: sending !== null, limitMs })) {
      case 'wait':
        return;
      case 'ask':
        // What was sent last may be lost without a gap that shows it.
        return this.#ask();
      case 'leave':
        return sending?.close();
      case 'end':
        return this.abort('timeout', 'Nothing was heard of the other side.');
    }
  }

  /** Nothing is sent before the other side has said where it stands. */
  #ask(): void {
    this.send.isPaused = true;
    this.tell(ASKS.tell, this.#paths.sending);
  }

  tell(ask: Ask, over = this.#paths.heard): void {
    const isOpen = over === null ? this.#host.isOpen : over.isOpen;
    if (!this.#isOver && isOpen) this.#put(over, { type: 'credit', ...this.receive.tell(), ask });
  }

  get #isConnected(): boolean {
    return this.#paths.sending?.isOpen ?? this.#host.isOpen;
  }

  #put(over: StreamPath | null, frame: PathFrame): void {
    if (over === null) this.#host.put({ stream: this.id, ...frame });
    else over.put(writePathFrame(frame));
  }

  #heard(over: StreamPath | null): void {
    this.#silence.heard(over === this.#paths.sending);
  }

  #afterCredit(): void {
    this.#writing.credited();
    this.#checkDone();
  }

  #take(part: Part, payload: Payload): void {
    if (part !== PARTS.data) {
      this.receive.taken(costOf(payload));
      if (part === PARTS.answer && this.opened) {
        try {
          this.#resolveReply(this.#options.codec.decode(payload, true));
        } catch (error) {
          this.#rejectReply(error instanceof Error ? error : new GatewayError('bad_payload'));
        }
      }
    }
    this.#reading.arrived(part === PARTS.data ? payload : null);
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
    this.#reading.complete();
    this.#resolveClosed();
  }

  #finish(): void {
    this.#isOver = true;
    this.#host.done(this);
    this.#writing.end();
    this.#reading.end();
  }

  #portOfSides(): WritingPort & ReadingPort {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the object below has a `this` of its own
    const end = this;
    return {
      get isOver() {
        return end.#isOver;
      },
      get failure() {
        return end.#failure;
      },
      pump: () => this.pump(),
      ask: () => this.tell(ASKS.tell, this.#paths.sending),
      tell: () => this.tell(ASKS.nothing),
      abort: (reason) => this.abort(codeOf(reason), textOf(reason)),
      refuse: (error) => this.#abortFor(error),
    };
  }
}
