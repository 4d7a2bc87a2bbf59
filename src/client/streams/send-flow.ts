// What one side of a stream writes: numbered, sent as far as the other side allows, kept until it has it.
import { type Part, PARTS, type Payload } from '../../protocol/frame.js';
import { STREAM_CHUNK_COST_BYTES, STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';

export interface Chunk {
  readonly offset: number;
  readonly part: Part;
  readonly payload: Payload;
}
interface Kept extends Chunk {
  /** How often it was sent. */
  tries: number;
}

/** What a chunk counts. */
export function costOf({ data }: Payload): number {
  return data.length + STREAM_CHUNK_COST_BYTES;
}

const LARGEST_COST = STREAM_CHUNK_LIMIT_BYTES + STREAM_CHUNK_COST_BYTES;

export class SendFlow {
  readonly #free: (payload: Payload) => void;
  /** Not yet had by the other side, in order. */
  readonly #chunks: Kept[] = [];
  /** Of them, how many were sent. */
  #sent = 0;
  #end = 0;
  #upTo = 0;
  #limit = 0;
  /**
   * How far beyond `upTo` it sends: halved where chunks get lost, for then the way is too narrow for more, and a chunk more for each
   * such window that arrives (as TCP does, RFC 5681 §3.1: doubling would lose again at once).
   */
  #window = Infinity;
  /** What the other side had when it was asked for more because of that window. */
  #askedUpTo = -1;
  /** Until the other side has said where it stands, on this connection. */
  isPaused = true;
  isEnded = false;
  isAnswered = false;
  /** Bytes of payload that the other side has. */
  ackedBytes = 0;

  /** @param free takes a payload that the other side has, and that nobody needs any more */
  constructor(free: (payload: Payload) => void = () => {}) {
    this.#free = free;
  }

  /** Bytes that have to be kept. */
  get heldBytes(): number {
    return this.#end - this.#upTo;
  }

  /** Whether the other side has everything, the end included. */
  get isDone(): boolean {
    return this.isEnded && this.#chunks.length === 0;
  }

  /** Whether something was sent that the other side is not known to have, or waits for its leave. */
  get isWaiting(): boolean {
    return this.#chunks.length > 0;
  }

  push(part: Part, payload: Payload): void {
    this.#chunks.push({ offset: this.#end, part, payload, tries: 0 });
    this.#end += costOf(payload);
    if (part !== PARTS.data) this.isEnded = true;
    if (part === PARTS.answer) this.isAnswered = true;
  }

  /** The next one to send; null where there is none, or it has to wait. */
  take(): Chunk | null {
    const chunk = this.#chunks[this.#sent];
    if (chunk === undefined || this.isPaused) return null;
    const after = chunk.offset + costOf(chunk.payload);
    const to = chunk.part === PARTS.data ? after : chunk.offset;
    if (to > Math.min(this.#limit, this.#upTo + this.#window)) return null;
    this.#sent++;
    chunk.tries++;
    return chunk;
  }

  /**
   * Whether the other side has to be asked what it has: it tells by itself when so much has come that its own window makes it worth it, and
   * more than the narrowed one, or the room for what is kept, may be needed for that. True once for each time that it has more.
   * @param isFull all is sent that there is room for
   */
  takeQuestion(isFull = false): boolean {
    if (this.isPaused || this.#askedUpTo === this.#upTo) return false;
    const next = this.#chunks[this.#sent];
    if (next === undefined ? !isFull : !this.#isNarrow(next)) return false;
    this.#askedUpTo = this.#upTo;
    return true;
  }

  /** Whether the chunk waits for the narrowed window alone. */
  #isNarrow({ offset, part, payload }: Chunk): boolean {
    const to = part === PARTS.data ? offset + costOf(payload) : offset;
    return to <= this.#limit && to > this.#upTo + this.#window;
  }

  /** The other side has everything up to there, and allows more; true where this is news. */
  credited(upTo: number, limit: number): boolean {
    const had = this.#upTo;
    const isNews = upTo > had || limit > this.#limit;
    this.#limit = Math.max(this.#limit, limit);
    this.isPaused = false;
    this.acked(upTo);
    if (this.#upTo === had) return isNews;
    this.#window += ((this.#upTo - had) / this.#window) * LARGEST_COST;
    return isNews;
  }

  /** The other side has everything up to there: it is kept no longer. */
  acked(upTo: number): void {
    if (upTo <= this.#upTo || upTo > this.#end) return;
    let gone = 0;
    for (const chunk of this.#chunks) {
      if (chunk.offset + costOf(chunk.payload) > upTo) break;
      gone++;
      this.ackedBytes += chunk.payload.data.length;
      this.#upTo = chunk.offset + costOf(chunk.payload);
      // Of one that was sent again, a later sending may still wait to be written.
      if (chunk.tries === 1) this.#free(chunk.payload);
    }
    this.#chunks.splice(0, gone);
    this.#sent = Math.max(0, this.#sent - gone);
  }

  /** What comes next goes another way, when the other side has said where it stands: what was allowed on the old one may not be known there. */
  changeWay(): void {
    this.isPaused = true;
    this.#limit = 0;
    this.#window = Infinity;
    // A question that went the old way may be lost with it.
    this.#askedUpTo = -1;
  }

  /** Chunks got lost: sends again what the other side has not. */
  again(upTo: number): void {
    const at = this.#chunks.findIndex(({ offset }) => offset >= upTo);
    if (at < 0 || at >= this.#sent) return;
    const next = this.#chunks[this.#sent];
    const flight = (next?.offset ?? this.#end) - upTo;
    this.#window = Math.max(LARGEST_COST, Math.min(this.#window, flight) / 2);
    this.#askedUpTo = -1;
    this.#sent = at;
  }

  /** The connection is gone, or the other side's was: what is on its way may be lost. */
  rewind(upTo: number): void {
    const at = this.#chunks.findIndex(({ offset }) => offset >= upTo);
    if (at >= 0) this.#sent = Math.min(this.#sent, at);
  }
}
