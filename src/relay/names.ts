// Names that come again and again, read from bytes as the very same string each time: nothing to allocate, and V8 knows their hash.

/** Longer ones are read anew: the table stays below a few hundred KiB. */
const LIMIT_BYTES = 64;
/** A power of two. Where two names want the same place the last one has it. */
const PLACES = 4096;

export class Names {
  private readonly places: (string | undefined)[] = new Array<string | undefined>(PLACES).fill(undefined);

  /** The string of `bytes` from `start` to `end`, UTF-8. */
  read(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === 0) return '';
    if (length > LIMIT_BYTES) return bytes.toString('utf8', start, end);
    let hash = length;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (byte > 0x7f) return bytes.toString('utf8', start, end);
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    const known = this.places[place];
    if (known !== undefined && isWritten(known, bytes, start, length)) return known;
    return (this.places[place] = bytes.toString('latin1', start, end));
  }
}

function isWritten(text: string, bytes: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
