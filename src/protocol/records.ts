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
