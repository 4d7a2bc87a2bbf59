// The router: which sessions does a message go to, and where are they? Every verb of the gateway passes here.
import { type CloseCode, type Code, CODES } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type {
  BroadcastFrame,
  ConfirmFrame,
  MessageOptions,
  PublishFrame,
  ReceiptFrame,
  RejectFrame,
  ReplyFrame,
  RequestFrame,
  SendFrame,
} from '../protocol/frame.js';
import {
  type Address,
  type ClientId,
  GUEST_PREFIX,
  type PairId,
  parseAddress,
  type RoomName,
  type SessionId,
  type WorkerId,
} from '../protocol/ids.js';
import {
  encodeMessageBody,
  encodeRoomMessageBody,
  type MessageBody,
  NO_OPTIONS,
} from '../protocol/msgpack-codec.js';
import { maySend, sendPatterns } from '../session/permissions.js';
import type { FanOut } from '../session/fan-out.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import { RETRY_SPREAD_MS, type Session } from '../session/session.js';
import type { AppendResult, SessionPlace, Store } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Delivery } from './delivery.js';
import type { Envelope, ErrandDoneEnvelope, ErrandEnvelope } from './envelope.js';
import type { Relay } from './relay.js';
import { kindOf, workerOf } from './handles.js';
import { type MoveSession, Moves } from './moves.js';
import { type Answer, type Asked, PendingRequests } from './pending-requests.js';
import { type Letter, Postman } from './postman.js';
import type { ServedEnvelope, ServeEnvelope } from './service-envelope.js';
import type { RouteCache } from './route-cache.js';
import type { Streams } from './streams.js';
import { refusalOfWaiting, type WaitingCounts } from './waiting-counts.js';

export interface RouterOptions {
  worker: WorkerId;
  store: Store;
  registry: SessionRegistry;
  relay: Relay;
  routes: RouteCache;
  delivery: Delivery;
  streams: Streams;
  wheel: TimerWheel;
  refusals: Refusals;
  fanOut: FanOut;
  /** Of requests and calls together. */
  waiting: WaitingCounts;
  requestsPendingLimit: number;
  requestsPendingLimitBytes: number;
  /** Counts volatile messages that could not be handed over, by reason. */
  countDropped: (reason: 'unreachable' | 'away') => void;
  /** Has a session of this worker join or leave; resolves with why not, null where it is done. */
  move: MoveSession;
}

/** Messages of one session whose delivery it may wait to hear of at once, about 100 bytes each; the oldest go first. */
const AWAITED_LIMIT = 10_000;

type Routed = 'sent' | 'absent';

export class Router {
  private readonly pending: PendingRequests;
  private readonly postman: Postman;
  /** Of sessions into rooms and out of them, on behalf of servers. */
  private readonly moves: Moves;

  constructor(private readonly options: RouterOptions) {
    const { worker, registry, relay, routes, wheel, countDropped, waiting } = options;
    this.moves = new Moves({ worker, relay, wheel, move: options.move });
    const receive = (session: Session, letter: Letter): void => {
      if (letter.kind === 'move') this.moves.make(session, letter);
      else readLetter(session, letter);
    };
    this.postman = new Postman({ worker, registry, relay, routes, wheel, countDropped, receive });
    const answer = (...answered: Parameters<Router['answer']>): void => {
      this.answer(...answered);
    };
    this.pending = new PendingRequests(worker, wheel, answer, waiting);
  }

  /** Takes an answer to the session that asked, wherever its connection is now. */
  answer({ asker, ref, take }: Asked, answer: Answer): void {
    if (take !== undefined) {
      take(answer);
      return;
    }
    const here = this.options.registry.get(asker.session);
    if ('payload' in answer) {
      const letter: Letter = { kind: 'response', ref, code: '', text: '', ...answer.payload };
      this.postman.send(asker.client, asker.session, letter, true);
    } else if (answer.byGateway && here !== undefined) {
      this.options.refusals.tell(here, ref, answer.code, answer.text);
    } else {
      // The word of the one who was asked: no refusal of ours, and not for the asker's account.
      const { code, text } = answer;
      const letter: Letter = { kind: 'response', ref, code, text, encoding: 0, data: NO_BODY };
      this.postman.send(asker.client, asker.session, letter, true);
    }
  }

