// What a page hears of its network and of its own end, for one peer.
import { watchNetwork } from '../network-hints.js';

export interface SurroundingsPort {
  /** @param isOther the browser says that it is another one; else it is back, or the page is visible again */
  networkChanged(isOther: boolean): void;
  goneAway(): void;
}

/** Until `signal` aborts. */
export function watchSurroundings(signal: AbortSignal, port: SurroundingsPort): void {
  const stop = watchNetwork({
    online: () => port.networkChanged(false),
    offline: () => {},
    visible: () => port.networkChanged(false),
  });
  signal.addEventListener('abort', stop);
  const connection: unknown = typeof navigator === 'object' ? Reflect.get(navigator, 'connection') : null;
  if (connection instanceof EventTarget)
    connection.addEventListener('change', () => port.networkChanged(true), { signal });
  if (typeof addEventListener === 'function')
    addEventListener('pagehide', ({ persisted }) => persisted || port.goneAway(), { signal });
}
