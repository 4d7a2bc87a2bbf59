// The router: which sessions does a message go to, and where are they?
import { CODES } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { BroadcastFrame, PublishFrame, SendFrame } from '../protocol/frame.js';
import {
  type Address,
  type ClientId,
  GUEST_PREFIX,
  parseAddress,
  type SessionId,
  type WorkerId,
} from '../protocol/ids.js';
import { encodeMessageBody, encodeRoomMessageBody } from '../protocol/msgpack-codec.js';
import { maySend, sendPatterns } from '../session/permissions.js';
import type { FanOut } from '../session/fan-out.js';
import type { Refusals } from '../session/refusals.js';
import type { Session } from '../session/session.js';
import type { AppendRequest, AppendResult, SessionPlace, Store, Waiter } from '../session/store/store.js';
import type { Delivery } from './delivery.js';
import type { Envelope, ErrandDoneEnvelope, ErrandEnvelope } from './envelope.js';
import { awaitDelivery, type Letters } from './letters.js';
import { messageBodyOf } from './message-body.js';
import type { Relay } from './relay.js';
import type { Requests } from './requests.js';
import type { RouteCache } from './route-cache.js';
import type { StandingOffers } from './standing-offers.js';
import type { ServedEnvelope, ServeEnvelope } from './service-envelope.js';
import type { Streams } from './streams.js';

export interface RouterOptions {
  worker: WorkerId;
  store: Store;
  relay: Relay;
  routes: RouteCache;
  delivery: Delivery;
  requests: Requests;
  letters: Letters;
  streams: Streams;
  standing: StandingOffers;
  refusals: Refusals;
  fanOut: FanOut;
  /** Counts volatile messages that could not be handed over, by reason. */
  countDropped: (reason: 'unreachable' | 'away') => void;
}

type Routed = 'sent' | 'absent';

export class Router {
  constructor(private readonly options: RouterOptions) {}