  send(session: Session, frame: SendFrame): void {
    const { to } = frame;
    if (Array.isArray(to) && !this.mayFanOut(session, frame.ref)) return;
    const body = encodeMessageBody(bodyOf(session, frame));
    if (!Array.isArray(to)) {
      // The hot path: a volatile message to a cached place is on its way without a promise.
      const routed = this.sendTo(session, frame, to, body);
      if (typeof routed !== 'string') {
        routed.then(
          (result) => {
            this.answerSend(session, frame, result);
          },
          this.refuseLater(session, frame.ref),
        );
      } else if (routed === 'absent') {
        this.options.refusals.tell(session, frame.ref, 'not_found');
      }
      return;
    }
    const targets = [...new Set(to)];
    this.options.fanOut.charge(session, targets.length, body.length);
    Promise.all(
      targets.map(async (target) => ({
        target,
        result: await this.sendTo(session, frame, target, body),
      })),
    ).then(
      (results) => {
        const absent = results.filter(({ result }) => isAbsent(result)).map(({ target }) => target);
        if (results.some(({ result }) => typeof result === 'object' && result.status === 'superseded'))
          this.options.refusals.tell(session, frame.ref, 'superseded');
        else if (absent.length === results.length)
          this.options.refusals.tell(session, frame.ref, 'not_found');
        else if (frame.seq !== 0) session.ok(frame.ref, { absent });
      },
      this.refuseLater(session, frame.ref),
    );
  }

  broadcast(session: Session, frame: BroadcastFrame): void {
    if (!this.mayFanOut(session, frame.ref)) return;
    const envelope: Envelope = {
      kind: 'broadcast',
      origin: this.options.worker,
      patterns: sendPatterns(session.identity.permissions),
      except: session.ref.session,
      skip: frame.options.except ?? [],
      body: encodeMessageBody(bodyOf(session, frame)),
    };
    const { delivery, fanOut, relay } = this.options;
    const receivers = delivery.toMatching(envelope);
    // Connections are spread evenly over the workers of a node.
    fanOut.charge(session, receivers * relay.width, envelope.body.length);
    if (relay.sendToAll(envelope)) session.ok(frame.ref, null);
    else this.options.refusals.tell(session, frame.ref, 'unavailable', 'Not every worker could be reached.');
  }

  publish(session: Session, frame: PublishFrame): void {
    if (!this.mayFanOut(session, frame.ref)) return;
    const { room, seq, options } = frame;
    const { client, session: id } = session.ref;
    const skip: string[] = [...(options.except ?? [])];
    if (options.self === false) skip.push(`${client}#${id}`);
    const body = encodeRoomMessageBody(room, bodyOf(session, frame));
    session
      .appending(
        this.options.store.append({
          channel: { kind: 'room', room },
          sender: session.ref,
          seq,
          first: options.first ?? null,
          ttlMs: null,
          keep: false,
          only: null,
          skip,
          body,
        }),
      )
      .then(
        (result) => {
          if (result.status === 'accepted') this.options.fanOut.charge(session, result.readers, body.length);
          this.answerAppend(session, frame, result);
        },
        this.refuseLater(session, frame.ref),
      );
  }

  /** @param take of a server's request: its answer comes back here, and to no connection */
  request(session: Session, frame: RequestFrame, take?: (answer: Answer) => void): void {
    const address = parseAddress(frame.to);
    if (address === null || !maySend(session.identity.permissions, address.client)) {
      this.options.refusals.tell(session, frame.ref, 'not_found');
      return;
    }
    const body = encodeMessageBody(bodyOf(session, frame));
    const waiting = this.options.waiting.of(session.ref.session);
    const text = refusalOfWaiting(waiting, body.length, this.options);
    if (text !== null) {
      this.options.refusals.tell(session, frame.ref, 'limit', text);
      return;
    }
    const asked = { asker: session.ref, ref: frame.ref, ...(take === undefined ? {} : { take }) };
    const handle = this.pending.open(asked, frame.timeoutMs, { address, body });
    this.dispatchRequest(handle, address, body);
  }

  reply(session: Session, frame: ReplyFrame): void {
    const { payload } = frame;
    const body = new Uint8Array(1 + payload.data.length);
    body[0] = payload.encoding;
    body.set(payload.data, 1);
    this.answerRequest(session, frame.handle, '', '', body);
  }

