// Tabs of one browser, played in one process: channels and locks by the rules of the web, and crashes at any moment.
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import { type Environment, REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { type ClientOptions, settingsOf } from '../../../src/client/options.js';
import type { ChannelLike, HeldLock, TabsPlatform } from '../../../src/client/tabs/platform.js';
import type { WebSocketClass } from '../../../src/client/websocket-class.js';
import type { WorkerLink } from '../../../src/client/tabs/hub-place.js';
import { HubWorker } from '../../../src/client/tabs/hub-worker.js';
import { shared } from '../../../src/client/tabs/tabs.js';

type HoldOptions = Parameters<TabsPlatform['hold']>[1];

/** Ends a script as a browser does. */
const STOPPED = new Error('stopped');

type TestChannel = ChannelLike & { readonly owner: TestPlace };

interface Lock {
  readonly name: string;
  readonly owner: TestPlace;
  readonly grant: () => void;
  readonly onStolen: (() => void) | undefined;
}

/** What comes by one way keeps its order; all channels of a page are one. */
type Way = 'channels' | 'locks' | 'ports' | 'timers' | 'sockets' | 'script';

interface Delayed {
  readonly way: Way;
  readonly run: () => void;
}

/** One browser profile: what its tabs have in common. */
export class TestBrowserProfile {
  readonly #held = new Map<string, Lock>();
  readonly #waiting: Lock[] = [];
  /** As of a user who blocks storage. */
  refusesLocks = false;
  readonly #channels = new Map<string, Set<TestChannel>>();
  readonly tabs: TestTab[] = [];
  /** Tabs and workers. */
  readonly places: TestPlace[] = [];

  /** As of a browser that has SharedWorkers. */
  hasWorkers = false;
  /** The one that runs, or ran last: there is a new one where it is dead and a tab asks for one. */
  worker: TestWorker | null = null;

  /** @param chance delays everything that comes to a tab, and mixes what comes to one that thaws: only what comes by one way keeps its order */
  constructor(readonly chance: (() => number) | null = null) {}

  /** @param beneath clock and timers of the hub, and of what tabs say to it */
  open(url: string, options: ClientOptions, environment?: Environment, beneath?: Environment): TestTab {
    const tab = new TestTab(this, url, options, environment, beneath);
    this.tabs.push(tab);
    return tab;
  }

  async close(): Promise<void> {
    await Promise.all(this.tabs.filter(({ isDead }) => !isDead).map(({ client }) => client.close()));
    for (const tab of this.tabs) {
      tab.crash();
      void tab.client.close();
    }
    this.worker?.crash();
  }

  get locks(): HeldLock[] {
    return [...this.#held].map(([name, { owner }]) => ({
      name,
      clientId: String(this.places.indexOf(owner)),
    }));
  }

  /** Which place has the hub of the only session. */
  get hub(): TestPlace | undefined {
    return [...this.#held.values()].find(({ name }) => !/ (tab|worker) /.test(name))?.owner;
  }

  /** Where that is a tab. */
  get leader(): TestTab | undefined {
    return this.tabs.find((tab) => tab === this.hub);
  }

  channelsOf(name: string): Set<TestChannel> {
    const channels = this.#channels.get(name) ?? new Set();
    this.#channels.set(name, channels);
    return channels;
  }

  request(
    owner: TestPlace,
    name: string,
    { signal, steal, onStolen }: NonNullable<HoldOptions> = {},
  ): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (this.refusesLocks) {
        reject(new DOMException('locks are forbidden', 'SecurityError'));
        return;
      }
      const lock: Lock = {
        name,
        owner,
        onStolen,
        grant: () => {
          this.#held.set(name, lock);
          owner.hears('locks', () => {
            resolve(() => {
              this.#release(lock);
            });
          });
        },
      };
      signal?.addEventListener('abort', () => {
        const at = this.#waiting.indexOf(lock);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        reject(new DOMException('aborted', 'AbortError'));
      });
      const robbed = this.#held.get(name);
      if (robbed === undefined || steal) lock.grant();
      else this.#waiting.push(lock);
      if (steal && robbed !== undefined)
        robbed.owner.hears('locks', () => {
          robbed.onStolen?.();
        });
    });
  }

  /** All that it held or waited for. */
  drop(owner: TestPlace): void {
    for (const lock of [...this.#waiting])
      if (lock.owner === owner) this.#waiting.splice(this.#waiting.indexOf(lock), 1);
    for (const lock of [...this.#held.values()]) if (lock.owner === owner) this.#release(lock);
  }

  #release(lock: Lock): void {
    if (this.#held.get(lock.name) !== lock) return;
    this.#held.delete(lock.name);
    const next = this.#waiting.findIndex(({ name }) => name === lock.name);
    if (next >= 0) this.#waiting.splice(next, 1)[0]?.grant();
  }
}

/** Where scripts of a browser run: a tab, or a worker. */
export abstract class TestPlace {
  /** Its connections to the gateway. */
  readonly sockets: WebSocket[] = [];
  readonly #hiding = new Set<() => void>();
  #isDead = false;
  /** Nothing reaches it, as in a tab that is frozen; it comes when it is thawed. */
  #frozen: Delayed[] | null = null;
  /** On its way, by the way that it takes. */
  readonly #coming = new Map<string, (() => void)[]>();
  #isLosing = false;
  #stopsAt: string | null = null;

  constructor(readonly profile: TestBrowserProfile) {
    profile.places.push(this);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** The class of its sockets. */
  protected socketClass(): WebSocketClass {
    const { sockets } = this;
    const pauseIfFrozen = (socket: WebSocket): void => {
      if (this.#frozen !== null) socket.pause();
    };
    return class extends WebSocket {
      constructor(to: string, protocols: string[]) {
        super(to, protocols);
        sockets.push(this);
        this.once('open', () => {
          pauseIfFrozen(this);
        });
      }
    };
  }

  /** At once, with all that it has under way. */
  crash(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    for (const socket of this.sockets) {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.terminate();
    }
    this.profile.drop(this);
    // Nobody hears it: only its timers end.
    this.hide();
  }

  /** What the browser says before it puts a page away. */
  hide(): void {
    for (const run of [...this.#hiding]) run();
  }

  /** Nothing comes to it any more, also not that its locks were taken away. */
  freeze(): void {
    this.#frozen ??= [];
    for (const socket of this.sockets) if (socket.readyState === WebSocket.OPEN) socket.pause();
  }

  /** As Firefox does with the script of a page that it is about to close: it ends where it tells something of that kind, and the page goes on. */
  stopAt(kind: string): void {
    this.#stopsAt = kind;
  }

  /** The next message to it is lost. */
  loseNext(): void {
    this.#isLosing = true;
  }

  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = null;
    const { chance } = this.profile;
    const resume: Delayed = { way: 'sockets', run: this.#resumeSockets };
    if (chance === null) waiting.push(resume);
    else waiting.splice(Math.floor(chance() * (waiting.length + 1)), 0, resume);
    while (waiting.length > 0) {
      // The first of any way.
      const way = waiting[Math.floor((chance?.() ?? 0) * waiting.length)]?.way ?? 'script';
      const [next] = waiting.splice(
        waiting.findIndex((one) => one.way === way),
        1,
      );
      if (next !== undefined) this.#whenAwake(way, next.run);
    }
  }

  /** Something that its own script does; in the ice it does nothing. */
  does(run: () => void): void {
    this.#whenAwake('script', run);
  }

  get isFrozen(): boolean {
    return this.#frozen !== null;
  }

  readonly #resumeSockets = (): void => {
    for (const socket of this.sockets) if (socket.isPaused) socket.resume();
  };

  /** Something was said on one of its channels. */
  tell(channel: TestChannel, data: unknown): void {
    const isLost = this.#isLosing;
    this.#isLosing = false;
    if (!isLost) this.hears('channels', () => channel.onmessage?.({ data }));
  }

  /** Something comes to it, behind what came by the same way. */
  hears(way: Way, run: () => void): void {
    const { chance } = this.profile;
    const queue = this.#coming.get(way) ?? [];
    this.#coming.set(way, queue);
    queue.push(run);
    if (queue.length === 1) this.#deliverNext(way, queue, chance);
  }

  #deliverNext(way: Way, queue: (() => void)[], chance: (() => number) | null): void {
    const deliver = (): void => {
      const [first] = queue;
      try {
        if (first !== undefined) this.#whenAwake(way, first);
      } finally {
        // Only now: what it leads to comes behind what waits.
        queue.shift();
      }
      if (queue.length > 0) this.#deliverNext(way, queue, chance);
      else this.#coming.delete(way);
    };
    // Most come at once, some late, and a few very late.
    const luck = chance?.() ?? 0;
    if (luck < 0.9) setImmediate(deliver);
    else setTimeout(deliver, (luck < 0.99 ? 4 : 60) * (chance?.() ?? 0));
  }

  /** Timers do not run in the ice. */
  protected withFrost(environment: Environment = REAL_ENVIRONMENT): Environment {
    return {
      ...environment,
      after: (ms, run) => {
        let isCancelled = false;
        const cancel = environment.after(ms, () => {
          this.#whenAwake('timers', () => {
            if (!isCancelled) run();
          });
        });
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  #whenAwake(way: Way, run: () => void): void {
    if (this.#isDead) return;
    if (this.#frozen !== null) {
      this.#frozen.push({ way, run });
      return;
    }
    try {
      run();
    } catch (error) {
      if (error !== STOPPED) throw error;
    }
  }

  protected platform(): TabsPlatform {
    return {
      channel: (name): ChannelLike => {
        const like: TestChannel = {
          owner: this,
          onmessage: null,
          postMessage: (message) => {
            if (this.#isDead) return;
            if (this.#stopsAt !== null && Array.isArray(message) && String(message).includes(this.#stopsAt)) {
              this.#stopsAt = null;
              throw STOPPED;
            }
            for (const other of others) if (other !== like) other.owner.tell(other, structuredClone(message));
          },
          close: () => {
            like.onmessage = null;
            others.delete(like);
          },
        };
        const others = this.profile.channelsOf(name).add(like);
        return like;
      },
      hold: (name, options) =>
        this.#isDead ? new Promise(() => {}) : this.profile.request(this, name, options),
      held: () =>
        new Promise((resolve) => {
          const { locks } = this.profile;
          this.hears('locks', () => {
            resolve(locks);
          });
        }),
      onPageHidden: (run) => {
        this.#hiding.add(run);
        return () => this.#hiding.delete(run);
      },
    };
  }
}

export class TestTab extends TestPlace {
  readonly client: Client;
  readonly errors: unknown[] = [];

  constructor(
    profile: TestBrowserProfile,
    url: string,
    options: ClientOptions,
    environment?: Environment,
    beneath?: Environment,
  ) {
    super(profile);
    const Counted = this.socketClass();
    const asked = { shareTabs: { worker: profile.hasWorkers }, ...options };
    const next = shared(settingsOf(asked), () => Counted, {
      platform: this.platform(),
      environment: this.withFrost(beneath),
      openWorker: () => (profile.hasWorkers ? this.#link(beneath) : null),
    });
    this.client = new Client(
      url,
      { backoff: { minMs: 10, maxMs: 50 }, ...options, WebSocket: next() },
      this.withFrost(environment),
    );
    this.client.on('error', (error) => this.errors.push(error));
  }

  /** As `new SharedWorker`: the one that runs, else a new one. */
  #link(beneath: Environment | undefined): WorkerLink {
    const { profile } = this;
    if (profile.worker === null || profile.worker.isDead) profile.worker = new TestWorker(profile, beneath);
    const { worker } = profile;
    const link: WorkerLink = {
      onreport: null,
      onfailure: null,
      post: (task) => {
        if (this.isDead) return;
        const copy = structuredClone(task);
        worker.hears('ports', () => {
          void worker.hub.take(copy).then((report) => {
            if (!worker.isDead)
              this.hears('ports', () => {
                link.onreport?.(report);
              });
          });
        });
      },
      close: () => {},
    };
    return link;
  }
}

export class TestWorker extends TestPlace {
  readonly hub: HubWorker;

  constructor(profile: TestBrowserProfile, beneath?: Environment) {
    super(profile);
    const Counted = this.socketClass();
    this.hub = new HubWorker({
      platform: this.platform(),
      environment: this.withFrost(beneath),
      socketClass: () => () => Counted,
    });
  }
}
