// The way of a session into the channels that it reads: expected before the welcome, entered after it.
import type { RoomName } from '../protocol/ids.js';
import type { Feed } from '../relay/feed.js';
import type { Feeds } from '../relay/feeds.js';
import type { Session } from '../session/session.js';
import type { Position } from '../session/store/store.js';

/** Where a session begins to read its inbox. */
export interface InboxStart {
  after: Position;
  /** Where the inbox stood at the attach. */
  now: Position;
  /** The session is the first of its client: of what is stored so far only what was kept is for it. */
  isFirst: boolean;
}

export class ChannelEntry {
  private readonly rooms: readonly (readonly [RoomName, Feed])[];

  /** From now on nothing passes to the session before it has entered. */
  constructor(
    private readonly session: Session,
    private readonly inbox: Feed,
    private readonly feeds: Feeds,
  ) {
    inbox.expect(session);
    this.rooms = [...session.rooms].map((room) => {
      const feed = feeds.hold({ kind: 'room', room });
      feed.expect(session);
      return [room, feed];
    });
  }

  /** @param cursors up to where the session has read each of its channels; the inbox's is in `start` */
  enter({ after, now, isFirst }: InboxStart, cursors: ReadonlyMap<RoomName | null, Position>): void {
    this.inbox.enter(this.session, after, now, isFirst ? now : null);
    for (const [room, feed] of this.rooms) {
      feed.enter(this.session, cursors.get(room) ?? null, undefined, null);
      this.feeds.release(feed);
    }
  }
}
