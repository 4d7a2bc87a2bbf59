// Offers of streams: to a session of one client, to those in a room, or to all whom the opener may reach.
import type { GatewayFrame } from '../protocol/frame.js';
import type { Address } from '../protocol/ids.js';
import { compilePatterns, matches } from '../session/permissions.js';
import type { SessionRegistry } from '../session/registry.js';
import type { SessionPlace } from '../session/store/store.js';
import type { RouteCache } from './route-cache.js';
import type { OfferStep, StreamEnvelope } from './stream-envelope.js';
import type { End, StreamEnds } from './stream-ends.js';
import type { StreamNotices } from './stream-notices.js';
import { newPeer } from './stream-peer.js';
import type { StreamWays } from './stream-ways.js';

export interface StreamOffersOptions {
  registry: SessionRegistry;
  routes: RouteCache;
  ends: StreamEnds;
  ways: StreamWays;
  notices: StreamNotices;
}

export class StreamOffers {
  constructor(private readonly options: StreamOffersOptions) {}

  send(end: End, address: Address | null, step: OfferStep): void {
    if (address === null) {
      this.options.ways.everywhere(end, step);
      return;
    }
    const places = this.options.routes.peek(address.client);
    if (places !== undefined) this.sendTo(end, address, places, step);
    else
      this.options.routes.load(address.client).then(
        (found) => {
          this.sendTo(end, address, found, step);
        },
        () => {
          this.refuse(end, 'unavailable');
        },
      );
  }

  receive(envelope: StreamEnvelope, { room, name, payload, streams, send }: OfferStep): void {
    const { to, from, sender, stream } = envelope;
    const frame: GatewayFrame = {
      type: 'offer',
      stream,
      from,
      session: sender,
      channel: room,
      name,
      payload,
    };
    const { registry, notices, ways } = this.options;
    if (to !== null) {
      const session = registry.get(to.session);
      if (session === undefined || session.ref.client !== to.client) ways.tellMissing(envelope);
      else notices.give(session, frame);
      return;
    }
    const [byStreams, bySend] = [compilePatterns(streams), compilePatterns(send)];
    for (const session of room === null ? registry.all() : registry.inRoom(room)) {
      const { client, session: id } = session.ref;
      if (id !== sender && matches(byStreams, client) && matches(bySend, client))
        notices.give(session, frame);
    }
  }

  private sendTo(end: End, address: Address, places: readonly SessionPlace[], step: OfferStep): void {
    if (this.options.ends.get(end.session, end.stream) !== end) return;
    // Whoever accepted is asked again; nobody else.
    const { peer } = end;
    const named = places.filter(
      ({ session }) => session === (peer?.isHeard ? peer.session : (address.session ?? session)),
    );
    const place = named.find(({ connected }) => connected);
    if (place === undefined) {
      this.refuse(end, named.length === 0 ? 'not_found' : 'unavailable');
      return;
    }
    const chosen = peer?.session === place.session ? peer : newPeer(place.client, place.session, false);
    chosen.worker = place.worker;
    end.peer = chosen;
    this.options.ways.sendTo(end, chosen, step);
  }

  private refuse(end: End, code: 'not_found' | 'unavailable'): void {
    if (this.options.ends.remove(end)) this.options.notices.refuse(end.session, end.stream, code);
  }
}
