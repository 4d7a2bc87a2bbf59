// What a session may ask for, frame by frame: permission first, then the router or the store.
import { CODES, type CloseCode, type Code } from '../protocol/codes.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import type { ClientFrame, JoinFrame, LeaveFrame, TokenFrame, WatchFrame } from '../protocol/frame.js';
import { parseServiceRoom, providersOf, type RoomName, type WorkerId } from '../protocol/ids.js';
import type { PeerReport } from '../protocol/peer-report.js';
import { refusalOf } from '../relay/authorize.js';
import type { Feed } from '../relay/feed.js';
import type { Feeds } from '../relay/feeds.js';
import { listClients } from '../relay/listing.js';
import type { Pairs } from '../relay/pairs.js';
import type { Letters } from '../relay/letters.js';
import type { Requests } from '../relay/requests.js';
import type { Router } from '../relay/router.js';
import { kindOf } from '../relay/handles.js';
import type { StandingOffers } from '../relay/standing-offers.js';
import type { Services } from '../relay/services.js';
import type { Streams } from '../relay/streams.js';
import type { Topics } from '../relay/topics.js';
import type { PluginHost } from '../plugin/plugin-host.js';
import type { Authenticator, Identity } from '../session/authenticator.js';
import type { Endings } from '../session/endings.js';
import type { Leavings } from '../session/leavings.js';
import { mayJoin, mayList, mayPresence } from '../session/permissions.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Position, Store } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Heartbeat } from './heartbeat.js';
import type { TurnRenewal } from './turn-renewal.js';

/** How long a connection stays open after `bye` for the store to end the session, ms: longer than SDKs wait for its close. */
const FAREWELL_LIMIT_MS = 2_000;

export interface VerbsOptions {
  worker: WorkerId;
  store: Store;
  router: Router;
  requests: Requests;
  letters: Letters;
  streams: Streams;
  services: Services;
  pairs: Pairs;
  topics: Topics;
  standing: StandingOffers;
  registry: SessionRegistry;
  feeds: Feeds;
  wheel: TimerWheel;
  authenticator: Authenticator;
  turnRenewal: TurnRenewal;
  refusals: Refusals;
  leavings: Leavings;
  endings: Pick<Endings, 'tell'>;
  /** Null where there are none. */
  plugins: Pick<PluginHost, 'admit' | 'joined' | 'left'> | null;
  roomsLimit: number;
  heartbeat: Heartbeat;
  expiryWarningMs: number;
  expiryGraceMs: number;
  onPeerReport(report: PeerReport): void;
}

/** Who hears how a join went. */
interface JoinAnswer {
  /** `position` where the session reads on from there. */
  joined(result: { count: number; position?: Position }): void;
  refused(code: Code): void;
}

/** The store may have done it all the same. */
function isUnknown(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'unknown_outcome';
}

export class Verbs {
  constructor(private readonly options: VerbsOptions) {}

