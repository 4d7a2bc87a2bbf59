// Frames in the body of a request or an answer: records for a binary codec, one frame a line for a text codec.
import { joinRecords, splitRecords } from '../protocol/records.js';

/** Null for bytes that are no whole frames. */
export function framesOf(body: Uint8Array, binary: boolean): (Uint8Array | string)[] | null {
  if (binary) return splitRecords(body);
  const lines = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8').split('\n');
  return lines.filter((line) => line !== '' && line !== '\r');
}

export function bodyOf(frames: readonly (Uint8Array | string)[]): Uint8Array {
  const binary: Uint8Array[] = [];
  let text = '';
  for (const frame of frames) {
    if (typeof frame === 'string') text += `${oneLine(frame)}\n`;
    else binary.push(frame);
  }
  return text === '' ? joinRecords(binary) : Buffer.from(text);
}

/**
 * A frame on one line. A payload of JSON is passed on as its sender wrote it: ends of lines in it are white space, since
 * inside strings JSON has none, but in an event stream they would begin another field.
 */
export function oneLine(frame: string): string {
  return /[\r\n]/.test(frame) ? frame.replace(/[\r\n]/g, ' ') : frame;
}
