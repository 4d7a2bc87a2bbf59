// Where the tabs of a session meet: it has the one connection, and is to each tab what the gateway is to a client.
import { CODES, comesBack } from '../../protocol/codes.js';
import { ProtocolError } from '../../protocol/errors.js';
import {
  type ClientFrame,
  type GatewayFrame,
  type HelloFrame,
  PROTOCOL_VERSION,
  type Welcome,
} from '../../protocol/frame.js';
import type { EntryId } from '../../protocol/frame.js';
import type { RoomName, StreamId } from '../../protocol/ids.js';
import { HISTORY_LIMIT } from '../../protocol/limits.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import { offerSubprotocols } from '../../protocol/subprotocol.js';
import { Connection } from '../connection.js';
import type { Environment } from '../environment.js';
import { DROPPED, type WebSocketClass } from '../websocket-class.js';
import { type CallingFrame, HubCalls, type HubCallsPort } from './hub-calls.js';
import { HubOffers } from './hub-offers.js';
import { HubRooms } from './hub-rooms.js';
import { bytesOf, HubTab } from './hub-tab.js';
import type { ChannelLike, HeldLock, TabsPlatform } from './platform.js';
import { Succession } from './succession.js';
import { Turns } from './turns.js';
import { type CommonMessage, isNewer, lockOfTab, type ToHub } from './tab-messages.js';

/** How long a new hub waits for tabs of an earlier one, ms, from the first that comes: while the gateway is away all may be waiting. */
const GATHER_MS = 1_500;
/** After a hub died: until rooms that nobody has claimed are left, ms. */
const ORPHANS_MS = 3_000;
/** Until the next tab is asked for a token, ms. */
const TOKEN_MS = 10_000;
const FAREWELL_MS = 1_000;
/** As the socket of a client. */
const SOCKET_BUFFER_LIMIT_BYTES = 1024 * 1024;
/** Locks tell of tabs that are gone, and a hub's silence is no sign of anything; timers take no longer times. */
const NEVER_MS = 1_000_000_000;
const PROBE_REF = 0xffff_ffff;

export interface HubOptions {
  readonly platform: TabsPlatform;
  readonly environment: Environment;
  /** The class for the next connection to the gateway. */
  readonly socketClass: () => WebSocketClass;
  readonly acceptTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly offlineQueueLimitBytes: number;
  readonly agent: string;
  readonly name: string;
  readonly url: string;
  /** The tab in whose page this is. */
  readonly home: HubCallsPort['home'];
  /** The lock was taken away from another hub, which hung. */
  readonly isUsurper: boolean;
  onStop(): void;
}

