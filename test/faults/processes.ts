// Processes that a row starts: how long they may take to be ready, and that none outlives the run.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Running {
  readonly process: ChildProcess;
  /** The newest 200 kB of what it wrote. */
  output(): string;
  readonly isOver: boolean;
  signal(name: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | string | null>;
  kill(): Promise<void>;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Names of a machine (network namespace) or of limits come before the command. */
  wrap?: readonly string[];
}

const OUTPUT_LIMIT = 200_000;
const READY_TIMEOUT_MS = 20_000;

/** Starts a command and resolves with it and the first match of `ready` in what it writes. */
export async function run(
  command: readonly string[],
  ready: RegExp,
  { env = process.env, cwd, wrap = [] }: RunOptions = {},
): Promise<Running & { match: RegExpExecArray }> {
  const [file = '', ...args] = [...wrap, ...command];
  const child = spawn(file, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  // A row that dies must leave nothing behind.
  const killAtExit = (): boolean => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const exited = once(child, 'exit').then(([code, signal]) => {
    process.off('exit', killAtExit);
    return (code ?? signal) as number | string | null;
  });
  let output = '';
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${command.join(' ')} was not ready in time:\n${output}`));
    }, READY_TIMEOUT_MS);
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_LIMIT);
      const found = ready.exec(output);
      if (found === null) return;
      clearTimeout(late);
      resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    void exited.then((how) => {
      clearTimeout(late);
      reject(new Error(`${command.join(' ')} ended with ${String(how)}:\n${output}`));
    });
  });
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    process: child,
    match,
    output: () => output,
    get isOver() {
      return isOver();
    },
    signal: (name) => child.kill(name),
    exited,
    kill: async () => {
      if (isOver()) return;
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Polls until `probe` gives something truthy; says what it waited for when that takes too long. */
export async function waitFor<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  timeoutMs = 45_000,
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await Promise.resolve(probe()).catch(() => undefined);
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
