// One stream as its two applications see it: a readable and a writable side, an answer, and an end with a code.
import type { Code } from '../../protocol/codes.js';
import type { Sender } from '../events.js';
import type { Carried, PathKind } from './paths.js';

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
  /** By which way this side writes now; it is `gateway` unless the stream was opened with `via: 'best'`. */
  readonly path: PathKind;
  /** How many bytes of payload each way carried. */
  readonly carried: Readonly<Record<PathKind, Readonly<Carried>>>;
  /** Ends it at once for both sides, which get this code. */
  abort(code?: Code, text?: string): void;
}
