// The simulated clients of one process: pairs that exchange kept messages, rooms that talk, at a steady total rate that chance spreads.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import jwt from 'jsonwebtoken';
import type { ClientOptions } from '../../src/client/index.js';
import { HistoryWriter } from './history.js';
import { loadSdk } from './observe.js';
import { pause, waitFor } from './processes.js';
import { type Random, seeded } from './random.js';
import { SimulatedClient } from './simulated-client.js';

export interface PopulationOptions {
  /** File of the SDK to use. */
  sdk: string;
  /** Client number i goes to `urls[i % urls.length]`. */
  urls: string[];
  /** Signs the tokens: an HMAC secret, or a private key (PEM) with its algorithm and id. */
  secret: string;
  algorithm: 'HS256' | 'ES256';
  keyId: string | null;
  seed: number;
  /** Of the whole population, over all processes. */
  clients: number;
  /** This process holds the clients whose number has this remainder, so that pairs and rooms go across processes. */
  process: number;
  processes: number;
  /** Messages per second of the whole population. */
  ratePerSecond: number;
  /** Members of each room; 0 for no rooms. */
  roomSize: number;
  /** Of all messages, 0–1. */
  roomShare: number;
  payloadBytes: number;
  backoff: { minMs: number; maxMs: number };
  connectTimeoutMs: number;
  /** Life of each token, s; they are refreshed when they expire. */
  tokenLifeS: number;
  /** ms; the SDK's own default where it is null. */
  ttlMs: number | null;
  /** Each client is cut off hard about so often, and away for so long; null for never. */
  cuts: { everyMs: number; awayMs: number } | null;
  /** Ways that the clients take; null for the SDK's default. */
  transports: NonNullable<ClientOptions['transports']> | null;
  /** The clients of a process connect from an address of their own, 127.0.0.2 and so on. */
  ownAddresses: boolean;
  history: string;
}

/** How clients that had lost their connection came back. */
export interface Returns {
  resumed: number;
  /** Whose session was lost. */
  fresh: number;
  /** Clients that lost a session, however often. */
  begunAnew: number;
  replayed: number;
  /** Of each that resumed: from its hello to the last message that it had missed, ms. */
  replaysMs: number[];
  /** Longest time for which the clients' own process did not look at what had come, ms: every time above is too long by as much at most. */
  lagMs: number;
  /** CPU time of the clients' process since it began to talk, ms. */
  cpuMs: number;
}

export interface PopulationCounts {
  clients: number;
  connected: number;
  dead: number;
  pending: number;
}

/** Connects at once; more would only wait in the accept queue. */
const CONNECTS_AT_ONCE = 50;
const TICK_MS = 10;

export class Population {
  readonly clients: SimulatedClient[] = [];
  readonly #history: HistoryWriter;
  readonly #random: Random;
  #ticker: NodeJS.Timeout | null = null;
  readonly #cutting = new Set<NodeJS.Timeout>();
  readonly #lag: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 });
  #cpu = process.cpuUsage();

  static async create(options: PopulationOptions): Promise<Population> {
    const population = new Population(options);
    await population.#connect();
    return population;
  }

  private constructor(readonly options: PopulationOptions) {
    this.#history = new HistoryWriter(options.history);
    this.#random = seeded(options.seed * 1000 + options.process);
  }

  get counts(): PopulationCounts {
    return {
      clients: this.clients.length,
      connected: this.clients.filter(({ isConnected }) => isConnected).length,
      dead: this.clients.filter(({ isDead }) => isDead).length,
      pending: this.clients.reduce((sum, { pending }) => sum + pending, 0),
    };
  }

  get returns(): Returns {
    const all = this.clients.flatMap(({ returns }) => returns);
    const resumed = all.filter((each) => each.resumed);
    return {
      resumed: resumed.length,
      fresh: all.length - resumed.length,
      begunAnew: this.clients.filter(({ returns }) => returns.some((each) => !each.resumed)).length,
      replayed: resumed.reduce((sum, each) => sum + each.replayed, 0),
      replaysMs: resumed.map(({ helloAt, caughtUpAt }) => caughtUpAt - helloAt),
      lagMs: Math.round(this.#lag.max / 1e6),
      cpuMs: cpuMsSince(this.#cpu),
    };
  }

  /** From sending to handler, ms, of each message that needed no replay. */
  get delaysMs(): number[] {
    return this.clients.flatMap((client) => client.delaysMs);
  }

  /** Begins to send, and goes on until `settle`. */
  talk(): void {
    this.#lag.enable();
    this.#cpu = process.cpuUsage();
    const perTick = (this.options.ratePerSecond * TICK_MS) / 1000 / this.options.processes;
    let last = performance.now();
    let owed = 0;
    this.#ticker = setInterval(() => {
      const now = performance.now();
      owed += ((now - last) / TICK_MS) * perTick;
      last = now;
      // What a stopped process could not send is not sent in one burst afterwards.
      owed = Math.min(owed, perTick * 20 + 1);
      for (; owed >= 1; owed--) void this.#sayOne();
    }, TICK_MS);
    const { cuts } = this.options;
    // Each with a beat of its own, from a moment of its own on.
    if (cuts !== null)
      for (const client of this.clients) this.#cutLater(client, this.#random.next() * cuts.everyMs, cuts);
  }

