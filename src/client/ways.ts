// Chooses what carries the next connection where more than a plain WebSocket is asked for.
import { Lazy } from './lazy.js';
import { offloaded, type OffloadSettings } from './offload-socket.js';
import { Ways } from './remembered-ways.js';
import type * as tabsCode from './tabs/tabs.js';
import type { SharedSettings } from './tabs/tabs.js';
import type { Transport, WebSocketClass } from './websocket-class.js';

type WaysSettings = OffloadSettings &
  SharedSettings & {
    ways?: Ways;
    sharing?: Sharing;
    transports?: readonly Transport[];
    WebSocket?: WebSocketClass;
  };

/** Of a client whose tabs share a session: made when its code is there. */
interface Sharing {
  readonly code: Lazy<typeof tabsCode>;
  next?: () => WebSocketClass;
}

/** The class for the next connection of a client. */
export async function choose(settings: WaysSettings, webSocket: WebSocketClass): Promise<WebSocketClass> {
  const plain = (): WebSocketClass => {
    // A class that the application gave cannot go to a worker, and is the only way unless it says others.
    if (settings.WebSocket !== undefined && settings.transports === undefined) return webSocket;
    settings.ways ??= new Ways(
      settings.transports,
      // Nor can one whose frames go to other tabs.
      settings.WebSocket === undefined && settings.sharing === undefined
        ? offloaded(settings, webSocket)
        : webSocket,
    );
    return settings.ways.choose();
  };
  // Where it turned out that tabs cannot share, it may be the token that was wrong.
  if (!settings.shareTabs && settings.sharing === undefined) return plain();
  const sharing = (settings.sharing ??= { code: new Lazy(() => import('./tabs/tabs.js')) });
  if (sharing.next === undefined) {
    const { shared } = await sharing.code.load();
    sharing.next ??= shared(settings, plain);
  }
  return sharing.next();
}