  reject(session: Session, frame: RejectFrame): void {
    this.answerRequest(session, frame.handle, frame.code, frame.text, NO_BODY);
  }

  /** A session has handed a message over: its sender hears of it, if it asked to. */
  receipt(session: Session, { to, seq }: ReceiptFrame): void {
    const address = parseAddress(to);
    if (address === null || address.session === null) return;
    const letter: Letter = { kind: 'delivered', by: session.ref.client, seq };
    this.postman.send(address.client, address.session, letter, false);
  }

  /** Asks the sessions of a target whether they have handed a message over. */
  confirm(session: Session, { to, seq }: ConfirmFrame): void {
    const address = parseAddress(to);
    if (address === null || !maySend(session.identity.permissions, address.client)) return;
    awaitDelivery(session, address.client, seq);
    const { client: from, session: sender } = session.ref;
    const ask = (places: readonly SessionPlace[]): void => {
      for (const place of places) {
        if (!place.connected || (address.session !== null && place.session !== address.session)) continue;
        this.postman.send(place.client, place.session, { kind: 'asked', from, sender, seq }, false);
      }
    };
    const places = this.options.routes.peek(address.client);
    if (places !== undefined) ask(places);
    else this.options.routes.load(address.client).then(ask, () => undefined);
  }

  /** Asks one session of a client into a pair that is claimed already; its answer, or a refusal, goes to who asked. */
  offerPair(
    offer: { session: Session; ref: number; address: Address; body: Uint8Array; timeoutMs: number },
    settled: (isAnswered: boolean) => void,
  ): void {
    const { session, ref, address, body, timeoutMs } = offer;
    const text = refusalOfWaiting(this.options.waiting.of(session.ref.session), body.length, this.options);
    if (text !== null) {
      settled(false);
      this.options.refusals.tell(session, ref, 'limit', text);
      return;
    }
    const asked = { asker: session.ref, ref, settled };
    const handle = this.pending.open(asked, timeoutMs, { address, body }, 'pair');
    this.dispatchRequest(handle, address, body);
  }

  /** Tells a session, wherever it is, that its pair is over. */
  unpair(client: ClientId, session: SessionId, pair: PairId, code: Code): void {
    this.postman.send(client, session, { kind: 'unpaired', pair, code }, false);
  }

  /** Ends the connection of a session, wherever it is. */
  hangUp(client: ClientId, session: SessionId, code: CloseCode): void {
    this.postman.send(client, session, { kind: 'close', code }, false);
  }

  /** Has a session join or leave a room, or leave all, wherever it is; resolves with why not, null where it is done. */
  move({ client, session }: SessionPlace, room: RoomName | null, joins: boolean): Promise<Code | null> {
    return this.moves.ask(session, (handle) => {
      this.postman.send(client, session, { kind: 'move', handle, room, joins }, false);
    });
  }

  receive(
    envelope: Exclude<Envelope, ErrandEnvelope | ErrandDoneEnvelope | ServeEnvelope | ServedEnvelope>,
  ): void {
    switch (envelope.kind) {
      case 'deliver':
        if (!this.options.delivery.toSessions(envelope.client, envelope.sessions, envelope.body)) {
          this.options.relay.send(envelope.origin, { kind: 'missing', client: envelope.client, handle: '' });
        }
        return;
      case 'request':
        if (!this.options.delivery.requestTo(envelope)) {
          const { client, handle } = envelope;
          this.options.relay.send(envelope.origin, { kind: 'missing', client, handle });
        }
        return;
      case 'missing':
        this.options.routes.forget(envelope.client);
        if (envelope.handle.startsWith('~')) this.options.streams.missing(envelope.handle, envelope.client);
        else if (envelope.handle !== '') this.retryRequest(envelope.handle);
        return;
      case 'response':
        if (!this.moves.settle(envelope)) this.pending.settle(envelope);
        return;
      case 'letter':
        this.postman.deliver(envelope);
        return;
      case 'broadcast':
        this.options.delivery.toMatching(envelope);
        return;
      case 'stream':
        this.options.streams.receive(envelope);
        return;
      default:
        envelope satisfies never;
    }
  }

  /** Refuses the call where not. */
  private mayFanOut(session: Session, ref: number): boolean {
    if (this.options.fanOut.allows(session)) return true;
    this.options.refusals.tell(
      session,
      ref,
      'limit',
      'Too many bytes to too many receivers: try again later.',
    );
    return false;
  }

