// A process of this suite on another machine, asked one thing after the other.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Talker<Order, Greeting> {
  /** What it said when it was ready. */
  readonly first: Greeting;
  /** Resolves with its next word; one order at a time. */
  ask(order: Order): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a script of this suite with `wrap` before it; it says one thing when it is ready, and one to each order. */
export async function spawnOn<Order extends object, Greeting>(
  wrap: readonly string[],
  script: string,
  args: readonly string[],
): Promise<Talker<Order, Greeting>> {
  const [file = '', ...rest] = [...wrap, process.execPath, '--enable-source-maps', script, ...args];
  const child = spawn(file, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const killAtExit = (): boolean => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const first = (await word(child)) as Greeting;
  return {
    first,
    ask: async (order) => {
      const answer = word(child);
      child.send(order);
      return await answer;
    },
    stop: async () => {
      process.off('exit', killAtExit);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function word(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  const [said] = (await Promise.race([
    once(child, 'message', { signal }),
    once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`a process of the suite ended with ${String(code)}`);
    }),
  ]).finally(() => over.abort())) as unknown[];
  return said;
}
