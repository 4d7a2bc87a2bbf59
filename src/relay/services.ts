// Services: calls go to one of the sessions that provide a service, the least busy one, wherever it is. Its providers are the
// members of the room `~<service>~`, so that what holds for members (resume, leases, a dead worker) holds for them.
import { type Code, CODES } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { ServiceCallFrame, RejectFrame, ReplyFrame } from '../protocol/frame.js';
import {
  parseServiceRoom,
  providersOf,
  type RoomName,
  type ServiceName,
  type SessionId,
  type WorkerId,
} from '../protocol/ids.js';
import { encodeMessageBody, NO_OPTIONS } from '../protocol/msgpack-codec.js';
import type { FrameCodec } from '../protocol/frame.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { MemberPlace, Store } from '../session/store/store.js';
import { MEMBER_PLACES_LIMIT } from '../session/store/store.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import { makeHandle, workerOf } from './handles.js';
import type { Answer, Asked } from './pending-requests.js';
import { ProviderLoads } from './provider-loads.js';
import type { Relay } from './relay.js';
import { PlaceCache } from './route-cache.js';
import type { ServedEnvelope, ServeEnvelope } from './service-envelope.js';
import { Serving } from './serving.js';
import { refusalOfWaiting, type WaitingCounts } from './waiting-counts.js';

/** Of a connection that is none, so that the next look finds another one. */
const NO_GENERATION = -1;

export interface ServicesOptions {
  worker: WorkerId;
  store: Store;
  registry: SessionRegistry;
  relay: Relay;
  wheel: TimerWheel;
  msgpack: FrameCodec;
  refusals: Refusals;
  waiting: WaitingCounts;
  requestsPendingLimit: number;
  requestsPendingLimitBytes: number;
  /** Most calls that one provider has at once. */
  callsServedLimit: number;
  /** Takes an answer to who asked, wherever its connection is now. */
  answer: (asked: Asked, answer: Answer) => void;
  /** How each call ended, and each time that it went to another provider. */
  count: (outcome: CallOutcome) => void;
}
export type CallOutcome = 'answered' | 'refused' | 'timeout' | 'provider_gone' | 'retried';

/** Changes of the providers are looked at together, ms: a dead worker may have been many of them. */
const LOOK_AGAIN_MS = 100;
/** A call that as many providers have sent away has found none. */
const TRIES_LIMIT = 16;

interface Call extends Asked {
  service: ServiceName;
  body: Uint8Array;
  idempotent: boolean;
  /** Monotonic ms. */
  endsAt: number;
  deadline: Deadline;
  /** Who has it; null while nobody has. */
  at: MemberPlace | null;
  /** It was given to its provider on an earlier connection. */
  again: boolean;
  /** Connections of providers that it was sent to, and whether these do not take it; the others were not there. */
  tried: Map<string, boolean>;
  /** Why nobody has taken it, should nobody do. */
  refusal: Code;
}

export class Services {
  private readonly providers: PlaceCache<ServiceName, MemberPlace>;
  private readonly loads: ProviderLoads;
  private readonly serving: Serving;
  private readonly calls = new Map<string, Call>();
  private readonly byService = new Map<ServiceName, Set<string>>();
  private readonly looking = new Set<ServiceName>();
  private opened = 0;

  constructor(private readonly options: ServicesOptions) {
    const { store, worker, wheel, callsServedLimit } = options;
    this.providers = new PlaceCache((service) => store.locateMembers(providersOf(service), worker, false));
    this.loads = new ProviderLoads();
    this.serving = new Serving(wheel, callsServedLimit);
  }

  call(session: Session, frame: ServiceCallFrame): void {
    const { refusals, waiting, wheel, worker } = this.options;
    const { ref, service, timeoutMs, options, payload } = frame;
    const { trace, idempotent = false } = options;
    const body = encodeMessageBody({
      options: trace === undefined ? NO_OPTIONS : { trace },
      sender: session.sender,
      // A service's name is an event's, and shorter.
      event: service,
      payload,
    });
    const text = refusalOfWaiting(waiting.of(session.ref.session), body.length, this.options);
    if (text !== null) {
      refusals.tell(session, ref, 'limit', text);
      return;
    }
    const handle = makeHandle(worker, 'call', ++this.opened);
    const call: Call = {
      asker: session.ref,
      ref,
      service,
      body,
      idempotent,
      endsAt: performance.now() + timeoutMs,
      deadline: wheel.in(timeoutMs, () => {
        this.refuse(handle, call, 'timeout');
      }),
      at: null,
      again: false,
      tried: new Map(),
      refusal: 'not_found',
    };
    waiting.add(session.ref.session, body.length);
    this.calls.set(handle, call);
    const others = this.byService.get(service);
    if (others === undefined) this.byService.set(service, new Set([handle]));
    else others.add(handle);
    this.dispatch(handle, call);
  }

