// Takes small frames to one session, wherever its connection is now: answers to requests, receipts, questions for them.
import type { ClientId, SessionId, WorkerId } from '../protocol/ids.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { SessionPlace } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';
import type { LetterEnvelope } from './envelope.js';
import type { Relay } from './relay.js';
import type { RouteCache } from './route-cache.js';

/** How long an answer waits for a session whose connection is gone, ms; who asked gives up sooner. */
const WAIT_LIMIT_MS = 30_000;
/** How often it looks where the session is, ms. */
const LOOK_EVERY_MS = 500;
/** Answers that may wait in one worker for connections to come back. */
const WAITING_LIMIT = 10_000;

export interface PostmanOptions {
  worker: WorkerId;
  registry: SessionRegistry;
  relay: Relay;
  routes: RouteCache;
  wheel: TimerWheel;
  /** Hands a letter to a session of this worker. */
  receive: (session: Session, letter: Letter) => void;
  countDropped: (reason: 'unreachable' | 'away') => void;
}

/** What a letter says, without where it goes. */
export type Letter = LetterEnvelope['letter'];

export class Postman {
  private waiting = 0;

  constructor(private readonly options: PostmanOptions) {}

  /** @param patient whether the letter waits where the session has no connection now */
  send(client: ClientId, session: SessionId, letter: Letter, patient: boolean): void {
    const here = this.options.registry.get(session);
    if (here !== undefined) {
      if (here.ref.client === client) this.options.receive(here, letter);
      return;
    }
    void this.carry(client, session, letter, patient ? performance.now() + WAIT_LIMIT_MS : 0);
  }

  /** A letter from another worker. Where it came too late its sender's route was old; an answer goes on from here. */
  deliver({ origin, client, session, letter }: LetterEnvelope): void {
    const { registry, relay, routes, countDropped } = this.options;
    const here = registry.get(session);
    if (here?.ref.client === client) {
      this.options.receive(here, letter);
      return;
    }
    relay.send(origin, { kind: 'missing', client, handle: '' });
    // Our own route may be as old, and would send it in a circle.
    routes.forget(client);
    if (letter.kind === 'response')
      void this.carry(client, session, letter, performance.now() + WAIT_LIMIT_MS);
    else countDropped('away');
  }

  private async carry(
    client: ClientId,
    session: SessionId,
    letter: Letter,
    waitUntil: number,
  ): Promise<void> {
    const { worker, registry, relay, routes, countDropped } = this.options;
    let places: readonly SessionPlace[] = [];
    try {
      places = routes.peek(client) ?? (await routes.load(client));
    } catch {
      // Asked again below, where the letter waits.
    }
    const here = registry.get(session);
    if (here?.ref.client === client) {
      this.options.receive(here, letter);
      return;
    }
    const place = places.find((known) => known.session === session && known.connected);
    if (place !== undefined && place.worker !== worker) {
      const envelope: LetterEnvelope = { kind: 'letter', origin: worker, client, session, letter };
      if (!relay.send(place.worker, envelope)) countDropped('unreachable');
    } else if (performance.now() < waitUntil && this.waiting < WAITING_LIMIT) {
      this.waiting++;
      this.options.wheel.in(LOOK_EVERY_MS, () => {
        this.waiting--;
        void this.carry(client, session, letter, waitUntil);
      });
    } else {
      countDropped('away');
    }
  }
}
