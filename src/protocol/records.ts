// Records: frames in a stream of bytes, each after its length in four bytes, most significant first.

export const RECORD_HEADER_BYTES = 4;

/** Frames as one piece of memory. */
export function joinRecords(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const frame of frames) length += RECORD_HEADER_BYTES + frame.length;
  const bytes = new Uint8Array(length);
  writeRecords(frames, bytes);
  return bytes;
}

/** The same into memory of the right size. */
export function writeRecords(frames: readonly Uint8Array[], into: Uint8Array): void {
  let at = 0;
  for (const frame of frames) {
    const { length } = frame;
    into[at] = length >>> 24;
    into[at + 1] = length >>> 16;
    into[at + 2] = length >>> 8;
    into[at + 3] = length;
    into.set(frame, at + RECORD_HEADER_BYTES);
    at += RECORD_HEADER_BYTES + length;
  }
}

/** The frames of a whole body, as views of it; null where its end is not the end of a record. */
export function splitRecords(bytes: Uint8Array): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + RECORD_HEADER_BYTES > bytes.length) return null;
    const end = at + RECORD_HEADER_BYTES + view.getUint32(at);
    if (end > bytes.length) return null;
    frames.push(bytes.subarray(at + RECORD_HEADER_BYTES, end));
    at = end;
  }
  return frames;
}

/** What a reader of records finds. */
export interface RecordHandlers {
  /** A view that nobody else writes to. */
  record(bytes: Uint8Array): void;
  /** A record of length 0 with the number of an end behind it. */
  close(number: number): void;
  /** A record says that it is longer than the limit; nothing more is read. */
  tooBig(): void;
}

const CLOSE_BYTES = 2;
/** Memory grows with what has come, not with what is announced, bytes. */
const FIRST_CAPACITY_BYTES = 1024;

/** Reads records from pieces of any size; those that are whole in a piece are handed over as views of it. */
export class RecordReader {
  #buffer = new Uint8Array(FIRST_CAPACITY_BYTES);
  #filled = 0;
  #stopped = false;
  readonly #limitBytes: number;
  readonly #handlers: RecordHandlers;

  constructor(limitBytes: number, handlers: RecordHandlers) {
    this.#limitBytes = limitBytes;
    this.#handlers = handlers;
  }

  push(chunk: Uint8Array): void {
    let at = this.#filled === 0 ? 0 : this.#complete(chunk, 0);
    while (!this.#stopped && chunk.length - at >= RECORD_HEADER_BYTES) {
      const length = lengthAt(chunk, at);
      if (length > this.#limitBytes) {
        this.#refuse();
        return;
      }
      const from = at + RECORD_HEADER_BYTES;
      const end = from + (length === 0 ? CLOSE_BYTES : length);
      if (end > chunk.length) break;
      this.#hand(length, chunk.subarray(from, end));
      at = end;
    }
    if (!this.#stopped && at < chunk.length) this.#complete(chunk, at);
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#stopped = true;
  }

  /** Adds to a record of which not all has come; returns where the next one begins. */
  #complete(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && !this.#stopped) {
      const end = Math.min(chunk.length, at + this.#wanted() - this.#filled);
      this.#keep(chunk.subarray(at, end));
      at = end;
      if (this.#filled < RECORD_HEADER_BYTES || this.#filled < this.#wanted()) continue;
      const length = lengthAt(this.#buffer, 0);
      const record = this.#buffer.slice(RECORD_HEADER_BYTES, this.#filled);
      this.#filled = 0;
      if (this.#buffer.length > FIRST_CAPACITY_BYTES) this.#buffer = new Uint8Array(FIRST_CAPACITY_BYTES);
      this.#hand(length, record);
      break;
    }
    return at;
  }

  /** Bytes up to the end of the header, or of the record once that is known. */
  #wanted(): number {
    if (this.#filled < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
    const length = lengthAt(this.#buffer, 0);
    return RECORD_HEADER_BYTES + (length === 0 ? CLOSE_BYTES : length);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#filled + bytes.length));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled === RECORD_HEADER_BYTES && lengthAt(this.#buffer, 0) > this.#limitBytes) this.#refuse();
  }

  #refuse(): void {
    this.#stopped = true;
    this.#handlers.tooBig();
  }

  #hand(length: number, record: Uint8Array): void {
    if (length > 0) {
      this.#handlers.record(record);
      return;
    }
    this.#stopped = true;
    this.#handlers.close(((record[0] ?? 0) << 8) | (record[1] ?? 0));
  }
}

/** The four bytes there, most significant first; a `DataView` of each piece would cost more than the rest. */
function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

/** The last record of a connection: a length of 0, and the number of the end. */
export function closeRecord(number: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + CLOSE_BYTES);
  new DataView(bytes.buffer).setUint16(RECORD_HEADER_BYTES, number);
  return bytes;
}
