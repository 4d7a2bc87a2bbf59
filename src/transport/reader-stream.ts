// An event stream for readers without an SDK: the messages of rooms as events of plain JSON, and nothing to answer.
import { EventStreamConnection, type EventStreamOptions } from './event-stream.js';
import { oneLine } from './frame-body.js';
import { elementText } from '../protocol/json-text.js';
import { TYPES } from '../protocol/frame.js';

const PONG = JSON.stringify([TYPES.pong]);

export class ReaderStream extends EventStreamConnection {
  /** Nobody can come back to its session. */
  override closeNumber = 1000;

  constructor(
    options: EventStreamOptions,
    private readonly events: ReaderEvents,
  ) {
    super(options);
  }

  /** Does in the reader's place what a client does first. */
  begin(frames: readonly unknown[]): void {
    for (const frame of frames) this.handlers?.frame(JSON.stringify(frame));
  }

  override send(frame: Uint8Array | string): boolean {
    if (typeof frame !== 'string') return false;
    const block = this.events.of(frame);
    if (block === PING) {
      // It cannot answer; that what was written is taken is all that can be known of it.
      if (this.queuedBytes === 0) this.handlers?.frame(PONG);
      return true;
    }
    return block === '' || this.write(block);
  }
}

const PING = 'ping';

/** Frames of the JSON codec as events; each is written once, however many read it. */
export class ReaderEvents {
  private last = { frame: '', block: '' };

  /** Empty for what is not for readers. */
  of(frame: string): string {
    if (this.last.frame !== frame) this.last = { frame, block: blockOf(frame) };
    return this.last.block;
  }
}

function blockOf(text: string): string {
  // Written by our own codec.
  const [type, ...fields] = JSON.parse(text) as [number, ...unknown[]];
  switch (type) {
    case TYPES.ping:
      return PING;
    case TYPES.welcome: {
      const { client, session } = fields[0] as { client: string; session: string };
      return event('open', JSON.stringify({ client, session }));
    }
    case TYPES.roomMessage: {
      const [id, , room, from, session, name, encoding] = fields;
      const head = JSON.stringify({ room, event: name, from: { client: from, session }, id });
      // The payload as the text that it is: to parse and write it again would change large numbers.
      const payload = encoding === 'json' ? `"data":` : `"encoding":${JSON.stringify(encoding)},"data":`;
      const block = event('message', `${head.slice(0, -1)},${payload}${elementText(text, 8)}}`);
      return typeof id === 'string' ? `id: ${id}\n${block}` : block;
    }
    case TYPES.gap: {
      const [room, reason, missing] = fields;
      // Of the client's own inbox a reader reads nothing.
      return room === null ? '' : event('gap', JSON.stringify({ room, reason, missing }));
    }
    case TYPES.error: {
      const [, code, reason] = fields;
      return event('refused', JSON.stringify({ code, text: reason }));
    }
    default:
      return '';
  }
}

function event(name: string, data: string): string {
  return `event: ${name}\ndata: ${oneLine(data)}\n\n`;
}