  handle(session: Session, frame: ClientFrame): void {
    // It has said bye; the connection stays only to hear that the session is over.
    if (session.ended) return;
    const refusal = refusalOf(frame, session.identity.permissions);
    if (refusal !== null) {
      this.turnAway(session, frame, { code: refusal, text: CODES[refusal].text });
      return;
    }
    const { letters, requests, router, standing, store, streams, services } = this.options;
    switch (frame.type) {
      case 'send':
        router.send(session, frame);
        return;
      case 'publish':
        if (this.mayOwn(session, frame.room)) router.publish(session, frame);
        else
          this.refuse(
            session,
            frame.ref,
            'forbidden',
            'Only who provides the service publishes to its topics.',
          );
        return;
      case 'request':
        requests.request(session, frame);
        return;
      case 'reply':
        if (kindOf(frame.handle) === 'call') services.reply(session, frame);
        else requests.reply(session, frame);
        return;
      case 'reject':
        if (kindOf(frame.handle) === 'call') services.reject(session, frame);
        else requests.reject(session, frame);
        return;
      case 'call':
        services.call(session, frame);
        return;
      case 'pair':
        this.options.pairs.ask(session, frame);
        return;
      case 'holdPair':
        this.options.pairs.hold(session, frame);
        return;
      case 'endPair':
        this.options.pairs.end(session, frame);
        return;
      case 'broadcast':
        router.broadcast(session, frame);
        return;
      case 'receipt':
        letters.receipt(session, frame);
        return;
      case 'confirm':
        letters.confirm(session, frame);
        return;
      case 'openStream':
        if (frame.room !== null && !this.mayOwn(session, frame.room))
          streams.refuse(session, frame.stream, 'forbidden');
        else streams.open(session, frame);
        return;
      case 'attachStream':
        if (frame.opened && frame.room !== null && !this.mayOwn(session, frame.room))
          streams.refuse(session, frame.stream, 'forbidden');
        else streams.attach(session, frame);
        return;
      case 'chunk':
        streams.chunk(session, frame);
        return;
      case 'credit':
        streams.credit(session, frame);
        return;
      case 'cut':
        streams.cut(session, frame);
        return;
      case 'ack':
        store.acknowledge(session.ref, frame.id).catch(() => undefined);
        return;
      case 'peerReport':
        this.options.onPeerReport(frame.digest);
        return;
      case 'standingOffer':
        standing.leave(session, frame);
        return;
      case 'pong':
        return;
      case 'bye':
        this.farewell(session);
        return;
      case 'hello':
        session.close('bad_frame', CODES.bad_frame.close, 0);
        return;
      case 'token':
        session.inTokenOrder(() => this.refresh(session, frame));
        return;
      case 'join':
        session.inRoomOrder(() => this.join(session, frame));
        return;
      case 'leave':
        session.inRoomOrder(() => this.leave(session, frame));
        return;
      case 'leaveAll':
        session.inRoomOrder(() => this.leaveAll(session, frame.ref));
        return;
      case 'watch':
        session.inRoomOrder(() => this.watch(session, frame));
        return;
      case 'members':
        this.answer(session, frame.ref, async () => {
          const { rows, cursor, count } = await store.members(frame);
          return { members: rows, cursor, count };
        });
        return;
      case 'count':
        this.answer(session, frame.ref, () => store.count(frame.room));
        return;
      case 'clients':
        this.answer(session, frame.ref, async () => {
          const { rows, cursor } = await listClients(store, session.identity.permissions.list, frame);
          return { clients: rows, cursor };
        });
        return;
      case 'available':
        this.answer(session, frame.ref, async () => {
          const { rows, cursor } = await listClients(store, session.identity.permissions.list, frame);
          const others = rows.filter((client) => client !== session.ref.client);
          const pairs = await store.pairsOf(others);
          return { clients: others.filter((_, i) => pairs[i] === null), cursor };
        });
        return;
      case 'online':
        this.answer(session, frame.ref, async () =>
          // Somebody who may not be listed looks like somebody who is not there.
          mayList(session.identity.permissions, frame.client) ? store.online(frame.client) : false,
        );
        return;
      default:
        frame satisfies never;
    }
  }

  /** Refuses a frame in the way of its type. */
  turnAway(session: Session, frame: ClientFrame, { code, text }: { code: Code; text: string }): void {
    if (frame.type === 'openStream' || frame.type === 'attachStream')
      this.options.streams.refuse(session, frame.stream, code);
    else this.refuse(session, 'ref' in frame ? frame.ref : 0, code, text);
  }

  refuse(session: Session, ref: number, code: Code, text: string): void {
    this.options.refusals.tell(session, ref, code, text);
  }

  /** Pings the session, and watches over the life of its token, until its connection ends. */
  watchOver(session: Session): void {
    this.options.heartbeat.watch(session);
    this.armExpiry(session);
    this.options.turnRenewal.watch(session);
  }

  private armExpiry(session: Session): void {
    const { wheel, expiryWarningMs, expiryGraceMs } = this.options;
    session.expiryDeadline?.cancel();
    const leftMs = session.identity.expiresAtMs - Date.now();
    session.expiryDeadline = wheel.in(Math.max(0, leftMs - expiryWarningMs), () => {
      const inMs = Math.max(0, session.identity.expiresAtMs - Date.now());
      session.send({ type: 'expiring', inMs });
      session.expiryDeadline = wheel.in(inMs + expiryGraceMs, () => {
        this.close(session, 'token_expired');
      });
    });
  }

