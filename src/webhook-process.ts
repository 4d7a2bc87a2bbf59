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
/** Who was killed is waited for this long, ms. */
const KILLED_MS = 500;

export interface WebhookProcessOptions {
  /** The environment of the process, whole. */
  env: Environment;
  execArgv: readonly string[];
  log: Logger;
  /** Told what it has counted so far. */
  told: (values: object[]) => void;
  /** It has ended: it will count no more. */
  ended: () => void;
  /** How many events wait in the store of this process. */
  waiting: () => number;
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
    const hasFinished = this.child !== null && (await this.finish(this.child, mustFinish));
    if (!mustFinish || hasFinished) return;
    // It had crashed, or hung, and could not say so itself.
    const events = this.options.waiting();
    if (events > 0) this.options.log.error({ events, reason: 'shutdown' }, 'webhook events were given up');
  }

  /** Whether it ended by itself, with everything sent or counted. */
  private finish(child: ChildProcess, mustFinish: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      let timer = setTimeout(() => {
        child.kill('SIGKILL');
        // Whatever becomes of it: the gateway ends.
        timer = setTimeout(resolve, KILLED_MS, false);
      }, FINISH_MS + EXIT_MS);
      // Not `exit`: that may have been, and this comes behind it.
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve(code === 0);
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
