// What simulated clients write down, one JSON line an event, and how it is read back without holding all of it.
import { closeSync, createWriteStream, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/**
 * Every event has `t`, ms since 1970 on the machine's one clock, and `c`, the simulated client (one session each).
 * `ch` is a channel: `inbox:<client>`, `room:<name>`, or `volatile:<anything>` for what nobody promised to keep.
 * `n` counts a client's messages into one channel from 1; `h` is the hash of a payload.
 */
export type HistoryEvent = { t: number; c: string } & (
  | { e: 'send'; ch: string; n: number; h: number }
  /** `id` is `<epoch>:<offset>-<tag>`; null from a gateway that does not tell it. */
  | { e: 'accepted'; ch: string; n: number; id: string | null }
  | { e: 'rejected'; ch: string; n: number; code: string }
  /** The sender was told that nobody got it in time. */
  | { e: 'expired'; ch: string; n: number }
  /** `k` is the connection that brought it, where a session may have several. */
  | { e: 'recv'; ch: string; from: string; n: number; id: string | null; h: number; final?: true; k?: number }
  /** So many messages are missing here; null where the receiver was not told how many. */
  | { e: 'gap'; ch: string; missing: number | null; reason: string }
  /** With `ch` null all channels of the session. */
  | { e: 'stateLost'; ch: string | null }
  /** From here on, until `unmember`, the client is owed what is accepted into the channel. */
  | { e: 'member'; ch: string }
  | { e: 'unmember'; ch: string }
  /** A connection of session `s` is there; `k` numbers the connections of a session in the order of their generations; those that came at once, whose order only the gateway knows, have one number. */
  | { e: 'up'; s: string; k: number; resumed: boolean }
  | { e: 'down'; s: string; k: number; code: string }
  /** The client was sent away for good without having asked. */
  | { e: 'dead'; code: string }
  /** Alive at the end; `finals` are the channels in which it should have got a final marker. */
  | { e: 'end'; finals: string[] }
);

type Bare<Event> = Event extends { t: number } ? Omit<Event, 't'> : never;

export class HistoryWriter {
  readonly #stream;

  constructor(path: string) {
    this.#stream = createWriteStream(path, { highWaterMark: 1 << 20 });
  }

  write(event: Bare<HistoryEvent>): void {
    this.#stream.write(`${JSON.stringify({ t: Date.now(), ...event })}\n`);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(resolve));
  }
}

/** Lines of one file after the other; a last line that a killed process left half written is skipped. */
export function* readHistory(paths: readonly string[]): Generator<HistoryEvent> {
  for (const path of paths) {
    for (const line of linesOf(path)) {
      // Written by this suite; the checker looks at what it says.
      if (line.endsWith('}')) yield JSON.parse(line) as HistoryEvent;
    }
  }
}

function* linesOf(path: string): Generator<string> {
  const file = openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(1 << 16);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) {
      const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
    if (rest !== '') yield rest;
  } finally {
    closeSync(file);
  }
}

/** Place of a kept message: its log's epoch, and its offset there. */
export interface Place {
  epoch: string;
  offset: number;
}

const ENTRY_ID = /^(.+):(\d+)-[^:]+$/;

/** Of an id `<epoch>:<offset>-<tag>`; null where it is none. Not the gateway's own code: a judge reads for himself. */
export function placeOf(id: string): Place | null {
  const [, epoch, offset] = ENTRY_ID.exec(id) ?? [];
  return epoch === undefined || offset === undefined ? null : { epoch, offset: Number(offset) };
}

/** FNV-1a over the text's UTF-16 units: enough to notice a payload that is another one. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
