// The way of a session into the channels that it reads: expected before the welcome, entered after it.
import { CODES } from '../protocol/codes.js';
import type { RoomName } from '../protocol/ids.js';
import type { Feed } from '../relay/feed.js';
import type { Feeds } from '../relay/feeds.js';
import type { SessionRegistry } from '../session/registry.js';
import { RETRY_SPREAD_MS, type Session } from '../session/session.js';
import type { Position, Store } from '../session/store/store.js';

export interface ChannelEntryOptions {
  feeds: Feeds;
  store: Store;
  registry: SessionRegistry;
}

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
    private readonly options: ChannelEntryOptions,
  ) {
    inbox.expect(session);
    this.rooms = [...session.rooms].map((room) => {
      const feed = options.feeds.hold({ kind: 'room', room });
      feed.expect(session);
      return [room, feed];
    });
  }

  /** @param cursors up to where the session has read its rooms; one that does not say goes on from here */
  enter({ after, now, isFirst }: InboxStart, cursors: ReadonlyMap<RoomName | null, Position>): void {
    this.inbox.enter(this.session, after, now, isFirst ? now : null);
    for (const [room, feed] of this.rooms) void this.enterRoom(room, feed, cursors.get(room));
  }

  private async enterRoom(room: RoomName, feed: Feed, cursor: Position | undefined): Promise<void> {
    const { session } = this;
    const { feeds, store, registry } = this.options;
    try {
      if (cursor !== undefined) {
        feed.enter(session, cursor, undefined, null);
        return;
      }
      const { position } = await store.read({ channel: feed.channel, from: { last: 0 }, limit: 1 });
      // It may have left meanwhile, the room or altogether.
      if (registry.inRoom(room).has(session)) feed.enter(session, position, position, null);
    } catch {
      // Nobody can say what it misses; a connection that works can.
      session.close('overloaded', CODES.overloaded.close, RETRY_SPREAD_MS);
    } finally {
      feeds.release(feed);
    }
  }
}