  /** The answer of a provider, where it has the call. */
  reply(session: Session, { handle, payload }: ReplyFrame): void {
    const body = new Uint8Array(1 + payload.data.length);
    body[0] = payload.encoding;
    body.set(payload.data, 1);
    this.served(session.ref.session, handle, 'answer', { code: '', text: '', body });
  }

  reject(session: Session, { handle, code, text }: RejectFrame): void {
    this.served(session.ref.session, handle, 'answer', { code, text, body: NO_BODY });
  }

  /** A connection is gone. */
  leave(session: Session): void {
    this.serving.leave(session.ref.session);
  }

  receive(envelope: ServeEnvelope | ServedEnvelope): void {
    if (envelope.kind === 'serve') this.serve(envelope);
    else this.settle(envelope);
  }

  /** The members of a service's room are not where they were. */
  changed(room: RoomName): void {
    const own = parseServiceRoom(room);
    if (own?.topic !== '') return;
    this.providers.forget(own.service);
    this.lookAgain(own.service);
  }

  /** Changes may have been missed, or will not be told much longer. */
  refresh(): void {
    this.providers.clear();
    for (const service of this.byService.keys()) this.lookAgain(service);
  }

  private serve({ origin, handle, session: id, service, timeoutMs, again, body }: ServeEnvelope): void {
    const session = this.options.registry.get(id);
    const outcome =
      session === undefined || session.ended || !session.rooms.has(providersOf(service))
        ? 'missing'
        : this.serving.take(id, handle, timeoutMs, again)
          ? null
          : 'busy';
    if (outcome === null)
      session?.deliver(PreparedFrame.of('called', handle, body, this.options.msgpack), false);
    else this.tell(origin, id, handle, outcome, { code: '', text: '', body: NO_BODY });
  }

  private served(
    session: SessionId,
    handle: string,
    outcome: ServedEnvelope['outcome'],
    answer: Pick<ServedEnvelope, 'code' | 'text' | 'body'>,
  ): void {
    const worker = workerOf(handle);
    // As with requests: an answer to nobody is dropped.
    if (worker === null) return;
    this.serving.drop(session, handle);
    this.tell(worker, session, handle, outcome, answer);
  }

  private tell(
    to: WorkerId,
    session: SessionId,
    handle: string,
    outcome: ServedEnvelope['outcome'],
    answer: Pick<ServedEnvelope, 'code' | 'text' | 'body'>,
  ): void {
    const load = this.serving.load(session);
    this.options.relay.send(to, { kind: 'served', handle, session, outcome, load, ...answer });
  }

  private dispatch(handle: string, call: Call): void {
    const known = this.providers.peek(call.service);
    if (known !== undefined) this.give(handle, call, known);
    else this.load(call.service, (list) => this.calls.get(handle) === call && this.give(handle, call, list));
  }

  private load(service: ServiceName, use: (list: readonly MemberPlace[]) => void): void {
    this.providers.load(service).then(use, (error: unknown) => {
      const code = error instanceof GatewayError ? error.code : 'internal_error';
      for (const [handle, call] of this.callsOf(service))
        if (call.at === null) this.refuse(handle, call, code);
    });
  }

  private give(handle: string, call: Call, list: readonly MemberPlace[]): void {
    for (;;) {
      const hopeful = list.filter((place) => call.tried.get(nameOf(place)) !== true);
      if (hopeful.length === 0 || call.tried.size >= TRIES_LIMIT) {
        // Who was asked and was not there has gone for good meanwhile.
        const isNobody = list.length === 0 && call.refusal === 'unavailable';
        this.refuse(handle, call, isNobody ? 'not_found' : call.refusal);
        return;
      }
      const place = this.loads.leastBusy(
        hopeful.filter((provider) => provider.connected && !call.tried.has(nameOf(provider))),
      );
      // Those that are left may be back soon: `changed` tells.
      if (place === undefined) return;
      if (this.sendTo(handle, call, place)) return;
      call.tried.set(nameOf(place), true);
      call.refusal = 'unavailable';
    }
  }

