// What shared tabs need of a browser: locks that end with whoever holds them, and channels between pages of one origin.

// Method types are compared in both directions: each implementation has event classes of its own.
type OnMessage = { call(event: { data: unknown }): void }['call'] | null;

/** As much of a `BroadcastChannel` as is used. */
export interface ChannelLike {
  onmessage: OnMessage;
  postMessage(message: unknown): void;
  close(): void;
}

/** As much of a `LockInfo` as is used. */
export interface HeldLock {
  readonly name?: string;
  readonly clientId?: string;
}

export interface TabsPlatform {
  channel(name: string): ChannelLike;
  /**
   * Resolves when the lock is held, with what releases it; a page that goes or crashes releases its locks too. `onStolen` is
   * called where somebody took it away. Rejects where `signal` ends the wait first.
   */
  hold(
    name: string,
    options?: { signal?: AbortSignal; steal?: boolean; onStolen?: () => void },
  ): Promise<() => void>;
  /** The locks that are held by anybody, and by which page; behind what this page is told of its own. */
  held(): Promise<HeldLock[]>;
  /** Calls `run` when the page is about to be frozen or put away. Returns a function that ends it. */
  onPageHidden(run: () => void): () => void;
}

/** Null where the browser lacks something of it. */
export function browserPlatform(): TabsPlatform | null {
  const locks = locksOf();
  if (locks === undefined || typeof BroadcastChannel !== 'function') return null;
  return {
    channel: (name) => new BroadcastChannel(name),
    hold: (name, { signal, steal = false, onStolen } = {}) =>
      new Promise((resolve, reject) => {
        let isHeld = false;
        const held = (): Promise<void> => {
          isHeld = true;
          return new Promise((release) => {
            resolve(release);
          });
        };
        // A request that steals may have no signal.
        locks.request(name, signal === undefined ? { steal } : { signal }, held).catch((error: unknown) => {
          if (isHeld) onStolen?.();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the browser's error, passed on
          else reject(error);
        });
      }),
    held: async () => (await locks.query()).held ?? [],
    onPageHidden(run) {
      // A worker is never put away.
      if (typeof document !== 'object') return () => {};
      window.addEventListener('pagehide', run);
      document.addEventListener('freeze', run);
      return () => {
        window.removeEventListener('pagehide', run);
        document.removeEventListener('freeze', run);
      };
    },
  };
}

/** Which page holds the lock; undefined where nobody does. */
export function holderOf(locks: readonly HeldLock[], wanted: string): string | undefined {
  return locks.find(({ name }) => name === wanted)?.clientId;
}

/** Only pages that came by https, or from this machine, have them. */
function locksOf(): LockManager | undefined {
  return (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
}
