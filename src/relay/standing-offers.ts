// Standing offers: what a session left for the first who calls it goes out the moment the call comes in, from the callee's worker.
import type { StandingOfferFrame } from '../protocol/frame.js';
import type { Address, ClientId, SessionId, WorkerId } from '../protocol/ids.js';
import type { FrameCodec } from '../protocol/frame.js';
import { encodeMessageBody, encodeSender } from '../protocol/msgpack-codec.js';
import { encodePayload } from '../protocol/payload.js';
import { maySend } from '../session/permissions.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import { RecentCalls } from '../session/recent-calls.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { SessionPlace } from '../session/store/store.js';
import type { LetterEnvelope } from './envelope.js';
import type { Relay } from './relay.js';

export interface StandingOffersOptions {
  worker: WorkerId;
  registry: SessionRegistry;
  relay: Relay;
  codec: FrameCodec;
  now: () => number;
  count: (outcome: StandingOutcome) => void;
}

/**
 * `left`: with the gateway, `given`: to one that asked. All others were asked for and not given: `none` stood there, the two called each other
 * at the same time (`crossed`), its session may not send to who asked (`forbidden`), who asked has asked too often (`limit`), or the client
 * has no connected session, or several (`sessions`).
 */
export type StandingOutcome = 'left' | 'given' | 'none' | 'crossed' | 'forbidden' | 'limit' | 'sessions';

type Wanted = Extract<LetterEnvelope['letter'], { kind: 'wanted' }>;

export class StandingOffers {
  constructor(private readonly options: StandingOffersOptions) {}

  /** It is a connection's: who comes back leaves another one. */
  leave(session: Session, { ref, id, event, payload }: StandingOfferFrame): void {
    // A view of the memory that the frame came in would hold all of that.
    const own = { ...payload, data: new Uint8Array(payload.data) };
    session.standing = own.data.length === 0 ? null : { id, event, payload: own };
    if (session.standing !== null) this.options.count('left');
    // Who takes it back may call who was given it; as long as both calls are under way, the other one's says that they cross.
    if (session.calls !== null) session.calls.givenTo = null;
    session.ok(ref, null);
  }

  /** The session calls that client, whether it wants what stands there or not. At once: a call of the other one may be the next thing read. */
  note(session: Session, client: ClientId): void {
    (session.calls ??= new RecentCalls()).note(client, this.options.now());
  }

  /**
   * For a session whose call was noted, before the call itself goes the same way. Of a client with several connected sessions nobody knows
   * which one will take the call, unless the address says, so none is asked.
   */
  ask(session: Session, address: Address, places: readonly SessionPlace[], name: string): void {
    const isMeant = (id: SessionId): boolean => address.session === null || address.session === id;
    const [place, ...others] = places.filter((one) => one.connected && isMeant(one.session));
    const { now, count } = this.options;
    if (place === undefined || others.length > 0 || place.session === session.ref.session)
      return count('sessions');
    // Its own is that one's answer, whenever it hears so: it needs no other.
    if (session.calls?.givenTo === address.client) return count('crossed');
    if (session.calls?.mayAsk(address.client, now()) !== true) return count('limit');
    this.options.relay.send(place.worker, {
      kind: 'letter',
      origin: this.options.worker,
      client: place.client,
      session: place.session,
      letter: { kind: 'wanted', from: session.ref.client, sender: session.ref.session, name },
    });
  }

  /** To one that asked: once, and where its session has not called that one itself, for then both would use two connections. */
  give({ origin, client, session: id }: LetterEnvelope, { from, sender, name }: Wanted): void {
    const { registry, relay, codec, count, now, worker } = this.options;
    const callee = registry.get(id);
    if (callee?.ref.client !== client) return count('none');
    const { standing } = callee;
    if (standing === null) return count('none');
    if (callee.calls?.has(from, now()) === true) return count('crossed');
    // What it leaves is a message of it.
    if (!maySend(callee.identity.permissions, from)) return count('forbidden');
    count('given');
    callee.standing = null;
    (callee.calls ??= new RecentCalls()).givenTo = from;
    const { event } = standing;
    const options = { trace: name };
    const told = { options, sender: encodeSender(from, sender), event, payload: encodePayload(standing.id) };
    callee.deliver(PreparedFrame.of('message', null, encodeMessageBody(told), codec), false);
    const body = encodeMessageBody({ options, sender: callee.sender, event, payload: standing.payload });
    relay.send(origin, { kind: 'deliver', origin: worker, client: from, sessions: [sender], body });
  }
}
