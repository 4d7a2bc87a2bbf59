// Standing offers: what a session left for the first who calls it goes out the moment the call comes in, from the callee's worker.
import type { StandingOfferFrame } from '../protocol/frame.js';
import type { Address, ClientId, WorkerId } from '../protocol/ids.js';
import type { FrameCodec } from '../protocol/frame.js';
import { encodeMessageBody, encodeSender } from '../protocol/msgpack-codec.js';
import { encodePayload } from '../protocol/payload.js';
import { maySend } from '../session/permissions.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { SessionPlace } from '../session/store/store.js';
import type { LetterEnvelope } from './envelope.js';
import type { Relay } from './relay.js';

/** Calls of two sessions to each other that are no further apart than this cross, ms: a round trip of each to the gateway, and more. */
const CROSSING_MS = 5_000;
/** Most clients that a session may have asked within that time: what is more is an ordinary call. */
const WANTED_LIMIT = 16;

export interface StandingOffersOptions {
  worker: WorkerId;
  registry: SessionRegistry;
  relay: Relay;
  codec: FrameCodec;
  now: () => number;
}

type Wanted = Extract<LetterEnvelope['letter'], { kind: 'wanted' }>;

export class StandingOffers {
  constructor(private readonly options: StandingOffersOptions) {}

  /** It is a connection's: who comes back leaves another one. */
  leave(session: Session, { ref, id, event, payload }: StandingOfferFrame): void {
    // A view of the memory that the frame came in would hold all of that.
    const own = { ...payload, data: new Uint8Array(payload.data) };
    session.standing = own.data.length === 0 ? null : { id, event, payload: own };
    session.ok(ref, null);
  }

  /**
   * For a session that calls, before the call itself goes the same way. Of a client with several connected sessions nobody knows which
   * one will take the call, so none is asked.
   */
  ask(session: Session, address: Address, places: readonly SessionPlace[], name: string): void {
    const connected = places.filter((place) => place.connected);
    const [place] = connected;
    if (place === undefined || connected.length > 1 || place.session === session.ref.session) return;
    if (address.session !== null && address.session !== place.session) return;
    if (!this.note(session, address.client)) return;
    this.options.relay.send(place.worker, {
      kind: 'letter',
      origin: this.options.worker,
      client: place.client,
      session: place.session,
      letter: { kind: 'wanted', from: session.ref.client, sender: session.ref.session, name },
    });
  }

  /** To one that asked: once, and where the two did not call each other at the same time, for then both would use two connections. */
  give({ origin, client, session: id }: LetterEnvelope, { from, sender, name }: Wanted): void {
    const { registry, relay, codec, worker } = this.options;
    const callee = registry.get(id);
    if (callee?.ref.client !== client) return;
    const { standing } = callee;
    if (standing === null || this.hasWanted(callee, from)) return;
    // What it leaves is a message of it.
    if (!maySend(callee.identity.permissions, from)) return;
    callee.standing = null;
    const { event } = standing;
    const options = { trace: name };
    const told = { options, sender: encodeSender(from, sender), event, payload: encodePayload(standing.id) };
    callee.deliver(PreparedFrame.of('message', null, encodeMessageBody(told), codec), false);
    const body = encodeMessageBody({ options, sender: callee.sender, event, payload: standing.payload });
    relay.send(origin, { kind: 'deliver', origin: worker, client: from, sessions: [sender], body });
  }

  /** False where it has asked too many. */
  private note(session: Session, client: ClientId): boolean {
    const now = this.options.now();
    const wanted = (session.wanted ??= new Map());
    for (const [other, at] of wanted) if (now - at > CROSSING_MS) wanted.delete(other);
    if (wanted.size >= WANTED_LIMIT && !wanted.has(client)) return false;
    wanted.set(client, now);
    return true;
  }

  private hasWanted({ wanted }: Session, client: ClientId): boolean {
    const at = wanted?.get(client);
    return at !== undefined && this.options.now() - at <= CROSSING_MS;
  }
}