  private sendTo(
    session: Session,
    frame: SendFrame,
    to: string,
    body: Uint8Array,
  ): Routed | Promise<SendResult> {
    const address = parseAddress(to);
    if (address === null || !maySend(session.identity.permissions, address.client)) return 'absent';
    if (frame.seq !== 0) return this.append(session, frame, address, body);
    const places = this.options.routes.peek(address.client);
    if (places !== undefined) return this.deliver(address, places, body);
    return this.options.routes.load(address.client).then((loaded) => this.deliver(address, loaded, body));
  }

  private append(
    session: Session,
    { seq, options }: SendFrame,
    address: Address,
    body: Uint8Array,
  ): Promise<AppendResult> {
    if (options.delivered === true && seq !== null) awaitDelivery(session, address.client, seq);
    return session.appending(
      this.options.store.append({
        channel: { kind: 'inbox', client: address.client },
        sender: session.ref,
        seq,
        first: options.first ?? null,
        ttlMs: options.ttlMs ?? null,
        // Guests come under ever new ids, and any guest may send to all of them: what is kept for ids that nobody ever had
        // would push out what is kept for others.
        keep: options.offline === 'keep' && !address.client.startsWith(GUEST_PREFIX),
        only: address.session,
        skip: [],
        body,
      }),
    );
  }

  private answerSend(session: Session, frame: SendFrame, result: SendResult): void {
    if (result === 'absent') this.options.refusals.tell(session, frame.ref, 'not_found');
    else if (result !== 'sent') this.answerAppend(session, frame, result);
  }

  private answerAppend(session: Session, { ref, seq }: SendFrame | PublishFrame, result: AppendResult): void {
    const { refusals } = this.options;
    switch (result.status) {
      case 'accepted':
        if (seq !== 0) session.ok(ref, { id: result.id });
        return;
      case 'duplicate':
        session.ok(ref, { id: null });
        return;
      case 'absent':
        refusals.tell(session, ref, 'not_found');
        return;
      case 'superseded':
        refusals.tell(session, ref, 'superseded');
        return;
      case 'out_of_order':
        refusals.tell(session, ref, 'out_of_order', CODES.out_of_order.text, result.expected);
        return;
      default:
        result satisfies never;
    }
  }

  /** A volatile message: to every worker that holds a connected session of the target. */
  private deliver(address: Address, places: readonly SessionPlace[], body: Uint8Array): Routed {
    const [only] = places;
    // Most clients have one session.
    if (places.length === 1 && only?.connected === true && address.session === null) {
      this.handOver(only.worker, address.client, [only.session], body);
      return 'sent';
    }
    const byWorker = groupByWorker(address, places);
    if (byWorker === null) return 'absent';
    if (byWorker.size === 0) this.options.countDropped('away');
    for (const [worker, sessions] of byWorker) this.handOver(worker, address.client, sessions, body);
    return 'sent';
  }

  private handOver(worker: WorkerId, client: ClientId, sessions: SessionId[], body: Uint8Array): void {
    const origin = this.options.worker;
    if (!this.options.relay.send(worker, { kind: 'deliver', origin, client, sessions, body }))
      this.options.countDropped('unreachable');
  }

  private dispatchRequest(handle: string, address: Address, body: Uint8Array): void {
    const refuse = (code: Code): void => {
      this.pending.refuse(handle, code, CODES[code].text);
    };
    const places = this.options.routes.peek(address.client);
    const loaded = places === undefined ? this.options.routes.load(address.client) : Promise.resolve(places);
    loaded.then(
      (known) => {
        const named = known.filter(({ session }) => address.session === null || session === address.session);
        const place = named.find(({ connected }) => connected);
        if (place === undefined) {
          refuse(named.length === 0 ? 'not_found' : 'unavailable');
          return;
        }
        const { client, session, worker } = place;
        this.pending.expectFrom(handle, session);
        const origin = this.options.worker;
        if (!this.options.relay.send(worker, { kind: 'request', origin, handle, client, session, body })) {
          refuse('unavailable');
        }
      },
      (error: unknown) => {
        refuse(error instanceof GatewayError ? error.code : 'internal_error');
      },
    );
  }

