// A frame's head: all that stands before the bytes of its payload, so that those need not be copied behind it.

const BIN_8 = 0xc4;
const BIN_16 = 0xc5;
const BIN_32 = 0xc6;
/** The header of an empty payload, which is the end of a frame that has one, bytes. */
const EMPTY_BIN_BYTES = 2;
const BIN_HEADER_LIMIT_BYTES = 5;

/**
 * @param frame MessagePack, with an empty payload
 * @param length of the payload that follows
 */
export function headOf(frame: Uint8Array, length: number): Uint8Array {
  const kept = frame.length - EMPTY_BIN_BYTES;
  const head = new Uint8Array(kept + BIN_HEADER_LIMIT_BYTES);
  head.set(frame.subarray(0, kept));
  return head.subarray(0, writeBinHeader(head, kept, length));
}

/** In the shortest form, as all of a frame is. @returns its end */
function writeBinHeader(into: Uint8Array, at: number, length: number): number {
  const bytes = length < 0x100 ? 1 : length < 0x10000 ? 2 : 4;
  into[at] = bytes === 1 ? BIN_8 : bytes === 2 ? BIN_16 : BIN_32;
  for (let i = 0; i < bytes; i++) into[at + 1 + i] = length >>> ((bytes - 1 - i) * 8);
  return at + 1 + bytes;
}
