// What a session is told of its streams: as much as its connection has room for, and refusals always.
import { type Code, CODES } from '../protocol/codes.js';
import { ASKS, type GatewayFrame } from '../protocol/frame.js';
import type { StreamId } from '../protocol/ids.js';
import type { PreparedFrame } from '../session/prepared-frame.js';
import type { Refusals } from '../session/refusals.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Credited, End, StreamEnds } from './stream-ends.js';

/** What a session with streams has no room for now is said again after this time, ms. */
const SAY_AGAIN_MS = 100;

export interface StreamNoticesOptions {
  ends: StreamEnds;
  wheel: TimerWheel;
  refusals: Refusals;
  /** Counts streams that were cut, by code. */
  countCut: (code: Code) => void;
  /** Counts chunks that did not come to their reader; their sender sends them again. */
  countDropped: (reason: 'unreachable' | 'away') => void;
}

export class StreamNotices {
  constructor(private readonly options: StreamNoticesOptions) {}

  /** What a slow connection has no room for is dropped, and sent again by its sender; but an end is said once. False where it was dropped. */
  give(session: Session, frame: GatewayFrame): boolean {
    const fits = hasRoomFor(session, frame.type);
    if (fits && frame.type === 'piece') session.sendPiece(frame);
    else if (fits) session.send(frame);
    else this.options.countDropped('away');
    return fits;
  }

  /** What the other end has and allows. Both would wait for each other if it were lost: it is said when there is room. */
  credited(end: End, said: Credited): void {
    const { session, stream, unsaid } = end;
    // What was not said before is said with it: on its own it would come behind, and ask once more.
    const ask = said.ask === ASKS.nothing && unsaid !== null ? unsaid.said.ask : said.ask;
    const all = { ...said, ask };
    if (this.give(session, { type: 'credited', stream, ...all })) {
      unsaid?.again.cancel();
      end.unsaid = null;
      return;
    }
    const again =
      unsaid?.again ??
      this.options.wheel.in(SAY_AGAIN_MS, () => {
        const left = end.unsaid;
        end.unsaid = null;
        if (left !== null && this.options.ends.get(session, stream) === end) this.credited(end, left.said);
      });
    end.unsaid = { said: all, again };
  }

  /** The same for several sessions: encoded once for each codec. */
  giveCopy(session: Session, frame: PreparedFrame): boolean {
    const fits = session.deliver(frame, true) !== 'dropped';
    if (!fits) this.options.countDropped('away');
    return fits;
  }

  /** Tells that there is, or will be, no such stream; counts as a refused call does. */
  refuse(session: Session, stream: StreamId, code: Code, text: string = CODES[code].text): void {
    this.options.countCut(code);
    if (this.options.refusals.charge(session, code)) session.send({ type: 'wasCut', stream, code, text });
  }

  /** A session acts on a stream that it does not hold: it is over, or was never there. */
  unknown(session: Session, stream: StreamId): void {
    session.send({ type: 'wasCut', stream, code: 'not_found', text: 'There is no such stream.' });
  }

  /** Others opened more streams to it than it may hold: nothing is held against a session that accepts too many. */
  tooMany(session: Session, stream: StreamId, text: string): void {
    this.options.countCut('limit');
    session.send({ type: 'wasCut', stream, code: 'limit', text });
  }
}

function hasRoomFor(session: Session, type: GatewayFrame['type']): boolean {
  switch (type) {
    case 'wasCut':
    case 'readerGone':
      return true;
    case 'attached':
    case 'credited':
      return session.hasRoomForWords;
    default:
      return session.hasRoom;
  }
}
