// Rooms and places of a shared session: who of the tabs is in which room, and where each has read to.
import type { Cursor, EntryId, JoinFrame, Since } from '../../protocol/frame.js';
import type { RoomName } from '../../protocol/ids.js';
import { HISTORY_LIMIT } from '../../protocol/limits.js';
import type { HubTab } from './hub-tab.js';
import { covers, lowest, type Place } from './places.js';

type Channel = RoomName | null;

/** What passed last is kept for tabs that come back a moment later than others. */
const RECENT_LIMIT_FRAMES = 1_000;
const RECENT_LIMIT_BYTES = 1024 * 1024;

/** A frame that passed, and where its channel stood before it. */
interface Recent {
  readonly channel: Channel;
  readonly before: Place | undefined;
  readonly bytes: Uint8Array;
}

export class HubRooms {
  readonly #tabs: () => Iterable<HubTab>;
  /** Rooms that the gateway has the session in. */
  #joined = new Set<RoomName>();
  /** Those that a server brought it into: they are every tab's. */
  readonly brought = new Set<RoomName>();
  /** The last id that passed, or where reading began. */
  readonly #heads = new Map<Channel, Place>();
  readonly #recent: Recent[] = [];
  #recentBytes = 0;
  /** Tabs whose places were looked at when the connection began. */
  readonly #covered = new Set<HubTab>();

  constructor(tabs: () => Iterable<HubTab>) {
    this.#tabs = tabs;
  }

  get inbox(): Place | undefined {
    return this.#heads.get(null);
  }

  /** Where a new connection goes on, so that each of the tabs gets what it has not. */
  cursors(tabs: readonly HubTab[]): Cursor[] {
    const places = new Map<Channel, Place[]>();
    for (const tab of tabs)
      for (const [channel, place] of tab.places) {
        const known = places.get(channel);
        if (known === undefined) places.set(channel, [place]);
        else known.push(place);
      }
    const cursors: Cursor[] = [];
    this.#covered.clear();
    for (const tab of tabs) if (tab.hello !== null) this.#covered.add(tab);
    for (const [channel, all] of places) {
      const place = lowest(all, this.#heads.get(channel));
      if (place !== undefined) cursors.push([channel, place]);
    }
    return cursors;
  }

  /** A connection begins; `inbox` is what the gateway says of a new session. */
  begin(joined: readonly string[], cursors: readonly Cursor[], inbox: Place | undefined): void {
    this.#joined = new Set(joined as RoomName[]);
    this.#heads.clear();
    this.#recent.length = this.#recentBytes = 0;
    if (inbox !== undefined) this.#heads.set(null, inbox);
    for (const [channel, place] of cursors) this.#heads.set(channel, place);
    for (const room of this.brought) if (!this.#joined.has(room)) this.brought.delete(room);
  }

  /**
   * @returns what a tab that comes back has missed; the rooms that it has to be given from its places on; and whether its inbox has to be,
   * which only a new connection can
   */
  enter(tab: HubTab): { missed: Uint8Array[]; again: [RoomName, Place][]; isBehind: boolean } {
    const missed: Uint8Array[] = [];
    const again: [RoomName, Place][] = [];
    let isBehind = false;
    const isCovered = this.#covered.delete(tab);
    for (const [channel, place] of tab.places) {
      if (channel !== null && !this.#joined.has(channel)) {
        // It joins by itself, from its cursor on.
        tab.places.delete(channel);
        continue;
      }
      if (channel !== null && !this.brought.has(channel)) tab.rooms.add(channel);
      const head = this.#heads.get(channel);
      if (isCovered || place === head || (head && covers(place, head))) continue;
      const found = this.#recent.findIndex((one) => one.channel === channel && one.before === place);
      if (found >= 0 && head !== undefined) {
        for (const one of this.#recent.slice(found)) if (one.channel === channel) missed.push(one.bytes);
        tab.places.set(channel, head);
      } else if (channel !== null) again.push([channel, place]);
      else isBehind ||= head !== undefined;
    }
    return { missed, again, isBehind };
  }

  /** Rooms that no tab is in any more; they may be another's that died with a hub. */
  orphans(): RoomName[] {
    return [...this.#joined].filter((room) => !this.brought.has(room) && !this.#isUsed(room));
  }

  /** A tab joins: where it will begin to read, so that no other tab misses anything by it. */
  joining(tab: HubTab, { room, since }: JoinFrame): Since {
    tab.rooms.add(room);
    this.#joined.add(room);
    if (since === null) return null;
    if (typeof since === 'string' && !tab.places.has(room)) tab.places.set(room, since);
    // The gateway reads for the session once, from where it was asked to last: it has to be the lowest of all.
    const places = this.#readers(room).flatMap((reader) => {
      const place = reader.places.get(room);
      return place === undefined || (reader !== tab && place === this.#heads.get(room)) ? [] : [place];
    });
    const from = lowest(places, this.#heads.get(room));
    if (from === undefined) return since;
    return from ?? HISTORY_LIMIT;
  }

  joined(tab: HubTab, room: RoomName, result: unknown): void {
    if (typeof result !== 'object' || result === null || !('position' in result)) return;
    const { position } = result;
    if (tab.places.has(room) || (typeof position !== 'string' && position !== null)) return;
    tab.places.set(room, position);
    if (!this.#heads.has(room)) this.#heads.set(room, position);
  }

  /** @returns whether the session has to leave it too */
  leave(tab: HubTab, room: RoomName): boolean {
    tab.rooms.delete(room);
    tab.watched.delete(room);
    tab.places.delete(room);
    if (this.#isUsed(room)) return false;
    this.#heads.delete(room);
    this.brought.delete(room);
    return this.#joined.delete(room);
  }

  /** Who hears of the room. */
  readers(room: RoomName): HubTab[] {
    const all = [...this.#tabs()].filter(({ isAttached }) => isAttached);
    return this.brought.has(room) ? all : all.filter(({ rooms }) => rooms.has(room));
  }

  /** A server brought the session into a room. False where it is known. */
  bring(room: RoomName): boolean {
    if (this.#joined.has(room)) return false;
    this.#joined.add(room);
    this.brought.add(room);
    return true;
  }

  /** The tabs that have not got what stands there; null is for all. */
  pass(channel: Channel, id: EntryId | null, tabs: readonly HubTab[]): HubTab[] {
    if (id === null) return [...tabs];
    return tabs.filter(({ places }) => {
      if (covers(places.get(channel), id)) return false;
      places.set(channel, id);
      return true;
    });
  }

  /** Keeps what passes for those who come back later. Before `pass`. */
  keep(channel: Channel, id: EntryId | null, bytes: Uint8Array): void {
    const before = this.#heads.get(channel);
    if (id !== null) {
      if (covers(before, id)) return;
      this.#heads.set(channel, id);
    }
    this.#recent.push({ channel, before, bytes });
    this.#recentBytes += bytes.length;
    while (this.#recent.length > RECENT_LIMIT_FRAMES || this.#recentBytes > RECENT_LIMIT_BYTES)
      this.#recentBytes -= this.#recent.shift()?.bytes.length ?? Infinity;
  }

  isWatched(room: RoomName): boolean {
    return [...this.#tabs()].some(({ watched }) => watched.has(room));
  }

  #isUsed(room: RoomName): boolean {
    return this.#readers(room).length > 0;
  }

  /** Attached or not. */
  #readers(room: RoomName): HubTab[] {
    return [...this.#tabs()].filter(({ rooms }) => rooms.has(room));
  }
}
