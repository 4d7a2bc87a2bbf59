// What a browser knows about the network before TCP does: went offline, came back, page shown again.

export interface NetworkHints {
  online(): void;
  offline(): void;
  /** The page is visible again: timers may have slept, the connection may be dead. */
  visible(): void;
}

export type WatchNetwork = (hints: NetworkHints) => () => void;

/** Listens where there is something to listen to (not in Node); the returned function stops. */
export function watchNetwork(hints: NetworkHints): () => void {
  const stopped = new AbortController();
  const listen = (target: EventTarget, event: string, run: () => void): void =>
    target.addEventListener(event, run, { signal: stopped.signal });
  if (typeof addEventListener === 'function') {
    listen(globalThis, 'online', () => hints.online());
    listen(globalThis, 'offline', () => hints.offline());
    // A page from the back-forward cache: its socket was closed while it was frozen.
    listen(globalThis, 'pageshow', () => hints.visible());
  }
  if (typeof document === 'object') {
    listen(document, 'visibilitychange', () => {
      if (document.visibilityState === 'visible') hints.visible();
    });
  }
  return () => stopped.abort();
}
