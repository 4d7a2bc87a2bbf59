// All that serves sessions in a worker, put together: from what they read and where they send to the doors by which they come.
import { createJsonCodec } from '../protocol/json-codec.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { SUBPROTOCOLS } from '../protocol/subprotocol.js';
import { CountedReads } from '../relay/counted-reads.js';
import { Delivery } from '../relay/delivery.js';
import { Feeds } from '../relay/feeds.js';
import { PresenceFeed } from '../relay/presence-feed.js';
import { RouteCache } from '../relay/route-cache.js';
import { Letters } from '../relay/letters.js';
import { Requests } from '../relay/requests.js';
import { Router } from '../relay/router.js';
import { StandingOffers } from '../relay/standing-offers.js';
import { Pairs } from '../relay/pairs.js';
import { Services } from '../relay/services.js';
import { Streams } from '../relay/streams.js';
import { Topics } from '../relay/topics.js';
import { WaitingCounts } from '../relay/waiting-counts.js';
import { type Authenticator } from '../session/authenticator.js';
import { Endings } from '../session/endings.js';
import { Leavings } from '../session/leavings.js';
import { FanOut } from '../session/fan-out.js';
import { RandomPool } from '../session/random-pool.js';
import { TurnBroker } from '../session/turn-broker.js';
import { Refusals } from '../session/refusals.js';
import { Throttle } from '../session/throttle.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import { Admission } from './admission.js';
import { Errands } from './errands.js';
import { Gateway } from './gateway.js';
import { Heartbeat } from './heartbeat.js';
import { HttpConnections } from './http-connections.js';
import { HttpDoor } from './http-door.js';
import { TcpDoor } from './tcp-door.js';
import { Tickets } from './tickets.js';
import { TurnRenewal } from './turn-renewal.js';
import { Verbs } from './verbs.js';
import { WebSocketDoor } from './websocket-door.js';
import type { Base } from './base.js';

export interface Service {
  feeds: Feeds;
  reads: CountedReads;
  presence: PresenceFeed;
  routes: RouteCache;
  router: Router;
  requests: Requests;
  letters: Letters;
  services: Services;
  pairs: Pairs;
  topics: Topics;
  verbs: Verbs;
  endings: Endings;
  leavings: Leavings;
  throttle: Throttle;
  fanOut: FanOut;
  gateway: Gateway;
  admission: Admission;
  errands: Errands;
  door: WebSocketDoor;
  httpDoor: HttpDoor;
  tcpDoor: TcpDoor;
}

