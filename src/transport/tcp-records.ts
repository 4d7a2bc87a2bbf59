// Records as a server writes them: those of a tick in one piece of memory, but for the bytes of large payloads.
import type { SplitFrame } from '../protocol/frame.js';
import { RECORD_HEADER_BYTES, writeRecords } from '../protocol/records.js';

export type TcpRecord = Uint8Array | SplitFrame;

/** The bytes of one record with its header. */
export function recordBytes(record: TcpRecord): number {
  return RECORD_HEADER_BYTES + lengthOf(record);
}

/** Records as chunks to be written one after the other, and never changed. */
export function recordChunks(records: readonly TcpRecord[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let run: Uint8Array[] = [];
  for (const record of records) {
    if (record instanceof Uint8Array) {
      run.push(record);
      continue;
    }
    if (run.length > 0) chunks.push(join(run));
    run = [];
    chunks.push(beginning(record), record.body);
  }
  if (run.length > 0) chunks.push(join(run));
  return chunks;
}

function join(records: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const record of records) length += recordBytes(record);
  // Of the pool, and not filled with zeros first.
  const bytes = Buffer.allocUnsafe(length);
  writeRecords(records, bytes);
  return bytes;
}

function beginning({ head, body }: SplitFrame): Buffer {
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + head.length);
  bytes.writeUInt32BE(head.length + body.length);
  bytes.set(head, RECORD_HEADER_BYTES);
  return bytes;
}

function lengthOf(record: TcpRecord): number {
  return record instanceof Uint8Array ? record.length : record.head.length + record.body.length;
}
