// Offers of streams: to a session of one client, to those in a room, or to all whom the opener may reach.
import type { GatewayFrame } from '../protocol/frame.js';
import type { Address, SessionId, StreamId, WorkerId } from '../protocol/ids.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { compilePatterns, matches } from '../session/permissions.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { SessionPlace } from '../session/store/store.js';
import type { RouteCache } from './route-cache.js';
import type { OfferStep, StreamEnvelope } from './stream-envelope.js';
import type { End, StreamEnds } from './stream-ends.js';
import type { StreamNotices } from './stream-notices.js';
import { newPeer } from './stream-peer.js';
import type { StreamWays } from './stream-ways.js';

/** Most offers of which is known where they came from, about 150 bytes each: whoever accepts a later one has its opener looked up. */
const ORIGINS_LIMIT = 1_000;

export interface StreamOffersOptions {
  registry: SessionRegistry;
  routes: RouteCache;
  ends: StreamEnds;
  ways: StreamWays;
  notices: StreamNotices;
}

export class StreamOffers {
  /** Where offers came from, the newest: a thousand readers of one opener need not ask the store for it a thousand times. */
  private readonly origins = new Map<string, WorkerId>();

  constructor(private readonly options: StreamOffersOptions) {}

  /** Where the opener was when it made the offer; null where that is not known any more. */
  originOf(opener: SessionId, stream: StreamId): WorkerId | null {
    return this.origins.get(`${opener} ${stream}`) ?? null;
  }

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
    const { origin, to, from, sender, stream } = envelope;
    this.cameFrom(origin, `${sender} ${stream}`);
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
    let prepared: PreparedFrame | null = null;
    for (const session of room === null ? registry.all() : registry.inRoom(room)) {
      const { client, session: id } = session.ref;
      if (id === sender || !matches(byStreams, client) || !matches(bySend, client)) continue;
      prepared ??= PreparedFrame.whole(frame, msgpackCodec);
      notices.giveCopy(session, prepared);
    }
  }

  private cameFrom(origin: WorkerId, key: string): void {
    this.origins.delete(key);
    this.origins.set(key, origin);
    if (this.origins.size <= ORIGINS_LIMIT) return;
    const oldest = this.origins.keys().next();
    if (oldest.done !== true) this.origins.delete(oldest.value);
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
