// Keeps the TURN servers of sessions good: new credentials before the old ones run out, and other servers when one dies or returns.
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { TurnBroker, TurnHealth } from '../session/turn-broker.js';
import type { TimerWheel } from '../session/wheel.js';
import type { TurnServer } from '../turn-settings.js';

/** Servers that are asked together answer one after the other: so long after the first word all of them are looked at, ms. */
const SETTLE_MS = 1_000;
/** The clients of a worker are told of a change within so long, ms: of 15,000 it is 3,000 a second. */
const SPREAD_MS = 5_000;
/**
 * So long after a change the next one is told only to whom no server is left, ms: a server that comes and goes costs each client a
 * frame a minute, and two where it is the only one of a region.
 */
const QUIET_MS = 60_000;

export interface TurnRenewalOptions {
  turn: Pick<TurnBroker, 'iceServers' | 'renewalMs' | 'servers'>;
  health: TurnHealth;
  wheel: Pick<TimerWheel, 'in'>;
  registry: Pick<SessionRegistry, 'all'>;
  /** 0 to 1. */
  random?: () => number;
}

export class TurnRenewal {
  readonly #random: () => number;
  /** What whoever came last got: sessions share it. */
  #servers: readonly TurnServer[] = [];
  #isLookDue = false;
  #isQuiet = false;

  constructor(private readonly options: TurnRenewalOptions) {
    this.#random = options.random ?? Math.random;
  }

  /** Of a session that is given its servers now, until its deadlines are stopped. */
  watch(session: Session): void {
    const { turn } = this.options;
    const ms = turn.renewalMs(session.identity);
    session.turnServers = ms === null ? null : this.#current();
    this.#tellIn(session, ms);
  }

  /** After its permissions may have changed. */
  recheck(session: Session): void {
    const has = this.options.turn.renewalMs(session.identity) !== null;
    if (has !== (session.turnServers !== null)) this.#tell(session);
  }

  /** Some server has died or returned. */
  serversChanged(): void {
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    this.options.wheel.in(SETTLE_MS, () => {
      this.#isLookDue = false;
      this.#look();
    });
  }

  /** Who has other servers than it would get now is told. */
  #look(): void {
    const { health, registry, wheel } = this.options;
    const servers = this.#current();
    let isNews = false;
    for (const session of registry.all()) {
      if (session.turnServers === null || isSame(session.turnServers, servers)) continue;
      if (this.#isQuiet && session.turnServers.some((server) => health.isAlive(server))) continue;
      isNews = true;
      this.#tellIn(session, this.#random() * SPREAD_MS);
    }
    if (!isNews || this.#isQuiet) return;
    this.#isQuiet = true;
    wheel.in(QUIET_MS, () => {
      this.#isQuiet = false;
      this.#look();
    });
  }

  #tell(session: Session): void {
    session.send({ type: 'iceServers', servers: this.options.turn.iceServers(session.identity) });
    this.watch(session);
  }

  #tellIn(session: Session, ms: number | null): void {
    session.turnDeadline?.cancel();
    session.turnDeadline =
      ms === null
        ? null
        : this.options.wheel.in(ms, () => {
            this.#tell(session);
          });
  }

  #current(): readonly TurnServer[] {
    const { servers } = this.options.turn;
    if (!isSame(servers, this.#servers)) this.#servers = servers;
    return this.#servers;
  }
}

function isSame(some: readonly TurnServer[], others: readonly TurnServer[]): boolean {
  return some === others || (some.length === others.length && some.every((one, i) => one === others[i]));
}
