// The session that a hub has for its tabs: goes on with the one that they bring, over one connection, and greets each tab that comes to it.
import { CODES, comesBack } from '../../protocol/codes.js';
import type { ClientFrame, Cursor, GatewayFrame, HelloFrame, Welcome } from '../../protocol/frame.js';
import type { RoomName } from '../../protocol/ids.js';
import type { Environment } from '../environment.js';
import type { WebSocketClass } from '../websocket-class.js';
import { Gathering } from './gathering.js';
import { HubCalls, type HubCallsPort } from './hub-calls.js';
import { HubConnection } from './hub-connection.js';
import type { HubTab } from './hub-tab.js';
import { HubTraffic, type Standing } from './hub-traffic.js';
import { type HeldLock, holderOf, type TabsPlatform } from './platform.js';
import { Succession } from './succession.js';
import { lockOfTab } from './tab-messages.js';

/** After a hub died: until rooms that nobody has claimed are left, ms. */
const ORPHANS_MS = 3_000;
const FAREWELL_MS = 1_000;

export interface HubSessionOptions {
  readonly platform: TabsPlatform;
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
}

export interface HubSessionPort {
  /** The hub's. */
  readonly id: string;
  readonly tabs: ReadonlyMap<string, HubTab>;
  /** Whose timers are turns of the hub. */
  readonly environment: Environment;
  /** Of what is beneath. */
  readonly ofPage: Environment;
  turn(run: () => void): void;
  detach(tab: HubTab, code: number): void;
  /** Its connection is over: it may come back. */
  expire(tab: HubTab): void;
  depart(tab: HubTab): void;
  stop(): void;
}

export class HubSession {
  readonly #options: HubSessionOptions;
  readonly #port: HubSessionPort;
  readonly #traffic: HubTraffic;
  readonly #gathering: Gathering;
  readonly #succession = new Succession();
  readonly #standing: Standing = { welcome: null, tokenUntil: 0 };
  #connection: HubConnection | null = null;
  #isUp = false;
  #isOver = false;
  #isLeaving = false;
  #isDialling = false;
  /** The browser's name for this page; the client may leave it before the hub does. */
  #page: string | undefined;
  #cancelOrphans: () => void = () => {};

