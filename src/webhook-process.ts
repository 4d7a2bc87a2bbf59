// The primary's side of the process that sends webhooks: starts it, starts it again, and lets it finish at the end.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Environment } from './config.js';
import { backoffMs, type Fate, nextFate } from './supervision.js';
import type { FromWebhookProcess, ToWebhookProcess } from './webhooks/process.js';

const ENTRY = fileURLToPath(new URL('./cli.js', import.meta.url));
/** With this argument the command line is not one for people. */
export const WEBHOOK_ARGUMENT = '--webhook-process';
/** How long it may be silent, ms; it says something each second. */
const SILENCE_LIMIT_MS = 10_000;
const WATCH_MS = 1_000;
/** How long it may go on sending when the gateway ends, ms. */
const FINISH_MS = 5_000;
/** And then to end, ms. */
const EXIT_MS = 1_000;

export interface WebhookProcessOptions {
  /** The environment of the process, whole. */
  env: Environment;
  execArgv: readonly string[];
  log: Logger;
  /** Told what it has counted so far. */
  told: (values: object[]) => void;
  /** It has ended: it will count no more. */
  ended: () => void;
}

export class WebhookProcess {
  private child: ChildProcess | null = null;
  private fate: Fate = { failures: 0 };
  private startedAt = 0;
  private heardAt = 0;
  private stopping = false;
  private timer: NodeJS.Timeout | null = null;
  private readonly watch = setInterval(() => {
    this.look();
  }, WATCH_MS);

  constructor(private readonly options: WebhookProcessOptions) {
    this.start();
  }

  /** @param mustFinish what waits will be lost with the store of this process */
  async stop(mustFinish: boolean): Promise<void> {
    this.stopping = true;
    clearInterval(this.watch);
    if (this.timer !== null) clearTimeout(this.timer);
    const { child } = this;
    if (child === null) return;
    await new Promise<void>((resolve) => {
      const kill = setTimeout(() => child.kill('SIGKILL'), FINISH_MS + EXIT_MS);
      child.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      child.send({ type: 'stop', mustFinish, timeMs: FINISH_MS } satisfies ToWebhookProcess, () => undefined);
    });
  }

  private start(): void {
    const { env, execArgv, log, told, ended } = this.options;
    const child = fork(ENTRY, [WEBHOOK_ARGUMENT], { env, execArgv: [...execArgv] });
    this.child = child;
    this.startedAt = this.heardAt = performance.now();
    child.on('message', (message) => {
      this.heardAt = performance.now();
      // Written by the code of this same version in a process that was started here.
      told((message as FromWebhookProcess).values);
    });
    child.on('error', (error) => {
      log.error({ err: error }, 'the process of webhooks cannot be started');
    });
    child.on('close', (code, signal) => {
      this.child = null;
      ended();
      if (this.stopping) return;
      log.error(
        { code, signal },
        'the process of webhooks ended: it is started again, and what waits is kept',
      );
      this.fate = nextFate(this.fate, performance.now() - this.startedAt);
      this.timer = setTimeout(
        () => {
          this.start();
        },
        backoffMs(this.fate.failures, Math.random()),
      );
    });
  }

  private look(): void {
    if (this.child === null || performance.now() - this.heardAt < SILENCE_LIMIT_MS) return;
    this.options.log.error('the process of webhooks hangs: killing it');
    this.heardAt = performance.now();
    this.child.kill('SIGKILL');
  }
}