  private async refresh(session: Session, frame: TokenFrame): Promise<void> {
    try {
      const verified = await this.options.authenticator.verify(frame.token);
      if (verified.client !== session.ref.client) {
        this.refuse(session, frame.ref, 'forbidden', 'The token belongs to another client.');
        return;
      }
      const identity = await this.admitAgain(session, verified);
      if (identity === null) {
        this.refuse(session, frame.ref, 'forbidden', 'The token was refused by the application.');
        return;
      }
      // The connection may have ended while the keys were fetched: then there is nothing to watch over.
      if (this.options.registry.get(session.ref.session) !== session) return;
      session.identity = identity;
      this.armExpiry(session);
      this.options.turnRenewal.recheck(session);
      for (const room of session.watched ?? []) {
        if (!mayPresence(identity.permissions, room)) session.watched?.delete(room);
      }
      for (const room of session.rooms) {
        if (!mayJoin(identity.permissions, room))
          session.inRoomOrder(() => this.leaveRoom(session, room).then(() => undefined));
      }
      this.options.streams.recheck(session);
      session.ok(frame.ref, { expiresInMs: Math.max(0, identity.expiresAtMs - Date.now()) });
    } catch (error) {
      this.refuseError(session, frame.ref, error);
    }
  }

  /** Null where a plugin does not take the new token. @throws GatewayError `unavailable` where none could say */
  private async admitAgain(session: Session, identity: Identity): Promise<Identity | null> {
    const { plugins } = this.options;
    if (plugins === null) return identity;
    const { address } = session.connection;
    const admitted = await plugins.admit(identity, { address, agent: null, renewal: true });
    if (typeof admitted !== 'string') return admitted;
    if (CODES[admitted].then === 'resume') throw new GatewayError('unavailable');
    return null;
  }

  private async join(session: Session, frame: JoinFrame): Promise<void> {
    const { feeds } = this.options;
    const feed = feeds.hold({ kind: 'room', room: frame.room });
    try {
      await this.joinHeld(session, frame, feed, {
        joined: (result) => {
          session.ok(frame.ref, result);
        },
        refused: (code) => {
          this.refuse(session, frame.ref, code, CODES[code].text);
        },
      });
    } catch (error) {
      this.refuseError(session, frame.ref, error);
    } finally {
      feeds.release(feed);
    }
  }

  /**
   * Has a session join or leave a room, or leave all (null), on behalf of a server, in the order of its own joins and leaves.
   * @returns why not; null where it is done
   */
  move(session: Session, room: RoomName | null, joins: boolean): Promise<Code | null> {
    return new Promise((resolve) => {
      session.inRoomOrder(async () => {
        try {
          if (room !== null && joins) resolve(await this.bring(session, room));
          else {
            const rooms = room === null ? [...session.rooms] : [room];
            await Promise.all(rooms.map((each) => this.leaveRoom(session, each)));
            resolve(null);
          }
        } catch (error) {
          resolve(error instanceof GatewayError ? error.code : 'internal_error');
          if (!(error instanceof GatewayError)) throw error;
        }
      });
    });
  }

  private async bring(session: Session, room: RoomName): Promise<Code | null> {
    // What a token does not permit a session would lose with its connection, when its permissions are looked at again.
    if (!mayJoin(session.identity.permissions, room)) return 'forbidden';
    const wasIn = session.rooms.has(room);
    const feed = this.options.feeds.hold({ kind: 'room', room });
    let refusal: Code | null = null;
    try {
      await this.joinHeld(session, { room, since: null }, feed, {
        // Where the room stands, so that a client that listens to it can tell what it missed when it comes back.
        joined: ({ position = null }) => {
          if (!wasIn) session.send({ type: 'position', channel: room, id: position });
        },
        refused: (code) => {
          refusal = code;
        },
      });
    } finally {
      this.options.feeds.release(feed);
    }
    return refusal;
  }

