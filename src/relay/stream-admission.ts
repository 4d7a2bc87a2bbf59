// Who may hold one more end of a stream: as many as a session is allowed, and whoever opens one to several gets a group of readers with it.
import { type Code, CODES } from '../protocol/codes.js';
import { type Ask, ASKS } from '../protocol/frame.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import { ReaderGroup } from './reader-group.js';
import { type End, newEnd, type StreamEnds } from './stream-ends.js';
import type { StreamNotices } from './stream-notices.js';
import type { Peer } from './stream-peer.js';
import type { StreamWays } from './stream-ways.js';

export interface StreamAdmissionOptions {
  wheel: TimerWheel;
  streamsPerSessionLimit: number;
  ends: StreamEnds;
  ways: Pick<StreamWays, 'refuseOffer'>;
  notices: Pick<StreamNotices, 'refuse' | 'tooMany'>;
  readers: {
    tell(end: End, ask: Ask): void;
    drop(end: End, peer: Peer, code: Code, text: string): void;
  };
}

/** `drop`: what becomes of the slowest reader of a stream to several; null for one to a single session. */
export type NewEnd = Pick<End, 'stream' | 'opened' | 'room' | 'peer'> & {
  drop: boolean | null;
  gathers?: boolean;
};

export class StreamAdmission {
  constructor(private readonly options: StreamAdmissionOptions) {}

  /** Null where it was refused. */
  take(session: Session, { stream, opened, room, peer, drop, gathers = false }: NewEnd): End | null {
    const { streamsPerSessionLimit: limit, ends, notices, ways } = this.options;
    if (ends.countOf(session) >= limit) {
      const text = `A session may hold ${String(limit)} streams.`;
      if (opened) notices.refuse(session, stream, 'limit', text);
      else {
        // Others opened them: they are told, and nothing is held against who accepts too many.
        notices.tooMany(session, stream, text);
        if (peer !== null) ways.refuseOffer(session, stream, peer, { kind: 'cut', code: 'limit', text });
      }
      return null;
    }
    const group = drop === null ? null : this.group(() => end, drop, gathers);
    const end = newEnd({ session, stream, opened, room, peer, group });
    ends.add(end);
    return end;
  }

  private group(end: () => End, drop: boolean, gathers: boolean): ReaderGroup {
    const { readers, wheel } = this.options;
    return new ReaderGroup({
      drop,
      gathers,
      wheel,
      changed: () => {
        readers.tell(end(), ASKS.nothing);
      },
      tooSlow: (reader) => {
        readers.drop(end(), reader, 'slow_reader', CODES.slow_reader.text);
      },
    });
  }
}
