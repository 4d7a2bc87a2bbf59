// Two clients at two workers of one gateway, as far as calls need it: what is said, and in which order it arrives, is a scheduler's to decide; who is given a standing offer is the gateway's own code.
import type fc from 'fast-check';
import { CODES } from '../../../src/protocol/codes.js';
import { GatewayError } from '../../../src/protocol/errors.js';
import type { GatewayFrame } from '../../../src/protocol/frame.js';
import { type EventName, parseAddress, type WorkerId } from '../../../src/protocol/ids.js';
import { encodeMessageBody, msgpackCodec } from '../../../src/protocol/msgpack-codec.js';
import { decodePayload, encodePayload } from '../../../src/protocol/payload.js';
import { Delivery } from '../../../src/relay/delivery.js';
import type { Envelope } from '../../../src/relay/envelope.js';
import { StandingOffers, type StandingOutcome } from '../../../src/relay/standing-offers.js';
import { CROSSING_MS } from '../../../src/session/recent-calls.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Session } from '../../../src/session/session.js';
import { Exchange, type GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import { Peers, type PeersPort } from '../../../src/client/rtc/peers.js';
import { createReceiver } from '../../relay/receiver.js';
import { W1, W2 } from '../../session/store/fixture.js';
import type { ManualEnvironment } from '../fixture.js';

type Later = (label: string) => Promise<unknown>;
type Heard = Parameters<GatewayClient['onMessage']>[1];

interface Place {
  worker: WorkerId;
  session: Session;
  frames: GatewayFrame[];
  registry: SessionRegistry;
  offers: StandingOffers;
  delivery: Delivery;
  handlers: Heard[];
  /** To the gateway, and from there. */
  up: Later;
  down: Later;
  /** What is kept for it, which comes when the store has it. */
  store: Later;
}

export class ModelGateway {
  /** What became of standing offers. */
  readonly outcomes: StandingOutcome[] = [];
  readonly #environment: ManualEnvironment;
  readonly #places: Record<string, Place> = {};
  /** Between the two workers, each way. */
  readonly #hops: Record<string, Later>;
  readonly #chain: () => Later;
  /** How far the gateway's clock is before the clients': what it forgets after a time is forgotten, and nothing of theirs is over. */
  #aheadMs = 0;
  #isForgetful = false;
  /** Between the workers, which are next to each other. */
  #letters = 0;

  readonly #losses: readonly number[];
  #volatile = 0;

  /**
   * @param scheduler decides which of the queues goes on; each keeps its order
   * @param losses of what is not kept these are lost, counted
   */
  constructor(scheduler: fc.Scheduler, environment: ManualEnvironment, losses: readonly number[]) {
    this.#losses = losses;
    this.#environment = environment;
    this.#chain = () => {
      let last: Promise<unknown> = Promise.resolve();
      return (label) => (last = last.then(() => scheduler.schedule(Promise.resolve(), label)));
    };
    this.#hops = { [W1]: this.#chain(), [W2]: this.#chain() };
  }

  /** Whom a session has called is forgotten: as where what it said is that long on its way. */
  forget(): void {
    this.#isForgetful = true;
    this.#forgetNow();
  }

  #forgetNow(): void {
    if (!this.#isForgetful || this.#letters > 0) return;
    this.#isForgetful = false;
    this.#aheadMs += CROSSING_MS + 1;
  }

  /** A client with one session at that worker, and its peers. */
  join(name: string, worker: WorkerId): Peers {
    const { session, frames } = createReceiver(name);
    const registry = new SessionRegistry();
    registry.add(session);
    const relay = { send: (to: WorkerId, envelope: Envelope) => this.#relay(worker, to, envelope) };
    const offers = new StandingOffers({
      worker,
      registry,
      relay: relay as unknown as ConstructorParameters<typeof StandingOffers>[0]['relay'],
      codec: msgpackCodec,
      now: () => this.#environment.now() + this.#aheadMs,
      count: (outcome) => this.outcomes.push(outcome),
    });
    const delivery = new Delivery(registry, msgpackCodec, () => undefined);
    const [up, down, store] = [this.#chain(), this.#chain(), this.#chain()];
    const place: Place = {
      worker,
      session,
      frames,
      registry,
      offers,
      delivery,
      handlers: [],
      up,
      down,
      store,
    };
    this.#places[name] = place;
    const client = this.#client(name, place);
    Exchange.of(client, this.#environment);
    const peers = new Peers(client);
    peers.reportTo(this.#port(place));
    return peers;
  }

  #client(id: string, place: Place): GatewayClient {
    return {
      id,
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      send: (to, event, data, options) => {
        const payload = encodePayload(data);
        const isKept = options === undefined || !('volatile' in options);
        return place.up(`${JSON.stringify(data).slice(0, 40)} of ${id}`).then(() => {
          this.#send(place, to, event as EventName, payload, { standing: options?.standing, isKept });
        });
      },
      onMessage: (_event, handler) => {
        place.handlers.push(handler);
        return () => undefined;
      },
      on: () => () => undefined,
    };
  }

  #port(place: Place): PeersPort {
    const { up, offers, session } = place;
    const stand = (id: string | null, event: string, data: unknown): Promise<void> => {
      const payload = encodePayload(id === null ? undefined : data);
      return up('a standing offer').then(() => {
        const frame = { type: 'standingOffer', ref: 0, id: id ?? '-', event: event as EventName } as const;
        offers.leave(session, { ...frame, payload });
        this.#pushDown(place, true);
      });
    };
    const call = (_options: unknown, make: (verbs: object, made: object) => unknown): unknown =>
      make({ stand }, {});
    return { tryWrite: () => true, call } as unknown as PeersPort;
  }

  /** As the router does. */
  #send(
    from: Place,
    to: string,
    event: EventName,
    payload: ReturnType<typeof encodePayload>,
    { standing, isKept }: { standing: string | undefined; isKept: boolean },
  ): void {
    const { session, offers, worker } = from;
    const address = parseAddress(to);
    const target = address === null ? undefined : this.#places[address.client];
    if (address === null || target === undefined) throw new GatewayError('not_found', CODES.not_found.text);
    if (standing !== undefined) offers.note(session, address.client);
    const { ref } = target.session;
    if (standing)
      offers.ask(session, address, [{ ...ref, worker: target.worker, connected: true }], standing);
    const body = encodeMessageBody({ options: {}, sender: session.sender, event, payload });
    const { client, session: id } = ref;
    const envelope: Envelope = { kind: 'deliver', origin: worker, client, sessions: [id], body };
    if (isKept)
      void target
        .store(`a kept message for ${client}`)
        .then(() => this.#arrive(target.worker, envelope, true));
    else this.#relay(worker, target.worker, envelope);
  }

  #relay(from: WorkerId, to: WorkerId, envelope: Envelope): boolean {
    if (envelope.kind === 'letter') this.#letters++;
    void this.#hops[from]?.(`${envelope.kind} to ${to}`).then(() => {
      if (envelope.kind === 'letter') this.#letters--;
      this.#arrive(to, envelope, false);
      this.#forgetNow();
    });
    return true;
  }

  #arrive(to: WorkerId, envelope: Envelope, isKept: boolean): void {
    for (const place of Object.values(this.#places)) {
      if (place.worker !== to) continue;
      if (envelope.kind === 'deliver')
        place.delivery.toSessions(envelope.client, envelope.sessions, envelope.body);
      else if (envelope.kind === 'letter' && envelope.letter.kind === 'wanted')
        place.offers.give(envelope, envelope.letter);
      this.#pushDown(place, isKept);
    }
  }

  #pushDown({ frames, down, handlers }: Place, isKept: boolean): void {
    for (const frame of frames.splice(0)) {
      if (frame.type !== 'message') continue;
      if (!isKept && this.#losses.includes(this.#volatile++)) continue;
      const data = decodePayload(frame.payload);
      void down(`${JSON.stringify(data).slice(0, 40)} from ${frame.from}`).then(() => {
        const sender = { client: frame.from, session: frame.session };
        for (const handler of handlers) handler(data, sender, { trace: frame.options.trace ?? null });
      });
    }
  }
}
