// Correct histories for tests of the checker: a simulated store that loses nothing in silence, and clients that drop and come back.
import { hashOf, type HistoryEvent } from './history.js';
import { type Random, seeded } from './random.js';

interface Entry {
  from: string;
  n: number;
  id: string;
  offset: number;
  final: boolean;
}
interface Log {
  epoch: number;
  entries: Entry[];
}
interface Sim {
  name: string;
  channels: string[];
  /** Next entry of each channel; an index into the log of the present epoch. */
  cursors: Map<string, number>;
  isUp: boolean;
  k: number;
}

export interface SampleOptions {
  seed: number;
  clients?: number;
  steps?: number;
}

type Told = HistoryEvent extends infer E ? (E extends { t: number } ? Omit<E, 't'> : never) : never;

/** Pairs that send to each other's inbox and a room of all; one client leaves the room on the way. */
export function sampleHistory({ seed, clients = 6, steps = 400 }: SampleOptions): HistoryEvent[] {
  return new Sample(seeded(seed), clients).run(steps);
}

class Sample {
  readonly #events: HistoryEvent[] = [];
  readonly #logs = new Map<string, Log>();
  readonly #counts = new Map<string, number>();
  readonly #sims: Sim[];
  #t = 1_000_000;

  constructor(
    readonly random: Random,
    clients: number,
  ) {
    this.#sims = Array.from({ length: clients }, (_, i) => ({
      name: `u${i}`,
      channels: [`inbox:u${i}`, 'room:all'],
      cursors: new Map<string, number>(),
      isUp: false,
      k: 0,
    }));
  }

  run(steps: number): HistoryEvent[] {
    for (const sim of this.#sims) {
      this.#connect(sim);
      for (const channel of sim.channels) {
        this.#log({ e: 'member', c: sim.name, ch: channel });
        sim.cursors.set(channel, 0);
      }
    }
    for (let step = 0; step < steps; step++) this.#step(step, steps);
    this.#finish();
    return this.#events;
  }

  #step(step: number, steps: number): void {
    this.#t += 20;
    const sim = this.random.pick(this.#sims);
    const chance = this.random.next();
    if (step === Math.floor(steps / 3)) this.#leave(this.#sims.at(-1));
    else if (step === Math.floor(steps / 2)) this.#loseState();
    else if (step % 97 === 96) this.#trim();
    else if (chance < 0.05 && sim.isUp) this.#drop(sim);
    else if (chance < 0.3 && !sim.isUp) this.#connect(sim);
    else if (sim.isUp) this.#send(sim, this.random.pick(this.#targets(sim)), this.random.next());
    if (this.random.next() < 0.7) this.#deliverAll();
  }

  #targets(sim: Sim): string[] {
    const index = this.#sims.indexOf(sim);
    return [`inbox:u${index ^ 1}`, ...sim.channels.filter((channel) => channel.startsWith('room:'))];
  }

  #send(sim: Sim, channel: string, chance: number, final = false): void {
    const key = `${sim.name} ${channel}`;
    const n = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, n);
    const c = sim.name;
    this.#log({ e: 'send', c, ch: channel, n, h: hashOf(`${key} ${n}`) });
    if (chance < 0.03) this.#log({ e: 'rejected', c, ch: channel, n, code: 'unavailable' });
    // Of an unknown outcome both ends are right.
    if (chance >= 0.03 && (chance > 0.06 || chance < 0.045)) this.#append(channel, sim.name, n, final);
    if (chance >= 0.03 && chance < 0.06)
      this.#log({ e: 'rejected', c, ch: channel, n, code: 'unknown_outcome' });
    if (chance >= 0.06) {
      const { epoch, entries } = this.#logOf(channel);
      this.#log({ e: 'accepted', c, ch: channel, n, id: entries.at(-1)?.id ?? `e${epoch}:0-0` });
    }
  }

  #append(channel: string, from: string, n: number, final: boolean): void {
    const { epoch, entries } = this.#logOf(channel);
    const offset = entries.length + 1;
    const tag = this.random.below(1_000_000);
    entries.push({ from, n, id: `e${epoch}:${offset}-${tag}`, offset, final });
  }

  #deliverAll(): void {
    for (const sim of this.#sims) for (const channel of sim.channels) this.#deliver(sim, channel);
  }

  #deliver(sim: Sim, channel: string): void {
    if (!sim.isUp) return;
    const { entries } = this.#logOf(channel);
    for (const { from, n, id, final } of entries.slice(sim.cursors.get(channel))) {
      const h = hashOf(`${from} ${channel} ${n}`);
      const k = sim.k;
      this.#log({
        e: 'recv',
        c: sim.name,
        ch: channel,
        from,
        n,
        id,
        h,
        k,
        ...(final ? { final: true as const } : {}),
      });
    }
    sim.cursors.set(channel, entries.length);
  }

  /** What lies in the logs is trimmed; whoever had not read it is told exactly what is missing. */
  #trim(): void {
    for (const sim of this.#sims) {
      for (const channel of sim.channels) {
        const { entries } = this.#logOf(channel);
        const next = sim.cursors.get(channel) ?? 0;
        if (next >= entries.length || !sim.isUp) continue;
        this.#log({
          e: 'gap',
          c: sim.name,
          ch: channel,
          missing: entries.length - next,
          reason: 'trimmed',
        });
        sim.cursors.set(channel, entries.length);
      }
    }
  }

  /** The store comes back empty: every log begins anew, everybody is told. */
  #loseState(): void {
    for (const log of this.#logs.values()) {
      log.epoch++;
      log.entries = [];
    }
    for (const sim of this.#sims) {
      if (!sim.isUp) this.#connect(sim);
      this.#log({ e: 'stateLost', c: sim.name, ch: null });
      for (const channel of sim.channels) sim.cursors.set(channel, 0);
    }
  }

  #leave(sim: Sim | undefined): void {
    if (sim === undefined) return;
    if (!sim.isUp) this.#connect(sim);
    this.#deliver(sim, 'room:all');
    sim.channels = sim.channels.filter((channel) => channel !== 'room:all');
    this.#log({ e: 'unmember', c: sim.name, ch: 'room:all' });
  }

  #connect(sim: Sim): void {
    sim.isUp = true;
    this.#log({ e: 'up', c: sim.name, s: `s-${sim.name}`, k: ++sim.k, resumed: sim.k > 1 });
  }

  #drop(sim: Sim): void {
    sim.isUp = false;
    this.#log({ e: 'down', c: sim.name, s: `s-${sim.name}`, k: sim.k, code: 'connection_lost' });
  }

  #finish(): void {
    this.#t += 5_000;
    for (const sim of this.#sims) {
      if (!sim.isUp) this.#connect(sim);
      for (const channel of this.#targets(sim)) this.#send(sim, channel, 1, true);
    }
    this.#deliverAll();
    for (const sim of this.#sims) this.#log({ e: 'end', c: sim.name, finals: [...sim.channels] });
  }

  #logOf(channel: string): Log {
    let log = this.#logs.get(channel);
    if (log === undefined) this.#logs.set(channel, (log = { epoch: 1, entries: [] }));
    return log;
  }

  #log(event: Told): void {
    this.#events.push({ t: ++this.#t, ...event });
  }
}
