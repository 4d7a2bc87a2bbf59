// Where a row plays: what it starts is stopped at the end, faults are written down with their windows, and the history is judged.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory, type CheckOptions } from './checker.js';
import { FaultProxy, type Target } from './fault-proxy.js';
import { GatewayNode, type GatewayOptions } from './gateway-node.js';
import { HistoryWriter, readHistory } from './history.js';
import { Load, type LoadOptions } from './load.js';
import { pause, waitFor } from './processes.js';
import { type Random, seeded } from './random.js';
import { type Place, RedisCluster, RedisNode, type RedisOptions, SentinelGroup } from './redis-topology.js';
import type { Report } from './report.js';
import type { Outcome } from './row.js';

export interface SceneOptions {
  seed: number;
  /** Fewer rounds of a fault, for CI. */
  quick: boolean;
  /** Factor on the number of clients of rows about crowds. */
  scale: number;
  /** How long the soak takes. */
  minutes: number;
  /** Prints what is going on. */
  verbose: boolean;
  /** Keeps the folder with the histories. */
  keep: boolean;
}

/** How long after a fault has healed calls that met it may still fail. */
const AFTERMATH_MS = 1_000;

export class Scene {
  readonly random: Random;
  readonly directory = mkdtempSync(join(tmpdir(), 'faults-'));
  readonly windows: [from: number, to: number][] = [];
  readonly failures: string[] = [];
  readonly figures: Record<string, number | string> = {};
  readonly #closers: (() => unknown)[] = [];
  readonly #histories: string[] = [];
  #load: Load | null = null;

  constructor(readonly options: SceneOptions) {
    this.random = seeded(options.seed);
  }

  get quick(): boolean {
    return this.options.quick;
  }

  get load(): Load {
    if (this.#load === null) throw new Error('no load yet');
    return this.#load;
  }

  /** Runs at the end, last first, whatever happened. */
  atEnd(close: () => unknown): void {
    this.#closers.push(close);
  }

  tell(text: string): void {
    if (this.options.verbose) console.error(`    ${new Date().toISOString().slice(11, 23)} ${text}`);
  }

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.failures.push(otherwise);
  }

  async redis(options?: RedisOptions): Promise<RedisNode> {
    return this.#closing(await RedisNode.start(options));
  }

  async sentinels(options?: RedisOptions): Promise<SentinelGroup> {
    return this.#closing(await SentinelGroup.start(options));
  }

  /** Sentinels of the row's own servers, on one machine. */
  async sentinelsOf(master: RedisNode, replicas: RedisNode[], place: Place): Promise<SentinelGroup> {
    return this.#closing(await SentinelGroup.over(master, replicas, place));
  }

  async cluster(options?: RedisOptions): Promise<RedisCluster> {
    return this.#closing(await RedisCluster.start(options));
  }

  async gateway(options: GatewayOptions = {}): Promise<GatewayNode> {
    const node = await GatewayNode.start(options);
    this.atEnd(() => node.kill());
    return node;
  }

  /** Before one target, or as a load balancer before several. */
  async proxy(targets: readonly Target[], host?: string): Promise<FaultProxy> {
    return this.#closing(await FaultProxy.start(targets, this.options.seed, host));
  }

  /** Clients, connected and silent. */
  async crowd(options: Omit<LoadOptions, 'directory' | 'seed'>): Promise<Load> {
    const load = await Load.start({ ...options, directory: this.directory, seed: this.options.seed });
    this.atEnd(() => load.kill());
    this.#load = load;
    this.#histories.push(...load.histories);
    return load;
  }

  /** For a row that writes events of clients of its own. */
  history(name: string): HistoryWriter {
    const path = join(this.directory, `${name}.jsonl`);
    this.#histories.push(path);
    return new HistoryWriter(path);
  }

  /** A fault with its window: from its beginning until every client is back and calls had time to end. */
  async fault<Result>(text: string, inject: () => Promise<Result>): Promise<Result> {
    this.tell(text);
    // What was sent just before may still be on its way.
    const from = Date.now() - 1000;
    const window: [number, number] = [from, Infinity];
    this.windows.push(window);
    try {
      return await inject();
    } finally {
      window[1] = Date.now() + AFTERMATH_MS;
    }
  }

  /** Until all clients that live are connected. */
  async healed(timeoutMs = 30_000): Promise<number> {
    const startedAt = performance.now();
    await waitFor(
      'all clients back',
      async () => {
        const { clients, connected, dead } = await this.load.counts();
        return connected + dead === clients;
      },
      timeoutMs,
    ).catch((error: unknown) => this.failures.push(String(error)));
    return Math.round(performance.now() - startedAt);
  }

  /** Until every client has lost its session and has another one. */
  async begunAnew(timeoutMs = 30_000): Promise<void> {
    const { clients } = await this.load.counts();
    await waitFor(
      'new sessions',
      async () => (await this.load.returns()).begunAnew === clients,
      timeoutMs,
    ).catch((error: unknown) => this.failures.push(String(error)));
  }

  /** Ends the load and judges. */
  async judge(options: Omit<CheckOptions, 'windows'> = {}): Promise<Outcome> {
    const { clients, dead } = await this.load.counts();
    this.tell(`finishing: ${clients} clients, ${dead} dead`);
    await this.load.finish();
    return this.verdict(options);
  }

  /** Judges what is written so far; for rows without a crowd. */
  verdict(options: Omit<CheckOptions, 'windows'> = {}): Outcome {
    const report: Report = checkHistory(() => readHistory(this.#histories), {
      ...options,
      windows: this.windows,
    });
    return { report, figures: this.figures, failures: this.failures };
  }

  /** So much of the row's time, of load without a fault. */
  async calm(ms: number): Promise<void> {
    await pause(ms);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await Promise.resolve(close()).catch(() => undefined);
    if (!this.options.keep) rmSync(this.directory, { recursive: true, force: true });
  }

  #closing<Part extends { close(): unknown }>(part: Part): Part {
    this.atEnd(() => part.close());
    return part;
  }
}
