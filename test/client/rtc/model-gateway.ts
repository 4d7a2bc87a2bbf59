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
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Session } from '../../../src/session/session.js';
import type { GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
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
}

export class ModelGateway {
  /** What became of standing offers. */
  readonly outcomes: StandingOutcome[] = [];
  readonly #environment: ManualEnvironment;
  readonly #places: Record<string, Place> = {};
  /** Between the two workers, each way. */
  readonly #hops: Record<string, Later>;
  readonly #chain: () => Later;

  /** @param scheduler decides which of the queues goes on; each keeps its order */
  constructor(scheduler: fc.Scheduler, environment: ManualEnvironment) {
    this.#environment = environment;
    this.#chain = () => {
      let last: Promise<unknown> = Promise.resolve();
      return (label) => (last = last.then(() => scheduler.schedule(Promise.resolve(), label)));
    };
    this.#hops = { [W1]: this.#chain(), [W2]: this.#chain() };
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
      now: () => this.#environment.now(),
      count: (outcome) => this.outcomes.push(outcome),
    });
    const delivery = new Delivery(registry, msgpackCodec, () => undefined);
    const [up, down] = [this.#chain(), this.#chain()];
    const place: Place = { worker, session, frames, registry, offers, delivery, handlers: [], up, down };
    this.#places[name] = place;
    const peers = new Peers(this.#client(name, place));
    peers.reportTo(this.#port(place));
    return peers;
  }

  #client(id: string, place: Place): GatewayClient {
    return {
      id,
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      send: (to, event, data, { standing } = {} as never) => {
        const payload = encodePayload(data);
        return place.up(`${JSON.stringify(data).slice(0, 40)} of ${id}`).then(() => {
          this.#send(place, to, event as EventName, payload, standing);
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
        this.#pushDown(place);
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
    standing: string | undefined,
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
    this.#relay(worker, target.worker, { kind: 'deliver', origin: worker, client, sessions: [id], body });
  }

  #relay(from: WorkerId, to: WorkerId, envelope: Envelope): boolean {
    const arrive = (): void => {
      for (const place of Object.values(this.#places)) {
        if (place.worker !== to) continue;
        if (envelope.kind === 'deliver')
          place.delivery.toSessions(envelope.client, envelope.sessions, envelope.body);
        else if (envelope.kind === 'letter' && envelope.letter.kind === 'wanted')
          place.offers.give(envelope, envelope.letter);
        this.#pushDown(place);
      }
    };
    void this.#hops[from]?.(`${envelope.kind} to ${to}`).then(arrive);
    return true;
  }

  #pushDown({ frames, down, handlers }: Place): void {
    for (const frame of frames.splice(0)) {
      if (frame.type !== 'message') continue;
      const data = decodePayload(frame.payload);
      void down(`${JSON.stringify(data).slice(0, 40)} from ${frame.from}`).then(() => {
        const sender = { client: frame.from, session: frame.session };
        for (const handler of handlers) handler(data, sender, { trace: frame.options.trace ?? null });
      });
    }
  }
}
