// What the SDK's tests share: a scripted gateway with clients that are closed after each test, and a clock to turn by hand.
import { afterEach } from '@jest/globals';
import { Client } from '../../src/client/client.js';
import { type Environment, REAL_ENVIRONMENT } from '../../src/client/environment.js';
import type { ClientOptions } from '../../src/client/options.js';
import type { Welcome } from '../../src/protocol/frame.js';
import { type Peer, ScriptedGateway } from './scripted-gateway.js';

/** Time passes only when a test says so. */
export class ManualEnvironment implements Environment {
  private time = 1_000_000;
  private readonly timers = new Set<{ at: number; run: () => void }>();

  constructor(public chance = 0) {}

  now(): number {
    return this.time;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.time + ms, run };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers.delete(next);
      this.time = next.at;
      next.run();
    }
    this.time = end;
  }

  get pending(): number {
    return this.timers.size;
  }
}

/** Real timers, but waits between tries last no time. */
export const EAGER: Environment = { ...REAL_ENVIRONMENT, random: () => 0 };

// A JWT by its form; the scripted gateway does not look into it.
export const TOKEN = 'header.payload.signature';

export interface Pair<Events extends object> {
  gateway: ScriptedGateway;
  client: Client<Events>;
  peer: Peer;
  /** Everything that the client told through `error`. */
  errors: unknown[];
}

export function useScriptedGateways(): {
  gateway(codec?: 'msgpack' | 'json'): Promise<ScriptedGateway>;
  client(
    url: string,
    options?: Partial<ClientOptions>,
    environment?: Environment,
  ): Client & { errors: unknown[] };
  pair(
    options?: Partial<ClientOptions>,
    environment?: Environment,
    welcome?: Partial<Welcome>,
  ): Promise<Pair<Record<string, unknown>>>;
} {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    // Gateways first: a client's farewell then need not wait for an answer that no script gives.
    for (const close of closers.splice(0).reverse()) await close();
  });
  const gateway = async (codec: 'msgpack' | 'json' = 'msgpack'): Promise<ScriptedGateway> => {
    const opened = await ScriptedGateway.open(codec);
    closers.push(() => opened.close());
    return opened;
  };
  const client = (
    url: string,
    options: Partial<ClientOptions> = {},
    environment: Environment = EAGER,
  ): Client & { errors: unknown[] } => {
    const errors: unknown[] = [];
    const made = Object.assign(new Client(url, { token: TOKEN, ...options }, environment), { errors });
    made.on('error', (error) => errors.push(error));
    closers.unshift(() => made.close());
    return made;
  };
  return {
    gateway,
    client,
    async pair(options = {}, environment = EAGER, welcome = {}) {
      const opened = await gateway(options.codec);
      const made = client(opened.url, options, environment);
      const connected = made.connect();
      const peer = await opened.accept();
      await peer.welcome(welcome);
      await connected;
      return { gateway: opened, client: made, peer, errors: made.errors };
    },
  };
}

/** The code of what a promise rejects with; a promise that resolves fails the test. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`resolved with ${JSON.stringify(outcome.value)}`);
  return outcome.error instanceof Error && 'code' in outcome.error ? outcome.error.code : outcome.error;
}

/** Longer than any test may take, ms. A wait without end would keep a core busy for the rest of the run. */
const UNTIL_LIMIT_MS = 120_000;
// Those of the process, whatever clock a test puts in their place.
const now = performance.now.bind(performance);
const nextTurn = setImmediate;

/** Waits until `holds` does; mostly the test's time-out ends a wait for what never comes. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = now() + UNTIL_LIMIT_MS;
  while (!holds()) {
    if (now() > deadline) throw new Error(`never came: ${holds.toString()}`);
    await new Promise((resolve) => nextTurn(resolve));
  }
}
