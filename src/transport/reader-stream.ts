// An event stream for readers without an SDK: the messages of rooms as events of plain JSON, and nothing to answer.
import type { WireFrame } from '../session/connection.js';
import { parseEntryId } from '../session/store/entry-id.js';
import { EventStreamConnection, type EventStreamOptions } from './event-stream.js';
import { oneLine } from './frame-body.js';
import { elementText } from '../protocol/json-text.js';
import { type Since, TYPES } from '../protocol/frame.js';
import { HISTORY_LIMIT } from '../protocol/limits.js';

/** What may stand between the positions of several rooms in the id of an event, and in none of them. */
const BETWEEN = ';';
/** The position in a room that had no messages yet. */
const BEGINNING = '0';

const PONG = JSON.stringify([TYPES.pong]);

export class ReaderStream extends EventStreamConnection {
  /** Nobody can come back to its session. */
  override closeNumber = 1000;
  /** Up to where each room has been read, in the order of the ticket; empty where that is not known. */
  private readonly positions: string[];

  constructor(
    options: EventStreamOptions,
    private readonly events: ReaderEvents,
    private readonly rooms: readonly string[],
    /** The id of the last event of the stream before this one. */
    lastId: string | null,
  ) {
    super(options);
    this.positions = lastId?.split(BETWEEN) ?? rooms.map(() => '');
  }

  /** Does in the reader's place what a client does first. */
  begin(frames: readonly unknown[]): void {
    for (const frame of frames) this.handlers?.frame(JSON.stringify(frame));
  }

  override send(frame: WireFrame): boolean {
    if (typeof frame !== 'string') return false;
    const event = this.events.of(frame);
    if (event.isPing) {
      // It cannot answer; that what was written is taken is all that can be known of it.
      if (this.queuedBytes === 0) this.handlers?.frame(PONG);
      return true;
    }
    const text = this.place(event) + event.block;
    return text === '' || this.write(text);
  }

  /** The line that lets a reader come back to here. An event that has no other line is not told: it is only remembered. */
  private place({ room, position, block }: ReaderEvent): string {
    const at = typeof room === 'number' ? room : this.rooms.indexOf(room ?? '');
    if (position === null || at < 0) return '';
    this.positions[at] = position;
    return `id: ${this.positions.join(BETWEEN)}\n${block === '' ? '\n' : ''}`;
  }
}

/** Where to begin in each of so many rooms, by the id of an event; undefined where it says nothing of that. Null where it is no such id. */
export function positionsOf(id: string, rooms: number): (Since | undefined)[] | null {
  const positions = id.split(BETWEEN);
  if (positions.length !== rooms) return null;
  const isWhole = positions.every(
    (position) => position === '' || position === BEGINNING || parseEntryId(position) !== null,
  );
  if (!isWhole) return null;
  return positions.map((position) => {
    if (position === BEGINNING) return HISTORY_LIMIT;
    return position === '' ? undefined : position;
  });
}

/** What readers get of a frame. */
interface ReaderEvent {
  /** Without its id; empty for what is not for readers. */
  block: string;
  isPing: boolean;
  /** The room that it moves on in, or the place of that room in the ticket. */
  room: string | number | null;
  /** Up to where the room has been read with it; null where it says nothing of that. */
  position: string | null;
}

/** Frames of the JSON codec as events; each is written once, however many read it. */
export class ReaderEvents {
  private last = { frame: '', event: NOTHING };

  of(frame: string): ReaderEvent {
    if (this.last.frame !== frame) this.last = { frame, event: eventOf(frame) };
    return this.last.event;
  }
}

const NOTHING: ReaderEvent = { block: '', isPing: false, room: null, position: null };

function eventOf(text: string): ReaderEvent {
  // Written by our own codec.
  const [type, ...fields] = JSON.parse(text) as [number, ...unknown[]];
  switch (type) {
    case TYPES.ping:
      return { ...NOTHING, isPing: true };
    case TYPES.welcome: {
      const { client, session } = fields[0] as { client: string; session: string };
      return { ...NOTHING, block: blockOf('open', JSON.stringify({ client, session })) };
    }
    case TYPES.ok: {
      // Of a join; their references count from 1.
      const [ref, answer] = fields as [number, { position?: string | null } | null];
      return { ...NOTHING, room: ref - 1, position: placeOf(answer?.position) };
    }
    case TYPES.position: {
      const [room, position] = fields as [string | null, string | null];
      return { ...NOTHING, room, position: placeOf(position) };
    }
    case TYPES.roomMessage: {
      const [id, , room, from, session, name, encoding] = fields as [
        string | null,
        unknown,
        string,
        ...unknown[],
      ];
      const head = JSON.stringify({ room, event: name, from: { client: from, session }, id });
      // The payload as the text that it is: to parse and write it again would change large numbers.
      const payload = encoding === 'json' ? `"data":` : `"encoding":${JSON.stringify(encoding)},"data":`;
      const block = blockOf('message', `${head.slice(0, -1)},${payload}${elementText(text, 8)}}`);
      return { ...NOTHING, block, room, position: id };
    }
    case TYPES.gap: {
      const [room, reason, missing, id] = fields as [string | null, unknown, unknown, string | null];
      // Of the client's own inbox a reader reads nothing.
      if (room === null) return NOTHING;
      return {
        ...NOTHING,
        block: blockOf('gap', JSON.stringify({ room, reason, missing })),
        room,
        position: id,
      };
    }
    case TYPES.error: {
      const [, code, reason] = fields;
      return { ...NOTHING, block: blockOf('refused', JSON.stringify({ code, text: reason })) };
    }
    default:
      return NOTHING;
  }
}

/** Null where nothing is said. */
function placeOf(position: string | null | undefined): string | null {
  return position === undefined ? null : (position ?? BEGINNING);
}

function blockOf(name: string, data: string): string {
  return `event: ${name}\ndata: ${oneLine(data)}\n\n`;
}