  constructor(options: HubSessionOptions, port: HubSessionPort) {
    this.#options = options;
    this.#port = port;
    const { tabs, environment } = port;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters have a `this` of their own
    const session = this;
    this.#gathering = new Gathering(environment, () => {
      this.#gathered();
    });
    this.#traffic = new HubTraffic({
      tabs,
      environment,
      standing: this.#standing,
      get isUp() {
        return session.#isUp;
      },
      write: (frame) => {
        this.#write(frame);
      },
      probe: (question) => this.#connection?.probe(question),
    });
  }

  /** Null until the session has begun. */
  get calls(): HubCalls | null {
    return this.#traffic.calls;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** The last tab ends it. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** How long a tab that is away keeps its place, ms. */
  get patienceMs(): number {
    return this.#standing.welcome?.resumeWindowMs ?? this.#options.connectTimeoutMs;
  }

  // ── tabs ──────────────────────────────────────────────────────────────────────────────────────

  /** These locks are held: so many tabs are there. */
  counted(locks: readonly HeldLock[]): void {
    const { name, home } = this.#options;
    const prefix = lockOfTab(name, '');
    this.#page = holderOf(locks, lockOfTab(name, home.id));
    const held = locks.flatMap(({ name: lock = '' }) =>
      lock.startsWith(prefix) ? [lock.slice(prefix.length)] : [],
    );
    this.#gathering.counted(held);
    for (const { id, hello } of this.#port.tabs.values()) if (hello !== null) this.#gathering.came(id);
    this.#port.turn(() => {
      this.advance();
    });
  }

  /** A tab has come, with rooms that a server brought the session into. */
  entered(brought: readonly string[]): void {
    if (this.#gathering.isOver) return;
    for (const room of brought) this.#traffic.rooms.brought.add(room as RoomName);
  }

  /** It wants to be greeted. */
  asked(tab: HubTab, hello: HelloFrame): void {
    this.#gathering.came(tab.id);
    const isAskedFor = this.#gathering.isOver && this.#standing.welcome === null;
    // Another session, or none, was about to be asked for: this one brings what can be gone on with.
    if (isAskedFor && this.#succession.learn(hello)) this.#abandon();
    this.advance();
  }

  /** @throws ProtocolError where the frame cannot be written */
  pass(tab: HubTab, at: number, frame: ClientFrame): void {
    this.#traffic.pass(tab, at, frame);
  }

  /** The connection of a tab is over; the tab is not. */
  left(tab: HubTab): void {
    this.calls?.detached(tab);
    const isWanted = [...this.#port.tabs.values()].some(({ hello }) => hello !== null);
    if (!this.#isUp && !isWanted) this.#abandon();
  }

  /** It is gone for good. */
  departed(tab: HubTab): void {
    this.#gathering.came(tab.id);
    this.#traffic.clearOut(tab);
    this.calls?.gone(tab);
  }

  /** Whoever can be greeted is; where nobody waits any more for those that are not here, the gateway is dialled. */
  advance(): void {
    if (this.#isOver) return;
    if (!this.#gathering.isOver) {
      if (this.#waiting.length === 0) return;
      if (this.#gathering.isComplete) return this.#gathered();
      return this.#gathering.limit();
    }
    if (this.#isUp) {
      for (const tab of this.#waiting)
        if (!this.#traffic.greet(tab, this.#succession.key)) return this.#lost(1001, tab);
    } else if (this.#connection === null) this.#dialIfHub();
  }

  /** No tab is left. */
  end(): void {
    this.#write({ type: 'bye' });
  }

  /** The last tab says goodbye. @returns what resolves when the gateway knows, or a second later; null where there is no connection */
  farewell(): Promise<void> | null {
    const connection = this.#connection;
    if (connection === null) return null;
    this.#isLeaving = true;
    connection.write({ type: 'bye' });
    return new Promise((resolve) => {
      const cancel = this.#port.environment.after(FAREWELL_MS, resolve);
      void connection.ended.then(() => {
        cancel();
        resolve();
      });
    });
  }

  close(): void {
    this.#isOver = true;
    this.#gathering.unlimit();
    this.#cancelOrphans();
    this.#traffic.lost();
    this.#isUp = false;
    this.#abandon();
  }

  // ── the connection ────────────────────────────────────────────────────────────────────────────

  get #waiting(): HubTab[] {
    return [...this.#port.tabs.values()].filter(({ hello }) => hello !== null);
  }

  /** All tabs of an earlier hub are here, or long enough was waited for them. */
  #gathered(): void {
    this.#gathering.unlimit();
    const hellos = this.#waiting.flatMap(({ hello }) => hello ?? []);
    if (this.#gathering.isOver || hellos.length === 0) return;
    this.#gathering.end();
    for (const hello of hellos) this.#succession.learn(hello);
    this.advance();
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
      this.#port.turn(() => {
        this.#isDialling = false;
        if (this.#isOver || this.#connection !== null) return;
        const page = holderOf(locks, lockOfTab(name, home.id)) ?? this.#page;
        if (holderOf(locks, name) !== page) return this.#port.stop();
        this.#dial();
      });
    };
    platform.held().then(dial, () => {
      dial([]);
    });
  }

  #dial(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const { url, socketClass, agent, connectTimeoutMs } = this.#options;
    const { environment, ofPage } = this.#port;
    const { resume } = this.#succession;
    // Whoever is not back yet is where it was, unless it is frozen: then it comes later, and begins again.
    const readers = [...this.#port.tabs.values()].filter(
      ({ hello }) => hello === null || hello.resume?.session === resume?.session,
    );
    const cursors = resume === null ? [] : this.#traffic.rooms.cursors(readers);
    try {
      this.#connection = new HubConnection(socketClass(), {
        url,
        token: first.token,
        agent,
        resume: resume && { session: resume.session, key: resume.key, cursors },
        connectTimeoutMs,
        environment,
        ofPage,
        turn: (run) => {
          this.#port.turn(run);
        },
        onFrame: (frame) => {
          this.#receive(frame, cursors);
        },
        onUnknown: (bytes) => {
          this.#traffic.deliverUnknown(bytes);
        },
        onEnd: (close) => {
          // Only another hub can have this session's key: one of the two hears of it in a moment, and no tab must end for it.
          this.#lost(close === CODES.superseded.close ? 1006 : close, first);
        },
      });
    } catch {
      this.#lost(1006, first);
    }
  }

  #receive(frame: GatewayFrame, cursors: readonly Cursor[]): void {
    if (frame.type === 'welcome') this.#welcomed(frame.info, cursors);
    else if (this.#isUp || frame.type === 'goaway') this.#traffic.deliver(frame);
  }

  #welcomed(info: Welcome, cursors: readonly Cursor[]): void {
    const { environment, tabs } = this.#port;
    const standing = this.#standing;
    this.#connection?.welcomed(info.pingIntervalMs, info.frameLimitBytes);
    const isResumed = info.resumed;
    const isTakenOver = isResumed && standing.welcome === null;
    this.#succession.welcomed(info, environment.now(), standing.welcome === null);
    // Not before: until now tabs could come with their notes.
    this.#traffic.calls ??= this.#begin();
    if (!isResumed) {
      this.#traffic.reset();
      for (const tab of tabs.values()) tab.reset();
    }
    standing.welcome = info;
    standing.tokenUntil = environment.now() + info.tokenExpiresInMs;
    this.#traffic.rooms.begin(info.rooms, isResumed ? cursors : [], info.inbox);
    this.#isUp = true;
    this.calls?.welcomed(isResumed, this.#succession.first);
    this.advance();
    this.calls?.flush();
    if (isTakenOver)
      this.#cancelOrphans = environment.after(ORPHANS_MS, () => {
        this.#traffic.leaveOrphans();
      });
  }

  /** Goes on with the numbers and the notes of the session that is there. */
  #begin(): HubCalls {
    const { resume, first } = this.#succession;
    const { acceptTimeoutMs, offlineQueueLimitBytes, home, isUsurper } = this.#options;
    const { id, environment, tabs } = this.#port;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters have a `this` of their own
    const session = this;
    const calls = new HubCalls(
      {
        id,
        acceptTimeoutMs,
        offlineQueueLimitBytes,
        environment,
        home,
        get open() {
          return session.#isUp;
        },
        get congested() {
          return session.#connection?.isCongested ?? false;
        },
        write: (frame) => {
          session.#connection?.write(frame);
        },
        onFrozen: (tab) => {
          session.#port.detach(tab, CODES.slow_consumer.close);
        },
        onAnswer: (...answer) => {
          session.#traffic.answered(...answer);
        },
      },
      first,
    );
    for (const tab of tabs.values()) {
      // The hub that hung may have gone on for a moment, unheard.
      tab.isBehind ||= isUsurper || tab.hello === null || !this.#succession.wasThere(tab.hello);
      if (tab.notesOf === resume?.session) calls.adopt(tab);
    }
    calls.adopted();
    return calls;
  }

  /** Nobody waits for it any more. */
  #abandon(): void {
    this.#connection?.drop();
    this.#connection = null;
  }

  /** The connection, or a try to get one, ended: every tab comes back by itself, and the first of them has it made anew. */
  #lost(close: number, asker: HubTab): void {
    const { tabs } = this.#port;
    const wasUp = this.#isUp;
    this.#abandon();
    this.#traffic.lost();
    this.#cancelOrphans();
    this.#isUp = false;
    if (this.#isLeaving) return;
    if (wasUp) this.calls?.lost();
    else if (!comesBack(close) && tabs.size > 1) {
      // Another tab may have a better token.
      asker.close(close);
      return this.#port.depart(asker);
    }
    if (!comesBack(close)) this.#succession.forget();
    for (const tab of tabs.values()) {
      if (!tab.isAttached && tab.hello === null) continue;
      tab.close(close);
      this.#port.expire(tab);
    }
  }

  #write(frame: ClientFrame): void {
    if (this.#isUp) this.#connection?.write(frame);
  }
}
