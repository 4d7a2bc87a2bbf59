// What passes a hub: frames of its tabs on their way to the gateway, and those of the gateway on theirs to the tabs that they concern.
import type { ClientFrame, EntryId, GatewayFrame, Welcome } from '../../protocol/frame.js';
import type { RoomName, StreamId } from '../../protocol/ids.js';
import { HISTORY_LIMIT } from '../../protocol/limits.js';
import type { Environment } from '../environment.js';
import type { CallingFrame, HubCalls } from './hub-calls.js';
import { HubOffers } from './hub-offers.js';
import { HubRooms } from './hub-rooms.js';
import { bytesOf, type HubTab } from './hub-tab.js';

/** Until the next tab is asked for a token, ms. */
const TOKEN_MS = 10_000;
/** Locks tell of tabs that are gone, and a hub's silence is no sign of anything; timers take no longer times. */
const NEVER_MS = 1_000_000_000;
const PROBE_REF = 0xffff_ffff;

/** What the gateway has said of the session, for tabs that come later. */
export interface Standing {
  /** Null before the first. */
  welcome: Welcome | null;
  /** Of the connection's token. */
  tokenUntil: number;
}

export interface HubTrafficPort {
  readonly tabs: ReadonlyMap<string, HubTab>;
  readonly environment: Environment;
  readonly standing: Standing;
  readonly isUp: boolean;
  /** Where there is a connection. */
  write(frame: ClientFrame): void;
  /** Asks something that the gateway answers in any case. */
  probe(question: ClientFrame): void;
}

export class HubTraffic {
  readonly #port: HubTrafficPort;
  readonly rooms: HubRooms;
  readonly #offers: HubOffers;
  readonly #streams = new Map<StreamId, HubTab>();
  /** Null until the session has begun. */
  calls: HubCalls | null = null;
  #cancelToken: () => void = () => {};

  constructor(port: HubTrafficPort) {
    this.#port = port;
    this.rooms = new HubRooms(() => port.tabs.values());
    this.#offers = new HubOffers(() => port.tabs.values());
  }

  /** Another session: what was under way belongs to the old one. */
  reset(): void {
    this.#streams.clear();
    this.#offers.clear();
    this.rooms.brought.clear();
  }

  /** The connection is gone. */
  lost(): void {
    this.#cancelToken();
  }

  // ── tabs ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Tells a tab that it is connected, and where the session stands.
   * @returns false where only a new connection can give it what it has missed
   */
  greet(tab: HubTab, resumeKey: string): boolean {
    const { standing, environment } = this.#port;
    const { rooms, calls } = this;
    const info = standing.welcome;
    const { hello } = tab;
    if (info === null || hello === null) return true;
    const resumed = hello.resume?.session === info.session;
    if (!resumed) this.#beginAnew(tab);
    tab.watched.clear();
    tab.rooms.clear();
    const { missed, again, isBehind } = rooms.enter(tab);
    if (isBehind) return false;
    tab.hello = null;
    if (!resumed && rooms.inbox !== undefined) tab.places.set(null, rooms.inbox);
    if (resumed) calls?.giveUp(tab);
    tab.notes = [];
    tab.isAttached = true;
    tab.post(['session', info.session, resumed]);
    const inbox = resumed ? info.inbox : rooms.inbox;
    tab.write({
      type: 'welcome',
      info: {
        ...info,
        ...(inbox === undefined ? {} : { inbox }),
        resumed,
        resumeKey,
        rooms: [...tab.rooms, ...rooms.brought],
        pingIntervalMs: NEVER_MS,
        tokenExpiresInMs: Math.max(0, standing.tokenUntil - environment.now()),
      },
    });
    tab.post(['brought', [...rooms.brought]]);
    for (const bytes of missed) tab.put(bytes);
    for (const [room, place] of again) {
      const since = rooms.joining(tab, { type: 'join', ref: 0, room, since: place ?? HISTORY_LIMIT });
      if (calls !== null) this.#port.write(calls.call(null, 0, { type: 'join', ref: 0, room, since }));
    }
    calls?.flush();
    return true;
  }

