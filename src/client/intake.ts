// What arrives for the application: each message once and in order, with the place in its channel kept and receipts given.
import type {
  CalledFrame,
  ClientFrame,
  Cursor,
  EntryId,
  GapFrame,
  GatewayFrame,
  MessageFrame,
  PairingFrame,
  PositionFrame,
  RequestedFrame,
  RoomMessageFrame,
  Welcome,
} from '../protocol/frame.js';
import type { RoomName } from '../protocol/ids.js';
import type { MessageInfo, Sender } from './events.js';
import type { MessageEvents } from './listeners.js';
import type { Payloads } from './payloads.js';
import { isNewer, Reader } from './reader.js';

/** Receipts that can be given again. */
const HANDLED_LIMIT = 4_096;

export interface IntakePort {
  readonly rooms: ReadonlyMap<string, ReadRoom>;
  /** Writes now, or not at all: what gets lost will be asked for again. */
  write(frame: Extract<ClientFrame, { type: 'receipt' | 'ack' }>): unknown;
  onGap(gap: { room: string | null; reason: GapFrame['reason']; missing: number | null }): void;
  report(error: unknown): void;
}

/** A room as far as messages come from it. */
export interface ReadRoom {
  readonly name: RoomName;
  readonly reader: Reader;
  receivePresence(change: { joined: string[]; left: string[]; count: number }): void;
  receive(...message: MessageEvents[string]): boolean;
}

/** False where no handler took it. */
type Handle = (...message: MessageEvents[string]) => boolean;

export class Intake {
  readonly #payloads: Payloads;
  readonly #port: IntakePort;
  /** Of the client's own messages. */
  readonly #inbox = new Reader();
  /** Messages that receipts were given for. */
  readonly #handled = new Map<string, number>();
  /** Up to where messages were kept while the client was away, and are not acknowledged. */
  #kept: EntryId | null = null;
  /** An older gateway cannot read cursors. */
  #hasCursors = false;

  constructor(payloads: Payloads, port: IntakePort) {
    this.#payloads = payloads;
    this.#port = port;
  }

  welcomed({ inbox, kept, resumed }: Welcome): void {
    this.#hasCursors = inbox !== undefined;
    if (!resumed || this.#inbox.cursor === undefined) this.#inbox.cursor = inbox;
    this.#kept = kept;
    this.#acknowledge();
  }

  /** Where the session has read to, for what comes next to begin there. */
  get cursors(): Cursor[] {
    const cursors: Cursor[] = [];
    const add = (name: RoomName | null, { cursor }: Reader): void => {
      if (cursor !== undefined && this.#hasCursors) cursors.push([name, cursor]);
    };
    add(null, this.#inbox);
    // Also of rooms that a server has brought the session into: where it has a place, it was told of it.
    for (const { name, reader } of this.#port.rooms.values()) add(name, reader);
    return cursors;
  }

  message(frame: MessageFrame | RoomMessageFrame, handle: Handle): void {
    const { id, from, session, options } = frame;
    const take = (run: () => boolean): void => {
      const reader = this.#reader('room' in frame ? frame.room : null);
      if (reader?.take(frame) !== false && run() && options.delivered)
        isNewer(this.#handled, `${session} ${options.seq}`, 1, HANDLED_LIMIT);
      if (options.delivered) this.#confirm(from, session, options.seq ?? 0);
      if (id !== null) this.#acknowledge();
    };
    this.decode(
      frame,
      (...message) => take(() => handle(...message)),
      (error) =>
        take(() => {
          this.#port.report(error);
          return false;
        }),
    );
  }

  decode(
    frame: MessageFrame | RoomMessageFrame | RequestedFrame | CalledFrame | PairingFrame,
    handle: (data: unknown, from: Sender, info: MessageInfo) => unknown,
    onFailure: (error: unknown) => void,
  ): void {
    const { from: client, session, event, options, payload } = frame;
    const info: MessageInfo = {
      id: 'id' in frame ? frame.id : null,
      event,
      room: 'room' in frame ? frame.room : null,
      trace: options.trace ?? null,
    };
    this.#payloads.decode(payload, (data) => handle(data, { client, session }, info), onFailure, event);
  }

  /** In order with the messages around it. */
  notice(frame: Extract<GatewayFrame, { type: 'asked' | 'gap' | 'position' | 'presence' }>): void {
    this.#payloads.inOrder(() => {
      switch (frame.type) {
        case 'asked':
          return this.#confirm(frame.from, frame.session, frame.seq);
        case 'gap':
          if (frame.id !== null) this.#move(frame);
          return this.#port.onGap({ room: frame.channel, reason: frame.reason, missing: frame.missing });
        case 'position':
          return this.#move(frame);
        default: {
          const { room, joined, left, count } = frame;
          return this.#port.rooms.get(room)?.receivePresence({ joined, left, count });
        }
      }
    });
  }

  #confirm(from: string, session: string, seq: number): void {
    if (this.#handled.has(`${session} ${seq}`))
      this.#port.write({ type: 'receipt', to: `${from}#${session}`, seq });
  }

  #move({ channel, id }: GapFrame | PositionFrame): void {
    const reader = this.#reader(channel);
    if (reader !== undefined) reader.cursor = id;
    this.#acknowledge();
  }

  #reader(room: RoomName | null): Reader | undefined {
    return room === null ? this.#inbox : this.#port.rooms.get(room)?.reader;
  }

  /** Once, when the last of them was handed over. */
  #acknowledge(): void {
    const id = this.#kept;
    const { cursor } = this.#inbox;
    if (id === null || !cursor || !isAtOrBehind(cursor, id)) return;
    this.#kept = null;
    this.#port.write({ type: 'ack', id });
  }
}

/** Ids are `<epoch>:<offset>-<tag>`; offsets of different epochs say nothing about each other. */
function isAtOrBehind(id: EntryId, other: EntryId): boolean {
  const [epoch, place = ''] = id.split(':');
  const [otherEpoch, otherPlace = ''] = other.split(':');
  return id === other || (epoch === otherEpoch && parseInt(place) >= parseInt(otherPlace));
}
