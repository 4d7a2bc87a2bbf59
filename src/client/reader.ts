// How far this session has read one channel, and what of it came already: a message that comes again is passed over.
import type { EntryId, MessageFrame, RoomMessageFrame } from '../protocol/frame.js';

/** Senders whose last number is remembered. */
const SENDERS_LIMIT = 1_000;
/** Messages without a number that are remembered by their ids. */
const IDS_LIMIT = 256;

export class Reader {
  /** Of the last message that was handed over; null before the first of the channel, undefined while it is not known. */
  cursor: EntryId | null | undefined;
  /** The last number of each sending session; numbers come in order. */
  readonly #numbers = new Map<string, number>();
  readonly #ids = new Map<string, number>();

  /** Moves on. False for a message that came before. */
  take({ id, session, options }: MessageFrame | RoomMessageFrame): boolean {
    // Volatile: nobody has it twice, and it stands nowhere.
    if (id === null) return true;
    this.cursor = id;
    const { seq } = options;
    return seq ? isNewer(this.#numbers, session, seq, SENDERS_LIMIT) : isNewer(this.#ids, id, 1, IDS_LIMIT);
  }
}

/** Remembers the last number under a key; the key that was not used for the longest time is forgotten. */
export function isNewer(numbers: Map<string, number>, key: string, number: number, limit: number): boolean {
  const last = numbers.get(key) ?? 0;
  numbers.delete(key);
  numbers.set(key, Math.max(last, number));
  const [oldest = ''] = numbers.keys();
  if (numbers.size > limit) numbers.delete(oldest);
  return number > last;
}
