// Tabs of one browser, played in one process: real channels, locks by the rules of Web Locks, and crashes at any moment.
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import type { Environment } from '../../../src/client/environment.js';
import { type ClientOptions, settingsOf } from '../../../src/client/options.js';
import type { ChannelLike, TabsPlatform } from '../../../src/client/tabs/platform.js';
import { shared } from '../../../src/client/tabs/tabs.js';

type HoldOptions = Parameters<TabsPlatform['hold']>[1];

/** Ends a script as a browser does. */
const STOPPED = new Error('stopped');

interface Lock {
  readonly name: string;
  readonly owner: TestTab;
  readonly grant: () => void;
  readonly onStolen: (() => void) | undefined;
}

/** One browser profile: what its tabs have in common. */
export class TestBrowserProfile {
  readonly #held = new Map<string, Lock>();
  readonly #waiting: Lock[] = [];
  /** As of a user who blocks storage. */
  refusesLocks = false;
  /** Profiles of other tests hear nothing. */
  readonly #prefix = randomBytes(8).toString('hex');
  readonly tabs: TestTab[] = [];

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
  }

  get names(): string[] {
    return [...this.#held.keys()];
  }

  /** The tab that has the hub of the only session. */
  get leader(): TestTab | undefined {
    return [...this.#held.values()].find(({ name }) => !name.includes(' tab '))?.owner;
  }

  channel(name: string): BroadcastChannel {
    return new BroadcastChannel(`${this.#prefix} ${name}`);
  }

  request(
    owner: TestTab,
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
          resolve(() => {
            this.#release(lock);
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
      if (steal) robbed?.onStolen?.();
    });
  }

  /** All that it held or waited for. */
  drop(owner: TestTab): void {
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

export class TestTab {
  readonly client: Client;
  readonly errors: unknown[] = [];
  /** Its connections to the gateway. */
  readonly sockets: WebSocket[] = [];
  readonly #channels = new Set<BroadcastChannel>();
  readonly #hiding = new Set<() => void>();
  #isDead = false;
  /** Messages do not reach it, as in a tab that is frozen; they come when it is thawed. */
  #frozen: (() => void)[] | null = null;
  #isLosing = false;
  #stopsAt: string | null = null;

  constructor(
    readonly profile: TestBrowserProfile,
    url: string,
    options: ClientOptions,
    environment?: Environment,
    beneath?: Environment,
  ) {
    const { sockets } = this;
    class Counted extends WebSocket {
      constructor(to: string, protocols: string[]) {
        super(to, protocols);
        sockets.push(this);
      }
    }
    const settings = settingsOf(options);
    const next = shared(settings, () => Counted, this.platform(), beneath);
    this.client = new Client(
      url,
      { backoff: { minMs: 10, maxMs: 50 }, ...options, WebSocket: next() },
      environment,
    );
    this.client.on('error', (error) => this.errors.push(error));
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** At once, with all that it has under way. */
  crash(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    for (const channel of this.#channels) channel.close();
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
    for (const run of waiting) run();
    for (const socket of this.sockets) if (socket.isPaused) socket.resume();
  }

  #whenAwake(run: () => void): void {
    if (this.#isDead) return;
    if (this.#frozen !== null) {
      this.#frozen.push(run);
      return;
    }
    try {
      run();
    } catch (error) {
      if (error !== STOPPED) throw error;
    }
  }

  private platform(): TabsPlatform {
    return {
      channel: (name): ChannelLike => {
        const channel = this.profile.channel(name);
        const like: ChannelLike = {
          onmessage: null,
          postMessage: (message) => {
            if (this.#isDead) return;
            if (this.#stopsAt !== null && Array.isArray(message) && String(message).includes(this.#stopsAt)) {
              this.#stopsAt = null;
              throw STOPPED;
            }
            channel.postMessage(message);
          },
          close: () => {
            like.onmessage = null;
            channel.close();
            this.#channels.delete(channel);
          },
        };
        channel.onmessage = (event) => {
          const isLost = this.#isLosing;
          if (isLost) this.#isLosing = false;
          else this.#whenAwake(() => like.onmessage?.({ data: event.data }));
        };
        this.#channels.add(channel);
        return like;
      },
      hold: (name, options) =>
        this.#isDead
          ? new Promise(() => {})
          : this.profile.request(this, name, {
              ...options,
              onStolen: () => {
                this.#whenAwake(() => options?.onStolen?.());
              },
            }),
      held: async () => Promise.resolve(this.profile.names),
      onPageHidden: (run) => {
        this.#hiding.add(run);
        return () => this.#hiding.delete(run);
      },
    };
  }
}
