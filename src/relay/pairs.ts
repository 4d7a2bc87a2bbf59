// Pairs: two sessions that have each other for themselves. Each client has one claim in the store, which lasts as long as the worker
// of its session renews it; a partner that does not is gone.
import { randomBytes } from 'node:crypto';
import { type Code, CODES } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { EndPairFrame, HoldPairFrame, PairFrame } from '../protocol/frame.js';
import { type Address, type PairId, parseAddress, type SessionId } from '../protocol/ids.js';
import { encodeMessageBody, NO_OPTIONS } from '../protocol/msgpack-codec.js';
import { maySend } from '../session/permissions.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Store } from '../session/store/store.js';
import type { Letters } from './letters.js';
import { claimBoth, freeBoth } from './pair-claims.js';
import type { Requests } from './requests.js';

export interface PairsOptions {
  store: Store;
  registry: SessionRegistry;
  requests: Pick<Requests, 'offerPair'>;
  letters: Pick<Letters, 'unpair'>;
  refusals: Refusals;
  /** A partner that went away is told of within this time. */
  leaseMs: number;
}

/** Shares of the lease: a claim outlives two renewals that fail, and within the lease it is looked at twice after it has lapsed. */
const CLAIM_SHARE = 0.6;
const STEP_SHARE = 0.2;
/** A claim outlives the offer that it is for, for its two ends to hold it, ms. */
const OFFER_GRACE_MS = 2_000;

interface Held {
  session: Session;
  pair: PairId;
  /** Of the partner's session. */
  to: Address & { session: SessionId };
  /** It was over when it was last looked at. */
  isMissed: boolean;
}

export class Pairs {
  private readonly held = new Map<SessionId, Held>();
  private readonly claimMs: number;
  readonly stepMs: number;
  private isStepping = false;

  constructor(private readonly options: PairsOptions) {
    this.claimMs = options.leaseMs * CLAIM_SHARE;
    this.stepMs = options.leaseMs * STEP_SHARE;
  }

  ask(session: Session, frame: PairFrame): void {
    const address = parseAddress(frame.to);
    const { client } = session.ref;
    if (address === null || !maySend(session.identity.permissions, address.client)) {
      this.options.refusals.tell(session, frame.ref, 'not_found');
    } else if (address.client === client) {
      this.options.refusals.tell(session, frame.ref, 'bad_parameter', 'Nobody is in a pair with itself.');
    } else {
      const pair = randomBytes(16).toString('base64url') as PairId;
      this.offer(session, frame, address, pair).catch(this.refuseLater(session, frame.ref));
    }
  }

  /** This session is an end of the pair: it was accepted, or goes on with it on a new connection. */
  hold(session: Session, { ref, pair, to }: HoldPairFrame): void {
    const address = parseAddress(to);
    const { client, session: id } = session.ref;
    if (
      address === null ||
      address.session === null ||
      !maySend(session.identity.permissions, address.client)
    ) {
      this.options.refusals.tell(session, ref, 'not_found');
      return;
    }
    const partner = { client: address.client, session: address.session };
    this.options.store.holdPair(client, pair, this.claimMs).then(
      (isHeld) => {
        // Its connection ended meanwhile: nobody would ever let go of it.
        if (this.options.registry.get(id) !== session) return;
        if (!isHeld) {
          this.options.refusals.tell(session, ref, 'partner_gone');
          return;
        }
        this.held.set(id, { session, pair, to: partner, isMissed: false });
        session.ok(ref, null);
      },
      this.refuseLater(session, ref),
    );
  }

  /** Either end ends it: both are free, and the other one is told. */
  end(session: Session, { ref, pair, to }: EndPairFrame): void {
    const address = parseAddress(to);
    const held = this.held.get(session.ref.session);
    const isEnd = held?.pair === pair;
    if (isEnd) this.held.delete(session.ref.session);
    const other = address ?? { client: session.ref.client, session: null };
    freeBoth(this.options.store, [session.ref.client, other.client], pair).then(
      () => {
        // Nobody else than an end of it has anything to tell the other one.
        if (isEnd) this.options.letters.unpair(held.to.client, held.to.session, pair, 'normal');
        session.ok(ref, null);
      },
      this.refuseLater(session, ref),
    );
  }

  /** The connection is gone. A session that may come back keeps its claim for the rest of the lease. */
  leave(session: Session, isOver: boolean): void {
    const held = this.held.get(session.ref.session);
    // Also where an earlier connection of the session held it, and this one has not said so yet.
    if (held === undefined) return;
    this.held.delete(session.ref.session);
    if (!isOver) return;
    const { pair, to } = held;
    void freeBoth(this.options.store, [session.ref.client, to.client], pair).then(() => {
      this.options.letters.unpair(to.client, to.session, pair, 'partner_gone');
    });
  }

  /** Renews what sessions of this worker hold, and looks whether their partners' workers do. */
  async step(): Promise<void> {
    if (this.isStepping) return;
    this.isStepping = true;
    try {
      await Promise.allSettled([...this.held.values()].map((held) => this.renew(held)));
    } finally {
      this.isStepping = false;
    }
  }

  private async renew(held: Held): Promise<void> {
    const { store, registry } = this.options;
    const { session, pair, to } = held;
    const { client, session: id } = session.ref;
    if (registry.get(id) === undefined) {
      this.held.delete(id);
      return;
    }
    const [isHeld, [theirs]] = await Promise.all([
      store.holdPair(client, pair, this.claimMs),
      store.pairsOf([to.client]),
    ]);
    const isOver = !isHeld || theirs !== pair;
    // Who ends a pair frees both and then tells the partner: what it says may be on its way, and is truer.
    const isTold = isOver && held.isMissed;
    held.isMissed = isOver;
    if (!isTold || this.held.get(id) !== held) return;
    this.held.delete(id);
    registry.get(id)?.send({ type: 'unpaired', pair, code: 'partner_gone' });
    await freeBoth(store, [client, to.client], pair);
  }

  private async offer(session: Session, frame: PairFrame, address: Address, pair: PairId): Promise<void> {
    const { store, requests, refusals } = this.options;
    const clients = [session.ref.client, address.client] as const;
    if (!(await claimBoth(store, clients, pair, frame.timeoutMs + OFFER_GRACE_MS))) {
      refusals.tell(session, frame.ref, 'busy');
      return;
    }
    const body = encodeMessageBody({
      options: NO_OPTIONS,
      sender: session.sender,
      // The pair's id is a name as well.
      event: pair,
      payload: frame.payload,
    });
    requests.offerPair(
      { session, ref: frame.ref, address, body, timeoutMs: frame.timeoutMs },
      (isAccepted) => {
        // From here on only who says so holds it: an end that is gone already is missed within the lease.
        if (isAccepted)
          void Promise.allSettled(clients.map((one) => store.holdPair(one, pair, this.claimMs)));
        else void freeBoth(store, clients, pair);
      },
    );
  }

  private refuseLater(session: Session, ref: number): (error: unknown) => void {
    return (error) => {
      const code: Code = error instanceof GatewayError ? error.code : 'internal_error';
      if (code === 'internal_error') session.log.error({ err: error }, 'a pair failed');
      this.options.refusals.tell(session, ref, code, CODES[code].text);
    };
  }
}