/** All that serves sessions, from what they read and where they send to the door by which they come. */
export function createService(base: Base, authenticator: Authenticator): Service {
  const { config, metrics, registry, relay, store, wheel, worker } = base;
  const { limits, sessions, tokens } = config;
  const reads = new CountedReads(store);
  const feeds = createFeeds(base, reads);
  const refusals = new Refusals(limits.errorsPerMinuteLimit, (code) => {
    metrics.refusals.inc({ code });
  });
  const routes = new RouteCache(store, worker);
  const streams = createStreams(base, routes, refusals);
  const fanOut = new FanOut(limits.fanOut, () => {
    metrics.throttled.inc({ scope: 'fan_out' });
  });
  const countDropped = (reason: 'unreachable' | 'away'): void => {
    metrics.dropped.inc({ reason });
  };
  const letters = new Letters({
    ...base,
    routes,
    refusals,
    countDropped,
    move: (session, room, joins) => verbs.move(session, room, joins),
  });
  const { requests, services } = createAnswering(base, { routes, refusals, letters });
  const delivery = new Delivery(registry, msgpackCodec, (outcome, receivers) => {
    metrics.deliveries.add(outcome, receivers);
  });
  const standing = new StandingOffers({
    ...base,
    codec: msgpackCodec,
    now: () => performance.now(),
    count: (outcome) => metrics.standingOffers.inc({ outcome }),
  });
  const sending = { routes, refusals, fanOut, streams, standing, delivery, requests, letters, countDropped };
  const router = new Router({ ...base, ...sending });
  const topics = new Topics(base);
  const pairs = new Pairs({ store, registry, requests, letters, refusals, leaseMs: sessions.pairLeaseMs });
  const leavings = new Leavings(store, (session) => registry.get(session.ref.session) === session);
  const endings = new Endings(store, () => {
    metrics.storeErrors.inc({ kind: 'detach' });
  });
  const turn = new TurnBroker(config.iceServers, config.turn, base.turnCheck);
  const turnRenewal = new TurnRenewal({ turn, health: base.turnCheck, wheel, registry });
  base.turnCheck.onChange(() => {
    turnRenewal.serversChanged();
  });
  const verbs: Verbs = new Verbs({
    ...base,
    turnRenewal,
    router,
    requests,
    letters,
    streams,
    standing,
    services,
    pairs,
    topics,
    feeds,
    authenticator,
    refusals,
    leavings,
    endings,
    roomsLimit: limits.roomsPerSessionLimit,
    heartbeat: new Heartbeat({
      wheel,
      pingIntervalMs: sessions.pingIntervalMs,
      pongTimeoutMs: sessions.pongTimeoutMs,
    }),
    expiryWarningMs: tokens.expiryWarningMs,
    expiryGraceMs: tokens.expiryGraceMs,
    onPeerReport: (report) => metrics.peers.count(report),
  });
  const throttle = new Throttle(limits.rates, (scope) => {
    metrics.throttled.inc({ scope });
  });
  const admission = new Admission({
    config,
    isDraining: () => gateway.draining,
    isShedding: () => base.memory.sheds,
  });
  const random = new RandomPool();
  const served = base.plugins?.gate(verbs) ?? verbs;
  const gateway: Gateway = new Gateway({
    ...base,
    endings,
    feeds,
    streams,
    services,
    pairs,
    topics,
    verbs,
    served,
    throttle,
    authenticator,
    random,
    turn,
    left: ({ address }) => {
      admission.exit(address);
    },
  });
  const codecs = {
    [SUBPROTOCOLS.msgpack]: msgpackCodec,
    [SUBPROTOCOLS.json]: createJsonCodec({ inflate: inflatePayload }),
  };
  const connections = new HttpConnections(wheel);
  const { httpSilenceLimitMs: silenceLimitMs } = sessions;
  const errands = new Errands({ worker, relay, connections, wheel, random, silenceLimitMs });
  const doors = { config, gateway, metrics, codecs, admission };
  const door = new WebSocketDoor({ ...doors, reads });
  const tickets = new Tickets({ store, authenticator, random });
  const httpDoor = new HttpDoor({ ...doors, log: base.log, connections, errands, tickets, wheel });
  const tcpDoor = new TcpDoor({ ...doors, authenticator, wheel });
  const presence = new PresenceFeed(registry, wheel);
  const delivering = {
    feeds,
    reads,
    presence,
    routes,
    router,
    requests,
    letters,
    services,
    pairs,
    topics,
    verbs,
    errands,
    fanOut,
  };
  return { ...delivering, endings, leavings, throttle, gateway, admission, door, httpDoor, tcpDoor };
}

function createFeeds({ registry, metrics }: Base, reads: CountedReads): Feeds {
  return new Feeds({
    store: reads,
    registry,
    msgpack: msgpackCodec,
    count: (outcome, receivers) => {
      metrics.deliveries.add(outcome, receivers);
    },
    countRead: (reason) => {
      metrics.logReads.add(reason);
    },
    countGap: (reason) => {
      metrics.gaps.inc({ reason });
    },
  });
}

function createStreams({ config, metrics, ...base }: Base, routes: RouteCache, refusals: Refusals): Streams {
  const streams = new Streams({
    ...base,
    routes,
    refusals,
    streamsPerSessionLimit: config.limits.streamsPerSessionLimit,
    outboxLimitBytes: config.limits.outboxLimitBytes,
    countCut: (code) => {
      metrics.streamCuts.inc({ code });
    },
    countDropped: (reason) => {
      metrics.dropped.inc({ reason });
    },
  });
  metrics.countStreams(() => streams.size);
  return streams;
}

/** Requests and calls: what waits for an answer, and counts together. */
function createAnswering(
  base: Base,
  parts: { routes: RouteCache; refusals: Refusals; letters: Letters },
): { requests: Requests; services: Services } {
  const { letters } = parts;
  const { requestsPendingLimit, requestsPendingLimitBytes, callsServedLimit } = base.config.limits;
  const common = {
    ...base,
    ...parts,
    waiting: new WaitingCounts(),
    requestsPendingLimit,
    requestsPendingLimitBytes,
    answer: (...answered: Parameters<Letters['answer']>) => {
      letters.answer(...answered);
    },
  };
  const requests = new Requests(common);
  const services = new Services({
    ...common,
    msgpack: msgpackCodec,
    callsServedLimit,
    count: (outcome) => {
      base.metrics.serviceCalls.add(outcome);
    },
  });
  return { requests, services };
}