  #cutLater(client: SimulatedClient, ms: number, cuts: { everyMs: number; awayMs: number }): void {
    const timer = setTimeout(() => {
      this.#cutting.delete(timer);
      client.sockets.cut(cuts.awayMs);
      this.#cutLater(client, cuts.everyMs * (0.9 + 0.2 * this.#random.next()), cuts);
    }, ms);
    this.#cutting.add(timer);
  }

  /** Stops sending; resolves when every call has its answer, or after the time. */
  async settle(timeoutMs: number): Promise<PopulationCounts> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    for (const timer of this.#cutting) clearTimeout(timer);
    await waitFor(
      'answers',
      () => this.clients.every(({ pending, isDead }) => pending === 0 || isDead),
      timeoutMs,
    ).catch(() => undefined);
    return this.counts;
  }

  /** Sends the final markers; resolves when all of ours have arrived, or after the time. */
  async conclude(timeoutMs: number): Promise<void> {
    const { payloadBytes } = this.options;
    for (const client of this.clients) {
      if (client.isDead) continue;
      const number = numberOf(client);
      const partner = this.#partner(number);
      if (partner !== null) void client.send(partner, payloadBytes, { final: true });
      for (const room of client.rooms)
        if (number === this.#leaderOf(number))
          void client.send(`room:${room}`, payloadBytes, { final: true });
    }
    await waitFor(
      'final markers',
      () =>
        this.clients.every(
          (client) =>
            client.isDead ||
            (client.pending === 0 && this.#finals(client).every((channel) => client.finals.has(channel))),
        ),
      timeoutMs,
    ).catch(() => undefined);
  }

  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.finish(this.#finals(client))));
    await this.#history.close();
  }

  async #connect(): Promise<void> {
    const { clients, process: own, processes, ownAddresses, transports } = this.options;
    const sdk = await loadSdk(this.options.sdk);
    const numbers = Array.from({ length: clients }, (_, i) => i).filter((i) => i % processes === own);
    for (let i = 0; i < numbers.length; i += CONNECTS_AT_ONCE) {
      await Promise.all(
        numbers.slice(i, i + CONNECTS_AT_ONCE).map(async (number) => {
          const client = new SimulatedClient({
            sdk,
            name: nameOf(number),
            url: this.options.urls[number % this.options.urls.length] ?? '',
            rooms: this.#roomsOf(number),
            options: {
              token: () => this.#token(nameOf(number)),
              backoff: this.options.backoff,
              connectTimeoutMs: this.options.connectTimeoutMs,
              ...(transports === null ? {} : { transports }),
            },
            history: this.#history,
            localAddress: ownAddresses ? `127.0.0.${2 + own}` : null,
          });
          this.clients.push(client);
          await client.start();
        }),
      );
      await pause(0);
    }
  }

  #token(name: string): string {
    const { secret, algorithm, keyId, tokenLifeS } = this.options;
    const key = keyId === null ? {} : { keyid: keyId };
    return jwt.sign({ perm: '*' }, secret, { algorithm, subject: name, expiresIn: tokenLifeS, ...key });
  }

  async #sayOne(): Promise<void> {
    const { payloadBytes, roomShare, ttlMs } = this.options;
    const client = this.#random.pick(this.clients);
    if (client.isDead) return;
    const partner = this.#partner(numberOf(client));
    const [room] = client.rooms;
    const isForRoom = room !== undefined && (partner === null || this.#random.next() < roomShare);
    const target = isForRoom ? `room:${room}` : partner;
    if (target !== null)
      await client.send(target, payloadBytes, ttlMs === null || isForRoom ? {} : { ttlMs });
  }

  #finals(client: SimulatedClient): string[] {
    return client.expectedFinals(this.#partner(numberOf(client)) !== null);
  }

  /** The inbox of the other one of a pair; the last of an odd number has none. */
  #partner(number: number): string | null {
    const partner = number ^ 1;
    return partner < this.options.clients ? `inbox:${nameOf(partner)}` : null;
  }

  #roomsOf(number: number): string[] {
    const { roomSize } = this.options;
    return roomSize === 0 ? [] : [`r${Math.floor(number / roomSize)}`];
  }

  #leaderOf(number: number): number {
    return Math.floor(number / this.options.roomSize) * this.options.roomSize;
  }
}

function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return Math.round((user + system) / 1000);
}

function nameOf(number: number): string {
  return `u${number}`;
}

function numberOf({ name }: SimulatedClient): number {
  return Number(name.slice(1));
}
