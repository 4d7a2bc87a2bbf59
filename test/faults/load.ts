// A population of simulated clients in processes of their own, so that they do not take the CPU from whom they test.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRET } from '../gateway-process.js';
import type { ToLoad } from './load-process.js';
import type { PopulationCounts, PopulationOptions, Returns } from './population.js';

export type LoadOptions = Partial<Omit<PopulationOptions, 'urls' | 'process' | 'history'>> & {
  urls: string[];
  /** Folder for the histories. */
  directory: string;
  seed: number;
};

const PROGRAM = fileURLToPath(new URL('./load-process.js', import.meta.url));

interface Settlers {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

class LoadProcess {
  readonly child: ChildProcess = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  readonly #waiting = new Map<number, Settlers>();
  #number = 0;

  constructor() {
    this.child.on('message', (message) => {
      const { id, answer, error } = message as { id: number; answer?: unknown; error?: string };
      const settlers = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) settlers?.resolve(answer);
      else settlers?.reject(new Error(error));
    });
    this.child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`a process of clients ended with ${String(code ?? signal)}`));
    });
  }

  order(order: ToLoad): Promise<unknown> {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.child.send({ id, order });
    });
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

export class Load {
  readonly histories: string[] = [];
  readonly #processes: LoadProcess[] = [];

  /** Resolves when every client is connected and in its rooms; nothing is sent before `talk`. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load();
    try {
      await load.#start(options);
      return load;
    } catch (error) {
      await load.kill();
      throw error;
    }
  }

  get pids(): number[] {
    return this.#processes.map(({ child }) => child.pid ?? 0);
  }

  async talk(): Promise<void> {
    await this.#all({ verb: 'talk' });
  }

  async counts(): Promise<PopulationCounts> {
    const sum: PopulationCounts = { clients: 0, connected: 0, dead: 0, pending: 0 };
    for (const counts of (await this.#all({ verb: 'counts' })) as PopulationCounts[]) {
      sum.clients += counts.clients;
      sum.connected += counts.connected;
      sum.dead += counts.dead;
      sum.pending += counts.pending;
    }
    return sum;
  }

  async returns(): Promise<Returns> {
    const all = (await this.#all({ verb: 'returns' })) as Returns[];
    return {
      resumed: all.reduce((sum, { resumed }) => sum + resumed, 0),
      fresh: all.reduce((sum, { fresh }) => sum + fresh, 0),
      begunAnew: all.reduce((sum, { begunAnew }) => sum + begunAnew, 0),
      replayed: all.reduce((sum, { replayed }) => sum + replayed, 0),
      replaysMs: all.flatMap(({ replaysMs }) => replaysMs),
      lagMs: Math.max(...all.map(({ lagMs }) => lagMs)),
      cpuMs: all.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    };
  }

  /** From sending to handler, ms, of each message so far that needed no replay. */
  async delaysMs(): Promise<number[]> {
    return ((await this.#all({ verb: 'delays' })) as number[][]).flat();
  }

  /** Ends the sending; resolves when calls have their answers. */
  async settle(timeoutMs: number): Promise<void> {
    await this.#all({ verb: 'settle', timeoutMs });
  }

  /** Ends the talking: answers first, then final markers, then each client closes. The histories are complete after it. */
  async finish(settleMs = 20_000, concludeMs = 15_000): Promise<void> {
    await this.#all({ verb: 'settle', timeoutMs: settleMs });
    await this.#all({ verb: 'conclude', timeoutMs: concludeMs });
    await this.#all({ verb: 'end' });
    await this.kill();
  }

  async kill(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
  }

  async #start({ directory, processes = 2, ...options }: LoadOptions): Promise<void> {
    const created = Array.from({ length: processes }, async (_, process) => {
      const child = new LoadProcess();
      this.#processes.push(child);
      const history = join(directory, `clients-${process}.jsonl`);
      this.histories.push(history);
      const full: PopulationOptions = { ...DEFAULTS, ...options, process, processes, history };
      await child.order({ verb: 'create', options: full });
    });
    await Promise.all(created);
  }

  async #all(order: ToLoad): Promise<unknown[]> {
    return await Promise.all(this.#processes.map((process) => process.order(order)));
  }
}

const DEFAULTS = {
  sdk: fileURLToPath(new URL('../../dist/client/index.js', import.meta.url)),
  secret: SECRET,
  algorithm: 'HS256',
  keyId: null,
  clients: 40,
  processes: 2,
  ratePerSecond: 200,
  roomSize: 5,
  roomShare: 0.3,
  payloadBytes: 100,
  backoff: { minMs: 200, maxMs: 3_000 },
  connectTimeoutMs: 5_000,
  tokenLifeS: 3_600,
  ttlMs: null,
  cuts: null,
  transports: null,
  ownAddresses: false,
} satisfies Partial<PopulationOptions>;
