// A stream to several readers: written once, at the pace of the slowest of them or without it, with an answer of each.
import type { Code } from '../../protocol/codes.js';
import { GatewayError } from '../../protocol/errors.js';
import type { Ask, GatewayFrame } from '../../protocol/frame.js';
import type { RoomName, StreamId } from '../../protocol/ids.js';
import type { Sender } from '../events.js';
import type { StreamCodec } from './stream-codec.js';
import { codeOf } from './reason.js';
import { StreamEnd } from './stream-end.js';
import type { StreamHost, StreamOptions } from './stream-host.js';

/** How a reader of a stream to several ended. */
export interface ReaderResult extends Sender {
  /** `normal`, or why it did not read to the end; `unknown_encoding` and `bad_payload` where its answer cannot be read. */
  code: Code;
  /** What its handler returned; the error, with the answer's bytes, where that cannot be read. */
  data: unknown;
}

/** A stream to several readers: one writable side, and an answer of each. */
export interface BroadcastStream {
  readonly name: string;
  /** Sessions that read it now. */
  readonly readers: number;
  /** `close()` resolves when every reader has everything, or is gone. */
  readonly writable: WritableStream<unknown>;
  /** How each reader ended, when all have. */
  readonly reply: Promise<ReaderResult[]>;
  readonly closed: Promise<void>;
  /** Ends it at once for all. */
  abort(code?: Code, text?: string): void;
}

export class Broadcast implements BroadcastStream {
  readonly #end: StreamEnd;
  readonly #codec: StreamCodec;
  readonly room: RoomName | null;
  readonly drop: boolean;
  readonly #readers = new Map<string, Sender>();
  /** After a resume: who has not been heard since. */
  #unheard: Set<string> | null = null;
  readonly #results: ReaderResult[] = [];

  constructor(
    host: StreamHost,
    options: Omit<StreamOptions, 'opened'>,
    { room, drop }: { room: string | null; drop: boolean },
  ) {
    this.#codec = options.codec;
    this.#end = new StreamEnd(host, { ...options, opened: true });
    this.room = room as RoomName | null;
    this.drop = drop;
  }

  get id(): StreamId {
    return this.#end.id;
  }
  get name(): string {
    return this.#end.name;
  }
  get readers(): number {
    return this.#readers.size;
  }
  get writable(): WritableStream<unknown> {
    return this.#end.writable;
  }
  get reply(): Promise<ReaderResult[]> {
    return this.#end.reply as Promise<ReaderResult[]>;
  }
  get closed(): Promise<void> {
    return this.#end.closed;
  }

  abort(code?: Code, text?: string): void {
    this.#end.abort(code, text);
  }
  fail(error: Error): void {
    this.#end.fail(error);
  }
  pump(): void {
    this.#end.pump();
  }
  watch(silenceLimitMs: number): void {
    this.#end.watch(silenceLimitMs);
  }

  resume(): void {
    this.#unheard = new Set(this.#readers.keys());
    this.#end.resume();
  }

  attached(peer: Sender, upTo: number): void {
    this.#readers.set(peer.session, peer);
    this.#unheard?.delete(peer.session);
    // It may miss what was sent while it was away.
    this.#end.rewind(upTo);
  }

  /** What all readers have, and allow. */
  credited(state: { upTo: number; limit: number; ask: Ask }): void {
    const unheard = this.#unheard;
    this.#unheard = null;
    this.#end.credited(state);
    for (const session of unheard ?? []) this.#gone(session, 'unknown_outcome', undefined);
  }

  readerGone({ session, code, payload }: GatewayFrame & { type: 'readerGone' }): void {
    let data: unknown;
    try {
      data = this.#codec.decode(payload, true);
    } catch (error) {
      this.#gone(session, codeOf(error), error);
      return;
    }
    this.#gone(session, code, data);
  }

  wasCut(code: Code, text: string): void {
    this.#end.wasCut(code === 'normal' ? 'aborted' : code, text);
  }

  #gone(session: string, code: Code, data: unknown): void {
    const reader = this.#readers.get(session);
    if (reader === undefined || !this.#readers.delete(session)) return;
    this.#results.push({ ...reader, code, data });
    if (this.#readers.size > 0) return;
    const isFinished = this.#end.send.isEnded || this.#results.every((result) => result.code === 'normal');
    if (isFinished) this.#end.replied(this.#results);
    else this.#end.abort('not_found', 'No reader is left.');
  }
}

/** What `openToAll` rejects with where nobody reads. */
export function noReaders(): GatewayError {
  return new GatewayError('no_handler', 'Nobody accepted the stream.');
}