  /** The worker that was asked does not hold the session: nothing was executed, so asking anew is safe, once. */
  private retryRequest(handle: string): void {
    const again = this.pending.retry(handle);
    if (again === 'unknown') return;
    if (again === 'retried') this.pending.refuse(handle, 'unavailable', CODES.unavailable.text);
    else this.dispatchRequest(handle, again.address, again.body);
  }

  private refuseLater(session: Session, ref: number): (error: unknown) => void {
    const { refusals } = this.options;
    return (error) => {
      if (error instanceof GatewayError) {
        refusals.tell(session, ref, error.code, error.message);
        return;
      }
      session.log.error({ err: error }, 'a call failed');
      refusals.tell(session, ref, 'internal_error');
    };
  }

  private answerRequest(
    session: Session,
    handle: string,
    code: Code | '',
    text: string,
    body: Uint8Array,
  ): void {
    const worker = workerOf(handle);
    // An answer to nobody is dropped like a late one: a client cannot tell, and learns nothing about handles.
    if (worker === null || kindOf(handle) === 'move') return;
    const answering = session.ref.session;
    this.options.relay.send(worker, { kind: 'response', handle, session: answering, code, text, body });
  }
}

type SendResult = Routed | AppendResult;

function isAbsent(result: SendResult): boolean {
  return result === 'absent' || (typeof result === 'object' && result.status === 'absent');
}

const NO_BODY = new Uint8Array(0);

/** Remembers that the session wants to hear when the message was handed over; a receipt that nobody awaits goes nowhere. */
function awaitDelivery(session: Session, client: ClientId, seq: number): void {
  const awaited = (session.awaited ??= new Set());
  awaited.add(`${client} ${String(seq)}`);
  const [oldest] = awaited;
  if (awaited.size > AWAITED_LIMIT && oldest !== undefined) awaited.delete(oldest);
}

function readLetter(session: Session, letter: Exclude<Letter, { kind: 'move' }>): void {
  switch (letter.kind) {
    case 'response': {
      const { ref, code, text, encoding, data } = letter;
      if (code !== '') session.refuse(ref, code, text);
      else session.send({ type: 'response', ref, payload: { encoding, data } });
      return;
    }
    case 'delivered':
      if (session.awaited?.delete(`${letter.by} ${String(letter.seq)}`) === true)
        session.send({ type: 'delivered', by: letter.by, seq: letter.seq });
      return;
    case 'asked':
      session.send({ type: 'asked', from: letter.from, session: letter.sender, seq: letter.seq });
      return;
    case 'unpaired':
      session.send({ type: 'unpaired', pair: letter.pair, code: letter.code });
      return;
    case 'close': {
      const { close, then } = CODES[letter.code];
      session.ended ||= then === 'stop';
      session.close(letter.code, close, then === 'stop' ? 0 : Math.round(Math.random() * RETRY_SPREAD_MS));
      return;
    }
    default:
      letter satisfies never;
  }
}

/** What receivers see: the sender's identity is the gateway's word, and little of the options travels on. */
function bodyOf(
  session: Session,
  frame: SendFrame | BroadcastFrame | RequestFrame | PublishFrame,
): MessageBody {
  return { options: forReceivers(frame), sender: session.sender, event: frame.event, payload: frame.payload };
}

/** Null when the target does not exist; an empty map when none of its sessions is connected now. */
function groupByWorker(address: Address, places: readonly SessionPlace[]): Map<WorkerId, SessionId[]> | null {
  let exists = false;
  const byWorker = new Map<WorkerId, SessionId[]>();
  for (const { session, worker, connected } of places) {
    if (address.session !== null && session !== address.session) continue;
    exists = true;
    if (!connected) continue;
    const sessions = byWorker.get(worker);
    if (sessions === undefined) byWorker.set(worker, [session]);
    else sessions.push(session);
  }
  return exists ? byWorker : null;
}

function forReceivers(frame: SendFrame | BroadcastFrame | RequestFrame | PublishFrame): MessageOptions {
  const { trace, delivered } = frame.options;
  const seq = 'seq' in frame ? frame.seq : null;
  const isNumbered = seq !== null && seq > 0;
  if (trace === undefined && !isNumbered) return NO_OPTIONS;
  const options: MessageOptions = {};
  if (trace !== undefined) options.trace = trace;
  if (isNumbered) {
    options.seq = seq;
    if (delivered === true) options.delivered = true;
  }
  return options;
}
