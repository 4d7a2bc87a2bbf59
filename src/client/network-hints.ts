// What a browser knows about the network before TCP does: went offline, came back, page shown again.

export interface NetworkHints {
  online(): void;
  offline(): void;
  /** The page is visible again: timers may have slept, the connection may be dead. */
  visible(): void;
}

/** Listens where there is something to listen to (not in Node); the returned function stops. */
export function watchNetwork(hints: NetworkHints): () => void {
  if (typeof addEventListener !== 'function' || typeof removeEventListener !== 'function') return () => {};
  const stops: (() => void)[] = [];
  const listen = (target: EventTarget, event: string, run: () => void): void => {
    target.addEventListener(event, run);
    stops.push(() => target.removeEventListener(event, run));
  };
  listen(globalThis, 'online', () => hints.online());
  listen(globalThis, 'offline', () => hints.offline());
  // A page from the back-forward cache: its socket was closed while it was frozen.
  listen(globalThis, 'pageshow', () => hints.visible());
  if (typeof document === 'object') {
    listen(document, 'visibilitychange', () => {
      if (document.visibilityState === 'visible') hints.visible();
    });
  }
  return () => {
    for (const stop of stops) stop();
  };
}