  send(session: Session, frame: SendFrame): void {
    const { to } = frame;
    if (Array.isArray(to) && !this.mayFanOut(session, frame.ref)) return;
    const body = encodeMessageBody(messageBodyOf(session, frame));
    if (!Array.isArray(to)) {
      this.sendToOne(session, frame, to, body);
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
      (error: unknown) => {
        this.refuse(session, frame.ref, error);
      },
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
      body: encodeMessageBody(messageBodyOf(session, frame)),
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
    const body = encodeRoomMessageBody(room, messageBodyOf(session, frame));
    const request: AppendRequest = {
      channel: { kind: 'room', room },
      sender: session.ref,
      seq,
      first: options.first ?? null,
      ttlMs: null,
      keep: false,
      only: null,
      skip,
      body,
    };
    session.appending(isAnswered(frame.ref, seq));
    this.options.store.appendFor(request, new Appending(this, session, frame.ref, seq, body.length));
  }

  /** An append that somebody waits for was made, or not. `bytes` are those of a message to a room, 0 of another one. */
  appended(session: Session, ref: number, seq: number | null, bytes: number, result: AppendResult): void {
    session.appended(isAnswered(ref, seq));
    if (bytes > 0 && result.status === 'accepted') this.options.fanOut.charge(session, result.readers, bytes);
    this.answerAppend(session, ref, seq, result);
  }

  failed(session: Session, ref: number, seq: number | null, error: unknown): void {
    session.appended(isAnswered(ref, seq));
    this.refuse(session, ref, error);
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
        else if (envelope.handle !== '') this.options.requests.retry(envelope.handle);
        return;
      case 'response':
        if (!this.options.letters.settle(envelope)) this.options.requests.settle(envelope);
        return;
      case 'letter':
        if (envelope.letter.kind === 'wanted') this.options.standing.give(envelope, envelope.letter);
        else this.options.letters.deliver(envelope);
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

  /** The hot path: without a promise, but where the store has to be asked first where the target is. */
  private sendToOne(session: Session, frame: SendFrame, to: string, body: Uint8Array): void {
    const { ref, seq } = frame;
    const address = parseAddress(to);
    if (address === null || !maySend(session.identity.permissions, address.client)) {
      this.options.refusals.tell(session, ref, 'not_found');
      return;
    }
    const { standing } = frame.options;
    if (standing !== undefined) this.options.standing.note(session, address.client);
    if (seq !== 0) {
      const request = appendRequestOf(session, frame, address, body);
      session.appending(isAnswered(ref, seq));
      // The frame itself, and with it the bytes that it came in, is not needed any more.
      this.options.store.appendFor(request, new Appending(this, session, ref, seq, 0));
      return;
    }
    const routed =
      standing === undefined || standing === ''
        ? this.route(address, body)
        : this.route(address, body, (places) => {
            this.options.standing.ask(session, address, places, standing);
          });
    if (routed === 'absent') this.options.refusals.tell(session, ref, 'not_found');
    else if (routed !== 'sent') {
      routed.then(
        (result) => {
          if (result === 'absent') this.options.refusals.tell(session, ref, 'not_found');
        },
        (error: unknown) => {
          this.refuse(session, ref, error);
        },
      );
    }
  }

  private async sendTo(
    session: Session,
    frame: SendFrame,
    to: string,
    body: Uint8Array,
  ): Promise<SendResult> {
    const address = parseAddress(to);
    if (address === null || !maySend(session.identity.permissions, address.client)) return 'absent';
    if (frame.seq === 0) return this.route(address, body);
    // The list has one answer, which nothing waits for.
    session.appending(false);
    try {
      return await this.options.store.append(appendRequestOf(session, frame, address, body));
    } finally {
      session.appended(false);
    }
  }

  /** @param ahead is told where the target is before it gets the message */
  private route(
    address: Address,
    body: Uint8Array,
    ahead?: (places: readonly SessionPlace[]) => void,
  ): Routed | Promise<Routed> {
    const places = this.options.routes.peek(address.client);
    if (places === undefined)
      return this.options.routes.load(address.client).then((loaded) => {
        ahead?.(loaded);
        return this.deliver(address, loaded, body);
      });
    ahead?.(places);
    return this.deliver(address, places, body);
  }

  private answerAppend(session: Session, ref: number, seq: number | null, result: AppendResult): void {
    const { refusals } = this.options;
    switch (result.status) {
      case 'accepted':
        if (seq !== 0) session.accept(ref, result.id);
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

  private refuse(session: Session, ref: number, error: unknown): void {
    const { refusals } = this.options;
    if (error instanceof GatewayError) {
      refusals.tell(session, ref, error.code, error.message);
      return;
    }
    session.log.error({ err: error }, 'a call failed');
    refusals.tell(session, ref, 'internal_error');
  }
}

/** One append that is under way: all that is kept of its frame. */
class Appending implements Waiter<AppendResult> {
  constructor(
    private readonly router: Router,
    private readonly session: Session,
    private readonly ref: number,
    private readonly seq: number | null,
    private readonly bytes: number,
  ) {}

  resolve(result: AppendResult): void {
    this.router.appended(this.session, this.ref, this.seq, this.bytes, result);
  }

  reject(error: unknown): void {
    this.router.failed(this.session, this.ref, this.seq, error);
  }
}

/** Volatile messages have no answer but a refusal. */
function isAnswered(ref: number, seq: number | null): boolean {
  return ref !== 0 && seq !== 0;
}

function appendRequestOf(
  session: Session,
  { seq, options }: SendFrame,
  address: Address,
  body: Uint8Array,
): AppendRequest {
  if (options.delivered === true && seq !== null) awaitDelivery(session, address.client, seq);
  return {
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
  };
}

type SendResult = Routed | AppendResult;

function isAbsent(result: SendResult): boolean {
  return result === 'absent' || (typeof result === 'object' && result.status === 'absent');
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