  /** Its client was closed without a farewell, and numbers and counts from the start again. */
  #beginAnew(tab: HubTab): void {
    this.clearOut(tab);
    this.calls?.beginAnew(tab);
    tab.reset();
  }

  /** Nobody is there any more for what it was in and had open. */
  clearOut(tab: HubTab): void {
    this.#leaveAll(tab);
    for (const [stream, owner] of this.#streams)
      if (owner === tab) {
        this.#streams.delete(stream);
        this.#port.write({ type: 'cut', stream, to: null, code: 'aborted', text: '' });
      }
  }

  /** Leaves rooms that nobody has claimed. */
  leaveOrphans(): void {
    for (const room of this.rooms.orphans()) this.#leave(room);
  }

  #leaveAll(tab: HubTab): void {
    for (const room of [...tab.rooms]) if (this.rooms.leave(tab, room)) this.#leave(room);
  }

  #leave(room: RoomName): void {
    if (this.#port.isUp && this.calls !== null)
      this.#port.write(this.calls.call(null, 0, { type: 'leave', ref: 0, room }));
  }

  // ── frames of tabs ────────────────────────────────────────────────────────────────────────────

  /** @throws ProtocolError where the frame cannot be written */
  pass(tab: HubTab, at: number, frame: ClientFrame): void {
    const { calls } = this;
    if (calls === null) return;
    switch (frame.type) {
      case 'join': {
        const since = this.rooms.joining(tab, frame);
        return this.#port.write(calls.call(tab, at, { ...frame, since }));
      }
      case 'leave':
        if (this.rooms.leave(tab, frame.room)) break;
        return tab.write({ type: 'ok', ref: frame.ref, result: true });
      case 'leaveAll':
        this.#leaveAll(tab);
        return tab.write({ type: 'ok', ref: frame.ref, result: null });
      case 'watch':
        if (frame.on) tab.watched.add(frame.room);
        else tab.watched.delete(frame.room);
        if (frame.on || !this.rooms.isWatched(frame.room)) break;
        return tab.write({ type: 'ok', ref: frame.ref, result: null });
      case 'token':
        this.#cancelToken();
        break;
      case 'confirm': {
        const seq = calls.numberOf(tab, frame.to.replace(/#.*/, ''), frame.seq);
        if (seq) this.#port.write({ ...frame, seq });
        return;
      }
      case 'ack': {
        const { standing } = this.#port;
        if (standing.welcome !== null) standing.welcome = { ...standing.welcome, kept: null };
        break;
      }
      case 'reject':
        if (this.#offers.refused(tab, frame)) return;
        break;
      case 'cut':
        if (this.#offers.refused(tab, frame)) return;
        this.#streams.delete(frame.stream);
        break;
      case 'openStream':
      case 'attachStream':
        this.#streams.set(frame.stream, tab);
        break;
      case 'online':
        if (frame.ref === PROBE_REF) return this.#port.probe(calls.call(tab, at, frame));
        break;
      default:
    }
    this.#port.write('ref' in frame ? calls.call(tab, at, frame) : frame);
  }

  /** What a call of a tab led to, before the tab hears of it. */
  answered(tab: HubTab | null, frame: CallingFrame, answer: GatewayFrame): void {
    if (tab === null) return;
    if (frame.type === 'join') {
      if (answer.type === 'ok') this.rooms.joined(tab, frame.room, answer.result);
      else if (!tab.places.has(frame.room)) this.rooms.leave(tab, frame.room);
    }
    if (frame.type === 'token' && answer.type === 'ok') {
      const { result } = answer;
      tab.token = frame.token;
      if (typeof result === 'object' && result !== null && 'expiresInMs' in result)
        this.#port.standing.tokenUntil = this.#port.environment.now() + Number(result.expiresInMs);
    }
  }

  // ── frames of the gateway ─────────────────────────────────────────────────────────────────────

  deliver(frame: Exclude<GatewayFrame, { type: 'welcome' }>): void {
    const { environment, standing, tabs } = this.#port;
    switch (frame.type) {
      case 'ok':
      case 'error':
      case 'response':
        return this.calls?.answer(frame);
      case 'delivered':
        return this.calls?.delivered(frame);
      case 'doubt':
        return this.calls?.doubt();
      case 'message':
        return this.#read(null, frame);
      case 'roomMessage':
        return this.#read(frame.room, frame);
      case 'gap':
        return this.#read(frame.channel, frame);
      case 'position':
        if (frame.channel !== null && this.rooms.bring(frame.channel))
          for (const tab of attached(tabs)) tab.post(['brought', [...this.rooms.brought]]);
        return this.#read(frame.channel, frame);
      case 'presence':
        return to(
          attached(tabs).filter(({ watched }) => watched.has(frame.room)),
          frame,
        );
      case 'expiring':
        return this.#askForToken(attached(tabs), environment.now() + frame.inMs);
      case 'requested':
      case 'called':
      case 'pairing':
      case 'offer':
        return this.#offers.ask(frame);
      case 'attached':
      case 'piece':
      case 'credited':
      case 'readerGone':
      case 'wasCut': {
        const tab = this.#streams.get(frame.stream);
        if (frame.type === 'wasCut') this.#streams.delete(frame.stream);
        return to(tab?.isAttached ? [tab] : [], frame);
      }
      case 'ping':
        return;
      case 'iceServers':
        if (standing.welcome !== null) standing.welcome = { ...standing.welcome, iceServers: frame.servers };
        return to(attached(tabs), frame);
      default:
        // Of all tabs: who it does not concern takes no notice.
        return to(attached(tabs), frame);
    }
  }

  /** A frame that this version has no name for. */
  deliverUnknown(bytes: Uint8Array): void {
    for (const tab of attached(this.#port.tabs)) tab.put(bytes);
  }

  /** To those who read the channel and have not got it. */
  #read(channel: RoomName | null, frame: Extract<GatewayFrame, { id: EntryId | null }>): void {
    const readers = channel === null ? attached(this.#port.tabs) : this.rooms.readers(channel);
    const bytes = bytesOf(frame);
    if (frame.id !== null || frame.type === 'gap') this.rooms.keep(channel, frame.id, bytes);
    for (const tab of this.rooms.pass(channel, frame.id, readers)) tab.put(bytes);
  }

  /** One tab after the other, until one gives a token. */
  #askForToken([tab, ...others]: HubTab[], until: number): void {
    const { environment } = this.#port;
    if (tab === undefined) return;
    if (tab.isAttached) tab.write({ type: 'expiring', inMs: Math.max(0, until - environment.now()) });
    this.#cancelToken = environment.after(TOKEN_MS, () => {
      this.#askForToken(others, until);
    });
  }
}

function attached(tabs: HubTrafficPort['tabs']): HubTab[] {
  return [...tabs.values()].filter(({ isAttached }) => isAttached);
}

function to(tabs: readonly HubTab[], frame: GatewayFrame): void {
  if (tabs.length === 0) return;
  const bytes = bytesOf(frame);
  for (const tab of tabs) tab.put(bytes);
}