export class Hub {
  readonly #id = crypto.randomUUID();
  readonly #since: number;
  readonly #options: HubOptions;
  readonly #ofPage: Environment;
  /** What comes from outside. */
  readonly #turns = new Turns(() => {
    this.stop();
  });
  readonly #tabs = new Map<string, HubTab>();
  readonly #rooms = new HubRooms(() => this.#tabs.values());
  readonly #offers = new HubOffers(() => this.#tabs.values());
  readonly #streams = new Map<StreamId, HubTab>();
  #calls: HubCalls | null = null;
  #common: ChannelLike | null = null;
  #connection: Connection | null = null;
  #isUp = false;
  #isStopped = false;
  #isLeaving = false;
  #isDialling = false;
  /** Tabs of an earlier hub that have not come yet; null when it is over. */
  #awaited: Set<string> | null = new Set();
  /** Which tabs there are is not known yet. */
  #isCounting = true;
  /** The browser's name for this page; the client may leave it before the hub does. */
  #page: string | undefined;
  #welcome: Welcome | null = null;
  #tokenUntil = 0;
  readonly #succession = new Succession();
  #cancelGather: (() => void) | null = null;
  #cancelDeadline: () => void = () => {};
  #cancelOrphans: () => void = () => {};
  #cancelToken: () => void = () => {};

  constructor(options: HubOptions) {
    const { environment } = options;
    this.#options = {
      ...options,
      environment: {
        ...environment,
        after: (ms, run) =>
          environment.after(ms, () => {
            this.#turns.run(run);
          }),
      },
    };
    this.#ofPage = environment;
    this.#since = environment.now();
  }

  open(): void {
    const { platform, name, home } = this.#options;
    this.#common = platform.channel(name);
    this.#common.onmessage = ({ data }) => {
      this.#turns.run(() => {
        const message = data as CommonMessage;
        if (message[0] === 'who') this.#announce();
        else if (message[0] === 'hub') this.#heard([message[1], message[2]]);
        else if (message[1] === this.#id) this.#meet(message[2], message[3]);
      });
    };
    const counted = (locks: readonly HeldLock[]): void => {
      const prefix = lockOfTab(name, '');
      this.#page = holderOf(locks, lockOfTab(name, home.id));
      for (const { name: held = '' } of locks)
        if (held.startsWith(prefix)) this.#awaited?.add(held.slice(prefix.length));
      for (const { id, hello } of this.#tabs.values()) if (hello !== null) this.#awaited?.delete(id);
      this.#isCounting = false;
      this.#turns.run(() => {
        this.#advance();
      });
    };
    platform.held().then(counted, () => {
      counted([]);
    });
    this.#announce();
  }

  #announce(): void {
    if (this.#isStopped || this.#isLeaving) return;
    const message: CommonMessage = ['hub', this.#id, this.#since];
    this.#common?.postMessage(message);
  }

  /** Another hub of the session: this one hung, and its lock was taken away, or the other one did. */
  #heard(other: readonly [id: string, since: number]): void {
    if (isNewer(other, [this.#id, this.#since])) this.stop();
    else this.#announce();
  }

  /** The client of this page is closed. */
  forsake(): void {
    if (this.#tabs.size === 0) this.stop();
  }

  /** The session goes on at another hub, or is over. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#clearTimers();
    this.#isUp = false;
    this.#connection?.drop();
    this.#connection = null;
    for (const tab of this.#tabs.values()) {
      tab.close(1006);
      tab.dispose();
    }
    this.#tabs.clear();
    this.#calls?.close();
    this.#common?.close();
    this.#options.onStop();
  }

  #clearTimers(): void {
    this.#cancelGather?.();
    this.#cancelDeadline();
    this.#cancelOrphans();
    this.#cancelToken();
  }

  // ── tabs ──────────────────────────────────────────────────────────────────────────────────────

  #meet(channel: string, id: string): void {
    if (this.#isStopped || this.#isLeaving) return;
    let tab = this.#tabs.get(id);
    if (tab === undefined) {
      tab = new HubTab(id, (full) => {
        this.#detach(full, CODES.slow_consumer.close);
      });
      this.#tabs.set(id, tab);
      this.#watch(tab);
    }
    const known = tab;
    // Where it asks again it has not heard the answer.
    if (tab.isAt(channel)) return tab.post(['there']);
    tab.connect(
      channel,
      this.#options.platform.channel(channel),
      (message) => {
        this.#turns.run(() => {
          this.#take(known, message);
        });
      },
      () => {
        this.#turns.run(() => {
          // What came behind it would be written before it.
          this.#detach(known, 1006);
        });
      },
    );
    tab.cancelExpiry();
    this.#calls?.detached(tab);
    tab.post(['there']);
  }

  /** Its lock is free when it is gone, by whatever way. */
  #watch(tab: HubTab): void {
    const { platform, name } = this.#options;
    const waiting = new AbortController();
    tab.stopWatching = () => {
      waiting.abort();
    };
    platform.hold(lockOfTab(name, tab.id), { signal: waiting.signal }).then(
      (release) => {
        release();
        this.#turns.run(() => {
          if (this.#tabs.get(tab.id) === tab) this.#depart(tab);
        });
      },
      () => {},
    );
  }

  #take(tab: HubTab, message: ToHub): void {
    switch (message[0]) {
      case 'enter': {
        const [, token, notes, notesOf, brought, isBehind] = message;
        Object.assign(tab, { token, notes, notesOf, isBehind });
        if (this.#awaited !== null) for (const room of brought) this.#rooms.brought.add(room as RoomName);
        return;
      }
      case 'frame':
        return this.#frame(tab, message[1], message[2]);
      case 'kept':
        return this.#calls?.noted(tab, message[1]);
      case 'leave':
        return this.#left(tab);
      case 'ping':
        return tab.post(['pong']);
      case 'read':
        return;
      default:
        message satisfies never;
    }
  }

  #frame(tab: HubTab, at: number, bytes: Uint8Array): void {
    let frame: ClientFrame;
    try {
      frame = msgpackCodec.decodeClient(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) return this.#detach(tab, 1011);
      // As the gateway does: undecodable bytes end the connection, a wrong field only its call.
      if (error.code === 'bad_frame' || !tab.isAttached) return this.#detach(tab, 4500);
      const { code, ref, message: text } = error;
      if (ref > 0) tab.write({ type: 'error', ref, code, text, expected: null });
      return tab.post(['took', at]);
    }
    if (frame.type === 'hello') {
      tab.hello = frame;
      tab.places.clear();
      for (const [channel, place] of frame.resume?.cursors ?? []) tab.places.set(channel, place);
      this.#awaited?.delete(tab.id);
      tab.post(['took', at]);
      // Another session, or none, was about to be asked for: this one brings what can be gone on with.
      if (this.#awaited === null && this.#welcome === null && this.#succession.learn(frame)) this.#abandon();
      return this.#advance();
    }
    if (frame.type === 'bye') return this.#bye(tab);
    if (!tab.isAttached || !this.#isUp) return;
    try {
      if ((frame.type === 'send' || frame.type === 'publish') && frame.seq)
        return this.#calls?.message(tab, at, frame, frame.seq);
      this.#pass(tab, at, frame);
    } catch (error) {
      // It cannot be written, as where it is too large.
      const code = error instanceof ProtocolError ? error.code : 'internal_error';
      if ('ref' in frame && frame.ref > 0)
        tab.write({ type: 'error', ref: frame.ref, code, text: code, expected: null });
    }
    tab.post(['took', at]);
  }

  /** The connection of a tab is over; the tab is not. */
  #left(tab: HubTab): void {
    tab.disconnect();
    this.#calls?.detached(tab);
    this.#expire(tab);
    const isWanted = [...this.#tabs.values()].some(({ hello }) => hello !== null);
    if (!this.#isUp && !isWanted) this.#abandon();
  }

  /** It does not read, or not note: it gets what it missed when it is back. */
  #detach(tab: HubTab, code: number): void {
    // First what it must not keep.
    this.#calls?.detached(tab);
    tab.close(code);
    this.#left(tab);
  }

  #expire(tab: HubTab): void {
    tab.cancelExpiry();
    const ms = this.#welcome?.resumeWindowMs ?? this.#options.connectTimeoutMs;
    tab.cancelExpiry = this.#options.environment.after(ms, () => {
      if (!tab.isAttached && tab.hello === null) this.#depart(tab);
    });
  }

  #bye(tab: HubTab): void {
    if (this.#tabs.size === 1 && this.#isUp) return this.#farewell(tab);
    tab.close(1000);
    this.#depart(tab);
  }

  /** The last one ends the session: it is told when the gateway knows. */
  #farewell(tab: HubTab): void {
    const connection = this.#connection;
    if (connection === null) return this.#depart(tab);
    this.#isLeaving = true;
    connection.write({ type: 'bye' });
    const end = (): void => {
      cancel();
      tab.close(1000);
      this.stop();
    };
    const cancel = this.#options.environment.after(FAREWELL_MS, end);
    void connection.ended.then(end);
  }

  /** For good. */
  #depart(tab: HubTab): void {
    tab.isGone = true;
    this.#tabs.delete(tab.id);
    this.#awaited?.delete(tab.id);
    this.#clearOut(tab);
    this.#calls?.gone(tab);
    tab.dispose();
    if (this.#tabs.size === 0) {
      this.#write({ type: 'bye' });
      this.stop();
    } else this.#advance();
  }

  // ── the connection ────────────────────────────────────────────────────────────────────────────

  #advance(): void {
    if (this.#isStopped) return;
    if (this.#awaited !== null) {
      const waiting = [...this.#tabs.values()].filter(({ hello }) => hello !== null);
      if (waiting.length === 0) return;
      if (this.#awaited.size === 0 && !this.#isCounting) return this.#gathered();
      this.#cancelGather ??= this.#options.environment.after(GATHER_MS, () => {
        this.#cancelGather = null;
        this.#gathered();
      });
      return;
    }
    if (this.#isUp) {
      for (const tab of this.#tabs.values()) if (tab.hello !== null) this.#greet(tab, tab.hello);
    } else if (this.#connection === null) this.#dialIfHub();
  }

  /**
   * A page that was frozen may hear last of all that its lock was taken away. Its connection would take the session from the hub of now,
   * and the numbers that it goes on with are below those of that one: the gateway would say that it has them.
   */
  #dialIfHub(): void {
    if (this.#isDialling) return;
    this.#isDialling = true;
    const { platform, name, home } = this.#options;
    const dial = (locks: readonly HeldLock[]): void => {
      this.#turns.run(() => {
        this.#isDialling = false;
        if (this.#isStopped || this.#connection !== null) return;
        const page = holderOf(locks, lockOfTab(name, home.id)) ?? this.#page;
        if (holderOf(locks, name) !== page) return this.stop();
        this.#dial();
      });
    };
    platform.held().then(dial, () => {
      dial([]);
    });
  }

  /** All tabs of an earlier hub are here, or long enough was waited for them. */
  #gathered(): void {
    this.#cancelGather?.();
    this.#cancelGather = null;
    const hellos = [...this.#tabs.values()].flatMap(({ hello }) => hello ?? []);
    // Whoever came is gone again; the next one begins the wait anew.
    if (this.#awaited === null || hellos.length === 0) return;
    this.#awaited = null;
    for (const hello of hellos) this.#succession.learn(hello);
    this.#advance();
  }

  /** Goes on with the numbers and the notes of the session that is there. */
  #begin(): void {
    const { resume, first } = this.#succession;
    const { acceptTimeoutMs, offlineQueueLimitBytes, environment, home } = this.#options;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters have a `this` of their own
    const hub = this;
    this.#calls = new HubCalls(
      {
        id: this.#id,
        acceptTimeoutMs,
        offlineQueueLimitBytes,
        environment,
        home,
        get open() {
          return hub.#isUp;
        },
        get congested() {
          return (hub.#connection?.bufferedBytes ?? 0) > SOCKET_BUFFER_LIMIT_BYTES;
        },
        write: (frame) => {
          hub.#connection?.write(frame);
        },
        onFrozen: (tab) => {
          hub.#detach(tab, CODES.slow_consumer.close);
        },
        onAnswer: (...answer) => {
          hub.#answered(...answer);
        },
      },
      first,
    );
    const { isUsurper } = this.#options;
    for (const tab of this.#tabs.values()) {
      // The hub that hung may have gone on for a moment, unheard.
      tab.isBehind ||= isUsurper || tab.hello === null || !this.#succession.wasThere(tab.hello);
      if (tab.notesOf === resume?.session) this.#calls.adopt(tab);
    }
    this.#calls.adopted();
  }

  #dial(): void {
    const waiting = [...this.#tabs.values()].filter(({ hello }) => hello !== null);
    const [first] = waiting;
    if (first === undefined) return;
    const { url, socketClass, environment, agent, connectTimeoutMs } = this.#options;
    const { resume } = this.#succession;
    // Whoever is not back yet is where it was, unless it is frozen: then it comes later, and begins again.
    const readers = [...this.#tabs.values()].filter(
      ({ hello }) => hello === null || hello.resume?.session === resume?.session,
    );
    const cursors = resume === null ? [] : this.#rooms.cursors(readers);
    const hello = msgpackCodec.encodeClient({
      type: 'hello',
      version: PROTOCOL_VERSION,
      token: null,
      resume: resume && { session: resume.session, key: resume.key, cursors },
      agent,
    });
    const current = (): boolean => this.#connection === connection;
    let connection: Connection | null = null;
    try {
      const SocketClass = socketClass();
      const socket = new SocketClass(url, offerSubprotocols('msgpack', first.token, hello));
      const drop = socket.terminate?.bind(socket);
      socket.terminate = () => {
        socket.close(DROPPED);
        drop?.();
      };
      connection = new Connection(
        socket,
        msgpackCodec,
        hello,
        {
          onFrame: (frame) => {
            this.#turns.run(() => {
              if (!current()) return;
              if (frame.type === 'welcome') this.#welcomed(frame.info, cursors);
              else if (this.#isUp || frame.type === 'goaway') this.#deliver(frame);
            });
          },
          // What cannot be read no tab can read either.
          onError: () => {},
          onUnknown: (data) => {
            this.#turns.run(() => {
              if (current() && typeof data === 'object') this.#toAll(new Uint8Array(data));
            });
          },
          onClose: (close) => {
            this.#turns.run(() => {
              // Only another hub can have this session's key: one of the two hears of it in a moment, and no tab must end for it.
              if (current()) this.#lost(close === CODES.superseded.close ? 1006 : close, first);
            });
          },
        },
        this.#ofPage,
      );
    } catch {
      return this.#lost(1006, first);
    }
    this.#connection = connection;
    this.#cancelDeadline = environment.after(connectTimeoutMs, () => {
      this.#lost(1006, first);
    });
  }

  #welcomed(info: Welcome, cursors: Parameters<HubRooms['begin']>[1]): void {
    this.#cancelDeadline();
    this.#connection?.watch(2 * info.pingIntervalMs, info.frameLimitBytes);
    const isResumed = info.resumed;
    const isTakenOver = isResumed && this.#welcome === null;
    this.#succession.welcomed(info, this.#options.environment.now(), this.#welcome === null);
    // Not before: until now tabs could come with their notes.
    if (this.#calls === null) this.#begin();
    if (!isResumed) {
      this.#streams.clear();
      this.#offers.clear();
      this.#rooms.brought.clear();
      for (const tab of this.#tabs.values()) tab.reset();
    }
    this.#welcome = info;
    this.#tokenUntil = this.#options.environment.now() + info.tokenExpiresInMs;
    this.#rooms.begin(info.rooms, isResumed ? cursors : [], info.inbox);
    this.#isUp = true;
    this.#calls?.welcomed(isResumed, this.#succession.first);
    this.#advance();
    this.#calls?.flush();
    if (isTakenOver)
      this.#cancelOrphans = this.#options.environment.after(ORPHANS_MS, () => {
        for (const room of this.#rooms.orphans()) this.#leave(room);
      });
  }

  /** Tells a tab that it is connected, and where the session stands. */
  #greet(tab: HubTab, hello: HelloFrame): void {
    const { environment } = this.#options;
    const info = this.#welcome;
    if (info === null) return;
    tab.hello = null;
    const resumed = hello.resume?.session === info.session;
    if (!resumed) this.#beginAnew(tab);
    tab.watched.clear();
    tab.rooms.clear();
    const { missed, again, isBehind } = this.#rooms.enter(tab);
    if (isBehind) {
      // What it missed can only be had from where a connection begins.
      tab.hello = hello;
      return this.#lost(1001, tab);
    }
    if (!resumed && this.#rooms.inbox !== undefined) tab.places.set(null, this.#rooms.inbox);
    if (resumed) this.#calls?.giveUp(tab);
    tab.notes = [];
    tab.isAttached = true;
    tab.post(['session', info.session, resumed]);
    const inbox = resumed ? info.inbox : this.#rooms.inbox;
    tab.write({
      type: 'welcome',
      info: {
        ...info,
        ...(inbox === undefined ? {} : { inbox }),
        resumed,
        resumeKey: this.#succession.key,
        rooms: [...tab.rooms, ...this.#rooms.brought],
        pingIntervalMs: NEVER_MS,
        tokenExpiresInMs: Math.max(0, this.#tokenUntil - environment.now()),
      },
    });
    tab.post(['brought', [...this.#rooms.brought]]);
    for (const bytes of missed) tab.put(bytes);
    for (const [room, place] of again) {
      const since = this.#rooms.joining(tab, { type: 'join', ref: 0, room, since: place ?? HISTORY_LIMIT });
      if (this.#calls !== null) this.#write(this.#calls.call(null, 0, { type: 'join', ref: 0, room, since }));
    }
    this.#calls?.flush();
  }

  /** Its client was closed without a farewell, and numbers and counts from the start again. */
  #beginAnew(tab: HubTab): void {
    this.#clearOut(tab);
    this.#calls?.beginAnew(tab);
    tab.reset();
  }

  /** Nobody is there any more for what it was in and had open. */
  #clearOut(tab: HubTab): void {
    for (const room of [...tab.rooms]) if (this.#rooms.leave(tab, room)) this.#leave(room);
    for (const [stream, owner] of this.#streams)
      if (owner === tab) {
        this.#streams.delete(stream);
        this.#write({ type: 'cut', stream, to: null, code: 'aborted', text: '' });
      }
  }

  #leave(room: RoomName): void {
    if (this.#isUp && this.#calls !== null)
      this.#write(this.#calls.call(null, 0, { type: 'leave', ref: 0, room }));
  }

  /** Nobody waits for it any more. */
  #abandon(): void {
    this.#cancelDeadline();
    this.#connection?.drop();
    this.#connection = null;
  }

  /** The connection, or a try to get one, ended: every tab comes back by itself, and the first of them has it made anew. */
  #lost(close: number, asker: HubTab): void {
    const wasUp = this.#isUp;
    this.#abandon();
    this.#cancelToken();
    this.#cancelOrphans();
    this.#isUp = false;
    if (this.#isLeaving) return;
    if (wasUp) this.#calls?.lost();
    else if (!comesBack(close) && this.#tabs.size > 1) {
      // Another tab may have a better token.
      asker.close(close);
      return this.#depart(asker);
    }
    if (!comesBack(close)) this.#succession.forget();
    for (const tab of this.#tabs.values()) {
      if (!tab.isAttached && tab.hello === null) continue;
      tab.close(close);
      this.#expire(tab);
    }
  }

  #write(frame: ClientFrame): void {
    if (this.#isUp) this.#connection?.write(frame);
  }

  // ── frames of tabs ────────────────────────────────────────────────────────────────────────────

  #pass(tab: HubTab, at: number, frame: ClientFrame): void {
    const calls = this.#calls;
    if (calls === null) return;
    switch (frame.type) {
      case 'join': {
        const since = this.#rooms.joining(tab, frame);
        return this.#write(calls.call(tab, at, { ...frame, since }));
      }
      case 'leave':
        if (this.#rooms.leave(tab, frame.room)) break;
        return tab.write({ type: 'ok', ref: frame.ref, result: true });
      case 'leaveAll':
        for (const room of [...tab.rooms]) if (this.#rooms.leave(tab, room)) this.#leave(room);
        return tab.write({ type: 'ok', ref: frame.ref, result: null });
      case 'watch':
        if (frame.on) tab.watched.add(frame.room);
        else tab.watched.delete(frame.room);
        if (frame.on || !this.#rooms.isWatched(frame.room)) break;
        return tab.write({ type: 'ok', ref: frame.ref, result: null });
      case 'token':
        this.#cancelToken();
        break;
      case 'confirm': {
        const seq = calls.numberOf(tab, frame.to.replace(/#.*/, ''), frame.seq);
        if (seq) this.#write({ ...frame, seq });
        return;
      }
      case 'ack':
        if (this.#welcome !== null) this.#welcome = { ...this.#welcome, kept: null };
        break;
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
        if (frame.ref === PROBE_REF) return this.#connection?.probe(calls.call(tab, at, frame));
        break;
      default:
    }
    this.#write('ref' in frame ? calls.call(tab, at, frame) : frame);
  }

  #answered(tab: HubTab | null, frame: CallingFrame, answer: GatewayFrame): void {
    if (tab === null) return;
    if (frame.type === 'join') {
      if (answer.type === 'ok') this.#rooms.joined(tab, frame.room, answer.result);
      else if (!tab.places.has(frame.room)) this.#rooms.leave(tab, frame.room);
    }
    if (frame.type === 'token' && answer.type === 'ok') {
      const { result } = answer;
      tab.token = frame.token;
      if (typeof result === 'object' && result !== null && 'expiresInMs' in result)
        this.#tokenUntil = this.#options.environment.now() + Number(result.expiresInMs);
    }
  }

  // ── frames of the gateway ─────────────────────────────────────────────────────────────────────

  #deliver(frame: Exclude<GatewayFrame, { type: 'welcome' }>): void {
    switch (frame.type) {
      case 'ok':
      case 'error':
      case 'response':
        return this.#calls?.answer(frame);
      case 'delivered':
        return this.#calls?.delivered(frame);
      case 'doubt':
        return this.#calls?.doubt();
      case 'message':
        return this.#read(null, frame);
      case 'roomMessage':
        return this.#read(frame.room, frame);
      case 'gap':
        return this.#read(frame.channel, frame);
      case 'position':
        if (frame.channel !== null && this.#rooms.bring(frame.channel))
          for (const tab of this.#attached) tab.post(['brought', [...this.#rooms.brought]]);
        return this.#read(frame.channel, frame);
      case 'presence':
        return this.#to(
          this.#attached.filter(({ watched }) => watched.has(frame.room)),
          frame,
        );
      case 'expiring':
        return this.#askForToken(this.#attached, this.#options.environment.now() + frame.inMs);
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
        return this.#to(tab?.isAttached ? [tab] : [], frame);
      }
      case 'ping':
        return;
      case 'iceServers':
        if (this.#welcome !== null) this.#welcome = { ...this.#welcome, iceServers: frame.servers };
        return this.#to(this.#attached, frame);
      default:
        // Of all tabs: who it does not concern takes no notice.
        return this.#to(this.#attached, frame);
    }
  }

  get #attached(): HubTab[] {
    return [...this.#tabs.values()].filter(({ isAttached }) => isAttached);
  }

  /** To those who read the channel and have not got it. */
  #read(channel: RoomName | null, frame: Extract<GatewayFrame, { id: EntryId | null }>): void {
    const readers = channel === null ? this.#attached : this.#rooms.readers(channel);
    const bytes = bytesOf(frame);
    if (frame.id !== null || frame.type === 'gap') this.#rooms.keep(channel, frame.id, bytes);
    for (const tab of this.#rooms.pass(channel, frame.id, readers)) tab.put(bytes);
  }

  /** One tab after the other, until one gives a token. */
  #askForToken([tab, ...others]: HubTab[], until: number): void {
    const { environment } = this.#options;
    if (tab === undefined) return;
    if (tab.isAttached) tab.write({ type: 'expiring', inMs: Math.max(0, until - environment.now()) });
    this.#cancelToken = environment.after(TOKEN_MS, () => {
      this.#askForToken(others, until);
    });
  }

  #to(tabs: readonly HubTab[], frame: GatewayFrame): void {
    if (tabs.length === 0) return;
    const bytes = bytesOf(frame);
    for (const tab of tabs) tab.put(bytes);
  }

  #toAll(bytes: Uint8Array): void {
    for (const tab of this.#attached) tab.put(bytes);
  }
}

function holderOf(locks: readonly HeldLock[], wanted: string): string | undefined {
  return locks.find(({ name }) => name === wanted)?.clientId;
}
