// A gateway as a row handles it: the built command line on a fixed port, that can be killed, started again, and lives on any machine.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ADMIN_KEY, SECRET } from '../gateway-process.js';
import { freePort } from '../free-port.js';
import { run, type Running, waitFor } from './processes.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface GatewayOptions {
  name?: string;
  host?: string;
  /** What comes before the command: another machine, a limit, another clock. */
  wrap?: readonly string[];
  env?: Record<string, string>;
  /** Another build of the gateway. */
  cli?: string;
  /** Where its log goes, a path; without, the row can read it. */
  logTo?: string;
}

export interface WorkerInfo {
  id: string;
  pid: number;
  state: string;
}

/** Limits that the load of one machine's address would meet; everything else is as it comes. */
const FOR_LOAD = {
  HANDSHAKES_PER_SECOND_LIMIT: '0',
  CONNECTIONS_PER_ADDRESS_LIMIT: '0',
  ADDRESS_MESSAGES_PER_SECOND_LIMIT: '0',
};

export class GatewayNode {
  #running: Running | null = null;
  #adminPort = 0;

  private constructor(
    readonly host: string,
    readonly port: number,
    readonly options: GatewayOptions,
  ) {}

  static async start(options: GatewayOptions = {}): Promise<GatewayNode> {
    const node = new GatewayNode(options.host ?? '127.0.0.1', await freePort(), options);
    await node.start();
    return node;
  }

  get url(): string {
    return `ws://${this.host}:${this.port}`;
  }

  get pid(): number {
    return this.#running?.process.pid ?? 0;
  }

  get output(): string {
    return this.#running?.output() ?? '';
  }

  get isOver(): boolean {
    return this.#running?.isOver ?? true;
  }

  /** Exit code or signal of the present process. */
  get exited(): Promise<number | string | null> {
    return this.#running?.exited ?? Promise.resolve(null);
  }

  /** Again, at the same port, with the same settings. */
  async start(): Promise<void> {
    const { wrap = [], env = {}, cli = CLI, logTo } = this.options;
    const settings: NodeJS.ProcessEnv = {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME },
      ...{ PORT: String(this.port), HOST: this.host, ADMIN_PORT: '0', ADMIN_HOST: this.host, ADMIN_KEY },
      ...{ WORKERS: '2', ...(env.JWKS_URL === undefined ? { JWT_SECRET: SECRET } : {}) },
      ...FOR_LOAD,
      ...env,
    };
    const command = [process.execPath, cli, 'start'];
    if (logTo !== undefined) {
      await this.#startUnheard(command, logTo, settings);
      return;
    }
    const running = await run(command, /\{[^\n]*"signalbox is ready"[^\n]*\}/, { env: settings, wrap });
    this.#running = running;
    const { adminPort } = JSON.parse(running.match[0]) as { adminPort: number };
    this.#adminPort = adminPort;
  }

  /** Its log cannot be read here: the ports tell that it is ready. */
  async #startUnheard(command: readonly string[], logTo: string, env: NodeJS.ProcessEnv): Promise<void> {
    this.#adminPort = await freePort();
    this.#running = await run(
      ['sh', '-c', 'echo begun; log=$0; exec "$@" >"$log"', logTo, ...command],
      /begun/,
      { env: { ...env, ADMIN_PORT: String(this.#adminPort) }, wrap: this.options.wrap ?? [] },
    );
    await waitFor('the gateway to be ready', async () => {
      const isReady = (await this.readiness()) === 200;
      return isReady && (await this.readyWorkers()).length === Number(env.WORKERS);
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#running?.signal(name);
  }

  /** The primary; its workers end by themselves. */
  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  /** SIGTERM, and how it ended. */
  async stop(): Promise<number | string | null> {
    if (this.#running === null || this.#running.isOver) return null;
    this.#running.signal('SIGCONT');
    this.#running.signal('SIGTERM');
    return await this.#running.exited;
  }

  async workers(): Promise<WorkerInfo[]> {
    return (await this.#api('/api/v1/workers')).workers as WorkerInfo[];
  }

  async readyWorkers(): Promise<WorkerInfo[]> {
    return (await this.workers()).filter(({ state }) => state === 'ready');
  }

  /** Kills -9, and waits until another one took its place. */
  async killWorker(which: number): Promise<void> {
    const workers = await this.readyWorkers();
    const victim = workers[which % workers.length];
    if (victim === undefined) throw new Error('no worker to kill');
    process.kill(victim.pid, 'SIGKILL');
    await waitFor('another worker', async () => {
      const now = await this.readyWorkers();
      return now.length >= workers.length && now.every(({ pid }) => pid !== victim.pid);
    });
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    return (await this.metrics())(name, labels);
  }

  /** All of one moment. */
  async metrics(): Promise<(name: string, labels?: Record<string, string>) => number> {
    const lines = (await (await this.#fetch('/metrics')).text()).split('\n');
    return (name, labels = {}) => {
      let sum = 0;
      for (const line of lines) {
        if (!line.startsWith(`signalbox_${name}{`) && !line.startsWith(`signalbox_${name} `)) continue;
        if (!Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))) continue;
        sum += Number(line.slice(line.lastIndexOf(' ') + 1));
      }
      return sum;
    };
  }

  /** Memory of all its processes. */
  async residentMb(): Promise<number> {
    const pids = [this.pid, ...(await this.workers()).map(({ pid }) => pid)];
    const pages = pids.map((pid) => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]));
    return Math.round((pages.reduce((sum, count) => sum + count, 0) * 4096) / 1e6);
  }

  /** Status of `/readyz`; 0 where nobody answers. */
  async readiness(): Promise<number> {
    try {
      const response = await fetch(`http://${this.host}:${this.port}/readyz`, {
        signal: AbortSignal.timeout(1000),
      });
      return response.status;
    } catch {
      return 0;
    }
  }

  async sessionsOf(client: string): Promise<{ session: string; worker: string; connected: boolean }[]> {
    const found = (await this.#api(`/api/v1/clients/${client}`)).sessions;
    return Array.isArray(found) ? (found as { session: string; worker: string; connected: boolean }[]) : [];
  }

  /** What an operator posts to `/api/v1/revocations`. */
  async revoke(revocation: Record<string, unknown>): Promise<void> {
    const { status } = await this.#fetch('/api/v1/revocations', {
      method: 'POST',
      body: JSON.stringify(revocation),
    });
    if (status !== 200) throw new Error(`the revocation was answered with ${status}`);
  }

  async #api(path: string): Promise<Record<string, unknown>> {
    return (await (await this.#fetch(path)).json()) as Record<string, unknown>;
  }

  #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://${this.host}:${this.#adminPort}${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${ADMIN_KEY}` },
      signal: AbortSignal.timeout(5000),
    });
  }
}
