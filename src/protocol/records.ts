// Records: frames in a stream of bytes, each after its length in four bytes, most significant first.

export const RECORD_HEADER_BYTES = 4;

/** Frames as one piece of memory. */
export function joinRecords(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const frame of frames) length += RECORD_HEADER_BYTES + frame.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const frame of frames) {
    view.setUint32(at, frame.length);
    bytes.set(frame, at + RECORD_HEADER_BYTES);
    at += RECORD_HEADER_BYTES + frame.length;
  }
  return bytes;
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

/** Reads records from pieces of any size. */
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
    let rest = chunk;
    while (rest.length > 0 && !this.#stopped) {
      const taken = rest.subarray(0, this.#wanted() - this.#filled);
      this.#keep(taken);
      rest = rest.subarray(taken.length);
      if (this.#filled >= RECORD_HEADER_BYTES && this.#filled === this.#wanted()) this.#finish();
    }
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#stopped = true;
  }

  /** Bytes up to the end of the header, or of the record once that is known. */
  #wanted(): number {
    if (this.#filled < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
    const length = this.#length();
    return RECORD_HEADER_BYTES + (length === 0 ? CLOSE_BYTES : length);
  }

  #length(): number {
    return new DataView(this.#buffer.buffer).getUint32(0);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#filled + bytes.length));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled === RECORD_HEADER_BYTES && this.#length() > this.#limitBytes) {
      this.#stopped = true;
      this.#handlers.tooBig();
    }
  }

  #finish(): void {
    const length = this.#length();
    const record = this.#buffer.slice(RECORD_HEADER_BYTES, this.#filled);
    this.#filled = 0;
    if (this.#buffer.length > FIRST_CAPACITY_BYTES) this.#buffer = new Uint8Array(FIRST_CAPACITY_BYTES);
    if (length > 0) {
      this.#handlers.record(record);
      return;
    }
    this.#stopped = true;
    this.#handlers.close(new DataView(record.buffer).getUint16(0));
  }
}

/** The last record of a connection: a length of 0, and the number of the end. */
export function closeRecord(number: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + CLOSE_BYTES);
  new DataView(bytes.buffer).setUint16(RECORD_HEADER_BYTES, number);
  return bytes;
}
