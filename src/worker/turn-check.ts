// Which TURN servers live: each is asked every so often, by all of its URLs.
import type { TurnHealth } from '../session/turn-broker.js';
import type { TurnServer } from '../turn-settings.js';
import { createProbe, type StunProbe } from './stun-probe.js';

/** Requests without an answer after which a URL counts as dead. */
const SILENCE_LIMIT = 2;

interface Watched {
  /** `host:port/transport`. */
  name: string;
  probe: StunProbe;
  /** Requests since the last answer. */
  silent: number;
}

export class TurnCheck implements TurnHealth {
  /** What cannot be asked is in none of them. */
  readonly #watched = new Map<TurnServer, Watched[]>();
  readonly #dead = new Set<TurnServer>();
  #timer: NodeJS.Timeout | null = null;
  #onChange = (): void => {};

  /**
   * @param everyMs 0 for never
   * @param tell of each server that has died or returned
   */
  constructor(
    servers: readonly TurnServer[],
    everyMs: number,
    private readonly tell: (server: TurnServer, isAlive: boolean) => void = () => {},
  ) {
    if (everyMs === 0) return;
    for (const server of servers) {
      const watched = this.#watch(server);
      if (watched.length > 0) this.#watched.set(server, watched);
    }
    if (this.#watched.size === 0) return;
    this.#timer = setInterval(() => {
      this.#askAll();
    }, everyMs);
    this.#timer.unref();
    this.#askAll();
  }

  /** Where one URL answers: browsers try all, and take what works. */
  isAlive(server: TurnServer): boolean {
    return !this.#dead.has(server);
  }

  /** Each URL that is asked, as `host:port/transport`, and whether it answers. */
  *urls(): Generator<[name: string, isUp: boolean]> {
    for (const watched of this.#watched.values())
      for (const each of watched) yield [each.name, !isSilent(each)];
  }

  /** Calls `listener` when servers have died or returned. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const watched of this.#watched.values()) for (const { probe } of watched) probe.close();
    this.#watched.clear();
  }

  #watch(server: TurnServer): Watched[] {
    return server.urls.flatMap((url) => {
      const probe = createProbe(server.host, url, () => {
        own.silent = 0;
        this.#look();
      });
      if (probe === null) return [];
      const name = `${server.host}:${String(url.port)}/${url.transport}`;
      const own: Watched = { name, probe, silent: 0 };
      return own;
    });
  }

  #askAll(): void {
    for (const watched of this.#watched.values())
      for (const each of watched) {
        each.silent++;
        each.probe.ask();
      }
    this.#look();
  }

  #look(): void {
    let hasChanged = false;
    for (const [server, watched] of this.#watched) {
      const isDead = watched.every(isSilent);
      if (isDead === this.#dead.has(server)) continue;
      hasChanged = true;
      if (isDead) this.#dead.add(server);
      else this.#dead.delete(server);
      this.tell(server, !isDead);
    }
    if (hasChanged) this.#onChange();
  }
}

function isSilent({ silent }: Watched): boolean {
  return silent > SILENCE_LIMIT;
}
