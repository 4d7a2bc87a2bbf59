// What a session is told of its streams: as much as its connection has room for, and refusals always.
import { type Code, CODES } from '../protocol/codes.js';
import type { GatewayFrame } from '../protocol/frame.js';
import type { StreamId } from '../protocol/ids.js';
import type { PreparedFrame } from '../session/prepared-frame.js';
import type { Refusals } from '../session/refusals.js';
import type { Session } from '../session/session.js';

export interface StreamNoticesOptions {
  refusals: Refusals;
  /** Counts streams that were cut, by code. */
  countCut: (code: Code) => void;
  /** Counts chunks that did not come to their reader; their sender sends them again. */
  countDropped: (reason: 'unreachable' | 'away') => void;
}

export class StreamNotices {
  constructor(private readonly options: StreamNoticesOptions) {}

  /** What a slow connection has no room for is dropped, and sent again by its sender; but an end is said once. */
  give(session: Session, frame: GatewayFrame): void {
    if (session.hasRoom || frame.type === 'wasCut' || frame.type === 'readerGone') session.send(frame);
    else this.options.countDropped('away');
  }

  /** The same for several sessions: encoded once for each codec. */
  giveCopy(session: Session, frame: PreparedFrame): void {
    if (session.deliver(frame, true) === 'dropped') this.options.countDropped('away');
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
