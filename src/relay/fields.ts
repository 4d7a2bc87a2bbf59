// Fields of a message between processes as bytes: strings and lists with a two-byte length, numbers, and a body that is the rest.
import type { Names } from './names.js';

/** Up to this length a loop is quicker than the call into V8's own writer. */
const SHORT_STRING = 40;

export class FieldWriter {
  private buffer = Buffer.allocUnsafe(1024);
  private at = 0;

  /** @param head what the message is; its first bytes */
  start(...head: number[]): this {
    this.at = 0;
    for (const byte of head) this.buffer[this.at++] = byte;
    return this;
  }

  byte(value: number): this {
    this.reserve(1);
    this.buffer[this.at++] = value;
    return this;
  }

  /** Any number, or null. */
  number(value: number | null): this {
    this.reserve(8);
    this.at = this.buffer.writeDoubleLE(value ?? NaN, this.at);
    return this;
  }

  string(value: string): this {
    this.reserve(2 + value.length * 3);
    const start = this.at + 2;
    const length = this.ascii(value, start) ? value.length : this.buffer.write(value, start, 'utf8');
    this.buffer.writeUInt16LE(length, this.at);
    this.at = start + length;
    return this;
  }

  list(values: readonly string[]): this {
    this.reserve(2);
    this.at = this.buffer.writeUInt16LE(values.length, this.at);
    for (const value of values) this.string(value);
    return this;
  }

  /** The message without a body, as a view of memory that the next message overwrites. */
  get view(): Buffer {
    return this.buffer.subarray(0, this.at);
  }

  end(body: Uint8Array): Buffer {
    const bytes = Buffer.allocUnsafe(this.at + body.length);
    this.buffer.copy(bytes, 0, 0, this.at);
    bytes.set(body, this.at);
    return bytes;
  }

  /** Whether the string was written: short, and a byte for each character, as names and ids are. */
  private ascii(value: string, start: number): boolean {
    if (value.length > SHORT_STRING) return false;
    const { buffer } = this;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[start + i] = code;
    }
    return true;
  }

  private reserve(more: number): void {
    if (this.at + more <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + more));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
  }
}

/** Throws a RangeError where the message ends too early. */
export class FieldReader {
  /** @param names those that came before, where some come again */
  constructor(
    private readonly bytes: Buffer,
    private at: number,
    private readonly names: Names | null = null,
  ) {}

  byte(): number {
    return this.bytes.readUInt8(this.at++);
  }

  number(): number | null {
    const value = this.bytes.readDoubleLE(this.at);
    this.at += 8;
    return Number.isNaN(value) ? null : value;
  }

  string(): string {
    const start = this.pass();
    return this.bytes.toString('utf8', start, this.at);
  }

  list(): string[] {
    const count = this.count();
    const values: string[] = [];
    for (let i = 0; i < count; i++) values.push(this.string());
    return values;
  }

  /** A string that other messages have, too. */
  name(): string {
    const start = this.pass();
    return this.names === null
      ? this.bytes.toString('utf8', start, this.at)
      : this.names.read(this.bytes, start, this.at);
  }

  nameList(): string[] {
    const count = this.count();
    const values: string[] = [];
    for (let i = 0; i < count; i++) values.push(this.name());
    return values;
  }

  rest(): Buffer {
    return this.bytes.subarray(this.at);
  }

  /** Passes over a string; where it begins. */
  private pass(): number {
    const length = this.count();
    const start = this.at;
    if (start + length > this.bytes.length) throw new RangeError('a message is cut short');
    this.at = start + length;
    return start;
  }

  private count(): number {
    if (this.at + 2 > this.bytes.length) throw new RangeError('a message is cut short');
    const count = this.bytes.readUInt16LE(this.at);
    this.at += 2;
    return count;
  }
}
