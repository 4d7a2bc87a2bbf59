// The channels that sessions of this worker read: a feed for each inbox and each room.
import type { ClientId, RoomName } from '../protocol/ids.js';
import type { Session } from '../session/session.js';
import type { Channel, StoreEvent } from '../session/store/store.js';
import { Feed } from './feed.js';
import type { FeedHost } from './feed-host.js';

/** Logs that are read again at once after the store's events were interrupted. */
const RESYNC_AT_ONCE = 64;

export class Feeds {
  private readonly inboxes = new Map<ClientId, Feed>();
  private readonly rooms = new Map<RoomName, Feed>();

  constructor(private readonly host: FeedHost) {}

  entry({ channel, entry }: Extract<StoreEvent, { type: 'entry' }>): void {
    this.get(channel)?.receive(entry);
  }

  /**
   * From now on entries of the channel are held back, until the store has said where a session begins.
   * Every hold is released, whether or not somebody entered.
   */
  hold(channel: Channel): Feed {
    let feed = this.get(channel);
    if (feed === undefined) {
      feed = new Feed(channel, this.host);
      if (channel.kind === 'inbox') this.inboxes.set(channel.client, feed);
      else this.rooms.set(channel.room, feed);
    }
    feed.holds++;
    return feed;
  }

  release(feed: Feed): void {
    feed.holds--;
    this.tidy(feed);
  }

  /** The session does not read the channel any more; call it after it left the registry. */
  leave(session: Session, channel: Channel): void {
    const feed = this.get(channel);
    if (feed === undefined) return;
    feed.leave(session);
    this.tidy(feed);
  }

  /** The connection is gone, and with it all that it read. */
  leaveAll(session: Session): void {
    this.leave(session, { kind: 'inbox', client: session.ref.client });
    for (const room of session.rooms) this.leave(session, { kind: 'room', room });
  }

  /** Events of the store were interrupted: every log is read from where its feed stands. */
  async resync(): Promise<void> {
    const feeds = [...this.inboxes.values(), ...this.rooms.values()];
    // All at once, though their turn to be read comes later: what passed meanwhile would hide what was missed.
    for (const feed of feeds) feed.suspect();
    for (let at = 0; at < feeds.length; at += RESYNC_AT_ONCE) {
      await Promise.all(feeds.slice(at, at + RESYNC_AT_ONCE).map((feed) => feed.resync()));
    }
  }

  private get(channel: Channel): Feed | undefined {
    return channel.kind === 'inbox' ? this.inboxes.get(channel.client) : this.rooms.get(channel.room);
  }

  private tidy(feed: Feed): void {
    const { channel } = feed;
    if (!feed.empty || this.get(channel) !== feed) return;
    feed.close();
    if (channel.kind === 'inbox') this.inboxes.delete(channel.client);
    else this.rooms.delete(channel.room);
  }
}