  private async joinHeld(
    session: Session,
    { room, since }: Pick<JoinFrame, 'room' | 'since'>,
    feed: Feed,
    answer: JoinAnswer,
  ): Promise<void> {
    const { store, registry, leavings, worker, roomsLimit } = this.options;
    const wasIn = session.rooms.has(room);
    let isIn = wasIn;
    // Entered before the store answers: a volatile message right after the join must find the session here.
    if (!wasIn) feed.expect(session);
    registry.enter(session, room);
    leavings.forget(session, room);
    try {
      const result = await store.join({ ...session.ref, room, worker, roomsLimit });
      isIn ||= result.status === 'joined';
      if (!wasIn && result.status === 'joined') this.options.plugins?.joined(session, room, result.count);
      if (result.status === 'refused') {
        answer.refused(result.code);
      } else if (!mayJoin(session.identity.permissions, room)) {
        // A narrower token was accepted while the store worked.
        await this.leaveRoom(session, room);
        answer.refused('forbidden');
      } else if (since === null) {
        answer.joined({ count: result.count, position: result.position });
        if (!wasIn) feed.enter(session, result.position, result.position, null);
      } else {
        answer.joined({ count: result.count });
        feed.begin(result.position);
        feed.replay(session, typeof since === 'number' ? { last: since } : { after: since });
      }
      if (isIn && session.rooms.has(room)) this.options.topics.follow(session, room);
    } catch (error) {
      if (!isIn && isUnknown(error)) leavings.add(session, room);
      throw error;
    } finally {
      if (!isIn) this.exit(session, room);
    }
  }

  /** A topic is its providers' to write to. */
  private mayOwn(session: Session, room: RoomName): boolean {
    const own = parseServiceRoom(room);
    return own === null || session.rooms.has(providersOf(own.service));
  }

  private exit(session: Session, room: RoomName): void {
    this.options.registry.exit(session, room);
    this.options.feeds.leave(session, { kind: 'room', room });
  }

  private async leave(session: Session, { ref, room }: LeaveFrame): Promise<void> {
    try {
      session.ok(ref, await this.leaveRoom(session, room));
    } catch (error) {
      this.refuseError(session, ref, error);
    }
  }

  /** Closes when the store has ended the session: whoever saw the close may come again at once, and does not meet itself. */
  private farewell(session: Session): void {
    const { endings, wheel } = this.options;
    const close = (): void => {
      limit.cancel();
      session.connection.close('normal');
    };
    const limit = wheel.in(FAREWELL_LIMIT_MS, close);
    session.ended = session.isEndTold = true;
    void endings.tell(session.ref, true).then(close);
  }

  private async leaveAll(session: Session, ref: number): Promise<void> {
    try {
      await Promise.all([...session.rooms].map((room) => this.leaveRoom(session, room)));
      session.ok(ref, null);
    } catch (error) {
      this.refuseError(session, ref, error);
    }
  }

  /** Whatever the store answers the session is not in the room here, so it may not be there. */
  private async leaveRoom(session: Session, room: RoomName): Promise<boolean> {
    const { store, leavings, plugins } = this.options;
    if (session.rooms.has(room)) plugins?.left(session, room);
    this.exit(session, room);
    try {
      const wasIn = await store.leave(session.ref, room);
      leavings.forget(session, room);
      return wasIn;
    } catch (error) {
      leavings.add(session, room);
      throw error;
    }
  }

  private watch(session: Session, { ref, room, on }: WatchFrame): Promise<void> {
    if (!session.rooms.has(room)) {
      this.refuse(session, ref, 'not_joined', CODES.not_joined.text);
    } else {
      if (on) (session.watched ??= new Set()).add(room);
      else session.watched?.delete(room);
      session.ok(ref, null);
    }
    return Promise.resolve();
  }

  private answer(session: Session, ref: number, ask: () => Promise<unknown>): void {
    ask().then(
      (result) => {
        session.ok(ref, result);
      },
      (error: unknown) => {
        this.refuseError(session, ref, error);
      },
    );
  }

  private refuseError(session: Session, ref: number, error: unknown): void {
    if (error instanceof GatewayError || error instanceof ProtocolError) {
      this.refuse(session, ref, error.code, error.message);
      return;
    }
    session.log.error({ err: error }, 'a call failed');
    this.refuse(session, ref, 'internal_error', CODES.internal_error.text);
  }

  private close(session: Session, code: CloseCode): void {
    session.close(code, CODES[code].close, 0);
  }
}
