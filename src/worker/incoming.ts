// What other processes bring to a worker: events of the store and envelopes, each to the part that it is for.
import type { Metrics } from '../metrics.js';
import type { Envelope } from '../relay/envelope.js';
import type { Feeds } from '../relay/feeds.js';
import type { PresenceFeed } from '../relay/presence-feed.js';
import type { RouteCache } from '../relay/route-cache.js';
import type { Router } from '../relay/router.js';
import type { Services } from '../relay/services.js';
import type { Topics } from '../relay/topics.js';
import type { StoreEvent } from '../session/store/store.js';
import type { Errands } from './errands.js';
import type { Gateway } from './gateway.js';
import type { KeepAlive } from './keep-alive.js';

export interface Receivers {
  metrics: Metrics;
  router: Router;
  errands: Errands;
  routes: RouteCache;
  feeds: Feeds;
  presence: PresenceFeed;
  services: Services;
  topics: Topics;
  gateway: Gateway;
  keepAlive: KeepAlive;
}

export class Incoming {
  /** Null until the parts stand: nothing is meant for a worker that holds nobody yet. */
  private receivers: Receivers | null = null;

  begin(receivers: Receivers): void {
    this.receivers = receivers;
  }

  envelope(envelope: Envelope): void {
    if (envelope.kind === 'errand') this.receivers?.errands.receive(envelope);
    else if (envelope.kind === 'errandDone') this.receivers?.errands.settle(envelope);
    else if (envelope.kind === 'serve' || envelope.kind === 'served')
      this.receivers?.services.receive(envelope);
    else this.receivers?.router.receive(envelope);
  }

  event(event: StoreEvent): void {
    if (this.receivers === null) return;
    const { metrics, routes, feeds, presence, services, topics, gateway, keepAlive } = this.receivers;
    switch (event.type) {
      case 'entry':
        metrics.entries.add(event.channel.kind);
        feeds.entry(event);
        return;
      case 'route':
        routes.forget(event.client);
        return;
      case 'members':
        services.changed(event.room);
        topics.changed(event.room);
        return;
      case 'fence':
        gateway.fence(event);
        return;
      case 'presence':
        presence.add(event);
        return;
      case 'reset':
        routes.clear();
        services.refresh();
        topics.refresh();
        keepAlive.renewAll();
        void feeds.resync();
        return;
      case 'doubt':
        gateway.doubt();
        return;
      default:
        event satisfies never;
    }
  }
}
