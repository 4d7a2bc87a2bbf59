// A real gateway for tests: the built command line in a process of its own, on free ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import jwt from 'jsonwebtoken';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
export const SECRET = 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW';
export const ADMIN_KEY = 'operator-key-for-tests-0123456789abcdef';

export interface Place {
  client: string;
  session: string;
  generation: number;
  worker: string;
  connected: boolean;
}

export interface GatewayProcess {
  readonly port: number;
  readonly adminPort: number;
  readonly url: string;
  /** Where it has a TCP_PORT. */
  readonly tcpUrl: string;
  readonly node: string;
  readonly process: ChildProcess;
  /** Everything it has written so far. */
  output(): string;
  workers(): Promise<{ id: string; pid: number; state: string }[]>;
  /** Where a client's sessions are, by the directory. */
  locate(client: string): Promise<Place[]>;
  /** Value of a metric with these labels, added up over the rest. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
}

/** Far longer than any machine takes to start one, ms: what does not start says in its log why. */
const START_LIMIT_MS = 60_000;
/** Longer than DRAIN_TIMEOUT_MS with what comes after it, ms: what hangs is killed, so that it is not there during the next test. */
const STOP_LIMIT_MS = 28_000;

/** Starts a gateway, with `undefined` for variables that it must not have; resolves when every worker listens. Stop it in afterAll. */
export async function startGateway(env: Record<string, string | undefined> = {}): Promise<GatewayProcess> {
  const child = spawn(process.execPath, [CLI, 'start'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      ADMIN_PORT: '0',
      ADMIN_KEY,
      WORKERS: '2',
      JWT_SECRET: SECRET,
      HOST: '127.0.0.1',
      // A build that is broken ends the test with its log, instead of crashing for ever.
      CRASH_LOOP_LIMIT: '5',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  // It is told with all that it has written, as one that ended.
  const late = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  const ready = await new Promise<{ port: number; adminPort: number; node: string }>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const line = output.split('\n').find((text) => text.includes('"signalbox is ready"'));
      if (line !== undefined) resolve(JSON.parse(line) as { port: number; adminPort: number; node: string });
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void exited.then((code) => {
      reject(new Error(`the gateway ended with ${String(code)}:\n${output}`));
    });
  }).finally(() => {
    clearTimeout(late);
  });
  const { port, adminPort, node } = ready;
  const api = async (path: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`http://127.0.0.1:${String(adminPort)}${path}`, {
      headers: { Authorization: `Bearer ${ADMIN_KEY}` },
    });
    return (await response.json()) as Record<string, unknown>;
  };
  return {
    port,
    adminPort,
    node,
    url: `ws://127.0.0.1:${String(port)}`,
    tcpUrl: `tcp://127.0.0.1:${env.TCP_PORT ?? ''}`,
    process: child,
    output: () => output,
    workers: async () =>
      (await api('/api/v1/workers')).workers as { id: string; pid: number; state: string }[],
    // Answered with 503 while no worker is ready or the store is away: asked again.
    locate: (client) =>
      until(
        async () =>
          (await api(`/api/v1/clients/${encodeURIComponent(client)}`)).sessions as Place[] | undefined,
      ),
    metric: async (name, labels = {}) => {
      const response = await fetch(`http://127.0.0.1:${String(adminPort)}/metrics`);
      return sumOf(await response.text(), `signalbox_${name}`, labels);
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return await exited;
      child.kill('SIGTERM');
      // One that a test has stopped would never hear of it.
      child.kill('SIGCONT');
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        child.kill('SIGKILL');
      }, STOP_LIMIT_MS);
      const code = await exited;
      clearTimeout(late);
      if (isLate) throw new Error(`the gateway did not stop in ${String(STOP_LIMIT_MS)} ms:\n${output}`);
      return code;
    },
  };
}

function sumOf(exposition: string, name: string, labels: Record<string, string>): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (!Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** A token as an application's backend would make it. */
export function tokenOf(sub: string, perm: unknown = '*', claims: Record<string, unknown> = {}): string {
  return jwt.sign({ perm, ...claims }, SECRET, {
    algorithm: 'HS256',
    subject: sub,
    ...('exp' in claims ? {} : { expiresIn: 3600 }),
  });
}

/** Longer than any test may take, ms. A wait without end would keep the process of a test that failed long ago. */
const UNTIL_LIMIT_MS = 300_000;

/** Waits until `probe` returns something truthy; mostly the test's own time-out ends a wait for what never comes. */
export async function until<Value>(probe: () => Value | Promise<Value>): Promise<NonNullable<Value>> {
  const deadline = performance.now() + UNTIL_LIMIT_MS;
  while (performance.now() < deadline) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never came: ${probe.toString()}`);
}