  /** False where it surely does not arrive. */
  private sendTo(handle: string, call: Call, place: MemberPlace): boolean {
    const { relay, worker: origin } = this.options;
    const { service, again, body, endsAt } = call;
    const { session, worker } = place;
    const timeoutMs = Math.max(1, endsAt - performance.now());
    const before = call.at;
    call.tried.set(nameOf(place), false);
    // First: a provider of this worker answers within `send`, where it is busy.
    if (before === null) this.loads.begin(session);
    call.at = place;
    const isSent = relay.send(worker, {
      kind: 'serve',
      origin,
      handle,
      session,
      service,
      timeoutMs,
      again,
      body,
    });
    if (isSent) return true;
    if (before === null) this.loads.end(session);
    call.at = before;
    return false;
  }

  private settle({ handle, session, outcome, load, code, text, body }: ServedEnvelope): void {
    const call = this.calls.get(handle);
    if (call?.at?.session !== session) return;
    // This call counts among those that wait for it, and not any more among those that it has.
    this.loads.tell(session, load + 1);
    // A provider that takes no more has not begun either.
    if (outcome === 'answer' && code !== 'busy' && code !== 'no_handler') {
      const encoding = body[0];
      this.options.count('answered');
      if (code !== '' || encoding === undefined)
        this.finish(handle, call, { code: code === '' ? 'rejected' : code, text, byGateway: false });
      else this.finish(handle, call, { payload: { encoding, data: body.subarray(1) } });
      return;
    }
    if (outcome === 'missing') this.providers.forget(call.service);
    // On an earlier connection it may have begun: only its own provider may say more.
    if (call.again && !call.idempotent) {
      // Its worker has not let it in yet: what is known of it is nothing, so it is given the call once more.
      if (outcome === 'missing') call.at = { ...call.at, generation: NO_GENERATION };
      if (outcome === 'missing') this.lookAgain(call.service);
      return;
    }
    call.tried.set(nameOf(call.at), outcome !== 'missing');
    this.take(call);
    call.refusal =
      outcome === 'missing' ? 'unavailable' : outcome === 'busy' || code === 'busy' ? 'busy' : 'no_handler';
    this.options.count('retried');
    this.dispatch(handle, call);
    // No further change may come to be told of.
    if (outcome === 'missing') this.lookAgain(call.service);
  }

  private lookAgain(service: ServiceName): void {
    if (!this.byService.has(service) || this.looking.has(service)) return;
    this.looking.add(service);
    this.options.wheel.in(LOOK_AGAIN_MS, () => {
      this.looking.delete(service);
      this.load(service, (list) => {
        for (const [handle, call] of this.callsOf(service)) this.look(handle, call, list);
      });
    });
  }

  /** Whether its provider is still there; on a new connection it is given the call again, and knows it if it had it. */
  private look(handle: string, call: Call, list: readonly MemberPlace[]): void {
    const { at } = call;
    if (at === null) {
      for (const [name, hasRefused] of call.tried) if (!hasRefused) call.tried.delete(name);
      this.give(handle, call, list);
      return;
    }
    const place = list.find(({ session }) => session === at.session);
    if (place === undefined) {
      // Of a longer list these are not all.
      if (list.length < MEMBER_PLACES_LIMIT) this.gone(handle, call);
    } else if (place.connected && place.generation !== at.generation) {
      call.again = true;
      this.sendTo(handle, call, place);
    }
  }

  private gone(handle: string, call: Call): void {
    call.refusal = 'provider_gone';
    if (!call.idempotent) {
      this.refuse(handle, call, 'provider_gone');
      return;
    }
    this.take(call);
    call.again = false;
    this.options.count('retried');
    this.dispatch(handle, call);
  }

  /** Its provider has it no more. */
  private take(call: Call): void {
    if (call.at !== null) this.loads.end(call.at.session);
    call.at = null;
  }

  private refuse(handle: string, call: Call, code: Code): void {
    this.options.count(code === 'timeout' || code === 'provider_gone' ? code : 'refused');
    this.finish(handle, call, { code, text: CODES[code].text, byGateway: true });
  }

  private finish(handle: string, call: Call, answer: Answer): void {
    const handles = this.byService.get(call.service);
    this.calls.delete(handle);
    handles?.delete(handle);
    if (handles?.size === 0) this.byService.delete(call.service);
    call.deadline.cancel();
    this.take(call);
    this.options.waiting.remove(call.asker.session, call.body.length);
    this.options.answer(call, answer);
  }

  private callsOf(service: ServiceName): [string, Call][] {
    return [...(this.byService.get(service) ?? [])].flatMap((handle) => {
      const call = this.calls.get(handle);
      return call === undefined ? [] : [[handle, call]];
    });
  }
}

const NO_BODY = new Uint8Array(0);

/** One connection of a provider. */
function nameOf({ session, generation }: MemberPlace): string {
  return `${session} ${String(generation)}`;
}
