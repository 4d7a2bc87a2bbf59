// Requests: a question to one session of a client, and its one answer, back to wherever who asked is connected then.
import { type Code, CODES } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { RejectFrame, ReplyFrame, RequestFrame } from '../protocol/frame.js';
import { type Address, parseAddress, type WorkerId } from '../protocol/ids.js';
import { encodeMessageBody } from '../protocol/msgpack-codec.js';
import { maySend } from '../session/permissions.js';
import type { Refusals } from '../session/refusals.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import type { ResponseEnvelope } from './envelope.js';
import { type HandleKind, kindOf, workerOf } from './handles.js';
import { messageBodyOf } from './message-body.js';
import { type Answer, type Asked, PendingRequests } from './pending-requests.js';
import type { Relay } from './relay.js';
import type { RouteCache } from './route-cache.js';
import { refusalOfWaiting, type WaitingCounts } from './waiting-counts.js';

export interface RequestsOptions {
  worker: WorkerId;
  relay: Relay;
  routes: RouteCache;
  wheel: TimerWheel;
  refusals: Refusals;
  /** Of requests and calls together. */
  waiting: WaitingCounts;
  requestsPendingLimit: number;
  requestsPendingLimitBytes: number;
  /** Takes an answer to the session that asked. */
  answer: (asked: Asked, answer: Answer) => void;
}

interface Question {
  session: Session;
  ref: number;
  address: Address;
  body: Uint8Array;
  timeoutMs: number;
}

const NO_BODY = new Uint8Array(0);

export class Requests {
  private readonly pending: PendingRequests;

  constructor(private readonly options: RequestsOptions) {
    const { worker, wheel, waiting, answer } = options;
    this.pending = new PendingRequests(worker, wheel, answer, waiting);
  }

  /** @param take of a server's request: its answer comes back here, and to no connection */
  request(session: Session, frame: RequestFrame, take?: (answer: Answer) => void): void {
    const address = parseAddress(frame.to);
    if (address === null || !maySend(session.identity.permissions, address.client)) {
      this.options.refusals.tell(session, frame.ref, 'not_found');
      return;
    }
    const { ref, timeoutMs } = frame;
    const body = encodeMessageBody(messageBodyOf(session, frame));
    this.ask({ session, ref, address, body, timeoutMs }, 'request', take === undefined ? {} : { take });
  }

  reply(session: Session, frame: ReplyFrame): void {
    const { payload } = frame;
    const body = new Uint8Array(1 + payload.data.length);
    body[0] = payload.encoding;
    body.set(payload.data, 1);
    this.pass(session, frame.handle, '', '', body);
  }

  reject(session: Session, frame: RejectFrame): void {
    this.pass(session, frame.handle, frame.code, frame.text, NO_BODY);
  }

  /** Asks one session of a client into a pair that is claimed already; its answer, or a refusal, goes to who asked. */
  offerPair(offer: Question, settled: (isAnswered: boolean) => void): void {
    if (!this.ask(offer, 'pair', { settled })) settled(false);
  }

  /** An answer, from the worker of who was asked. */
  settle(envelope: ResponseEnvelope): void {
    this.pending.settle(envelope);
  }

  /** The worker that was asked does not hold the session: nothing was executed, so asking anew is safe, once. */
  retry(handle: string): void {
    const again = this.pending.retry(handle);
    if (again === 'unknown') return;
    if (again === 'retried') this.pending.refuse(handle, 'unavailable', CODES.unavailable.text);
    else this.dispatch(handle, again.address, again.body);
  }

  /** Refused where too much of the session waits already. */
  private ask(question: Question, kind: HandleKind, hears: Pick<Asked, 'take' | 'settled'>): boolean {
    const { session, ref, address, body, timeoutMs } = question;
    const waiting = this.options.waiting.of(session.ref.session);
    const text = refusalOfWaiting(waiting, body.length, this.options);
    if (text !== null) {
      this.options.refusals.tell(session, ref, 'limit', text);
      return false;
    }
    const handle = this.pending.open(
      { asker: session.ref, ref, ...hears },
      timeoutMs,
      { address, body },
      kind,
    );
    this.dispatch(handle, address, body);
    return true;
  }

  private dispatch(handle: string, address: Address, body: Uint8Array): void {
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

  private pass(session: Session, handle: string, code: Code | '', text: string, body: Uint8Array): void {
    const worker = workerOf(handle);
    // An answer to nobody is dropped like a late one: a client cannot tell, and learns nothing about handles.
    if (worker === null || kindOf(handle) === 'move') return;
    const answering = session.ref.session;
    this.options.relay.send(worker, { kind: 'response', handle, session: answering, code, text, body });
  }
}
