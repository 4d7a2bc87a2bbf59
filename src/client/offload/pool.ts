// A pool of threads: calls wait for a free one, each thread runs one at a time, and one that dies or hangs is replaced.
import serialize from 'serialize-javascript';
import { coreCount, spawnThread } from './node-thread.js';
import { OffloadError, withStacks } from './offload-error.js';
import { type SetupStep, Thread } from './thread.js';

/** Options of `new OffloadPool(options)`. */
export interface OffloadOptions {
  /** Most threads; each is started when it is first needed. Default `navigator.hardwareConcurrency`, in Node what is available. */
  threads?: number;
  /** Where this origin serves `offload-worker.js`, for pages whose Content-Security-Policy forbids `blob:` workers. Browsers only. */
  workerUrl?: string | URL;
  /** Most calls that wait for a thread; beyond it they reject with `queue_full`. Default 1000. */
  queueLimitCalls?: number;
  /** Default of the same option of each call; default none. */
  timeoutMs?: number;
}

/** What `call` takes beside its arguments. */
export interface OffloadCallOptions {
  /** What is moved to the thread rather than copied. */
  transfer?: readonly Transferable[];
  /** Longest time from the call to its answer, ms; a thread that still runs it then is ended, and replaced. */
  timeoutMs?: number;
  /** As `timeoutMs`, at once. */
  signal?: AbortSignal;
}

/** What `registerFunctions` takes beside the functions. */
export interface RegisterOptions {
  /** Values that the functions may use by name: globals of each thread. Anything that `serialize-javascript` takes. */
  constants?: Record<string, unknown>;
}

/** A function as the page calls it, once it is registered. */
export type Offloaded<Run> = Run extends (...args: infer Args) => infer Result
  ? (...args: Args) => Promise<Awaited<Result>>
  : never;

interface Job {
  readonly name: string;
  readonly args: unknown[];
  readonly transfer: Transferable[];
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Where it runs; null while it waits. */
  thread: Thread | null;
}

/** Threads that run the application's functions; see docs/offload.md. Ends with `terminate()`. */
export class OffloadPool {
  readonly #limit: number;
  readonly #url: string | null;
  readonly #queueLimitCalls: number;
  readonly #timeoutMs: number | undefined;
  readonly #threads = new Set<Thread>();
  readonly #waiting = new Set<Job>();
  #steps: SetupStep[] = [];
  #isTerminated = false;

  constructor(options: OffloadOptions = {}) {
    this.#limit = options.threads ?? coreCount();
    if (!(this.#limit >= 1)) throw new TypeError('options.threads is at least 1.');
    this.#url = options.workerUrl === undefined ? null : String(options.workerUrl);
    this.#queueLimitCalls = options.queueLimitCalls ?? 1_000;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Threads that there are now, for whoever wants to show them. */
  get threads(): number {
    return this.#threads.size;
  }

  /** Calls that wait for a thread. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Has each thread load these scripts, in order, before what is called after this: as `importScripts` does in browsers, by path or URL in
   * Node. Rejects with `rejected` where one cannot be had or throws.
   */
  loadScripts(...urls: (string | URL)[]): Promise<void> {
    return this.#setUp(['load', urls.map((url) => absolute(String(url)))]);
  }

  /**
   * Ships functions to each thread, as source text: they see their arguments, the loaded scripts, the `constants` and each other's results,
   * and nothing of the place where they were written. Resolves with the same functions to be called from here, which return promises.
   * Rejects with `rejected` where the text is none that can be evaluated, `forbidden` where a Content-Security-Policy has no `unsafe-eval`.
   * @typeParam Functions the functions by name
   * @throws TypeError for what can never be shipped: a bound or native function, a class, no function at all
   */
  async registerFunctions<Functions extends Record<string, (...args: never[]) => unknown>>(
    functions: Functions,
    options: RegisterOptions = {},
  ): Promise<{ [Name in keyof Functions]: Offloaded<Functions[Name]> }> {
    for (const [name, run] of Object.entries(functions)) assertShippable(name, run);
    await this.#setUp(['register', serialize(functions), serialize(options.constants ?? {})]);
    const callers = Object.keys(functions).map((name) => [
      name,
      (...args: unknown[]) => this.call(name, args),
    ]);
    return Object.fromEntries(callers) as { [Name in keyof Functions]: Offloaded<Functions[Name]> };
  }

  /**
   * Runs a function in a free thread: a registered or provided one, or what a loaded script left there by that name (`pako.deflate`).
   * Arguments and result are cloned by the platform. Rejects with an `OffloadError`.
   */
  call(name: string, args: readonly unknown[] = [], options: OffloadCallOptions = {}): Promise<unknown> {
    const { signal, transfer = [], timeoutMs = this.#timeoutMs } = options;
    const caller = new Error();
    return new Promise((resolve, reject) => {
      if (this.#isTerminated) throw new OffloadError('closed', 'The pool was terminated.');
      if (signal?.aborted) throw aborted(signal);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const abort = (): void => signal && this.#withdraw(job, aborted(signal));
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      const job: Job = {
        name,
        args: [...args],
        transfer: [...transfer],
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what failed is passed on as it is
          reject(withStacks(error, caller));
        },
        thread: null,
      };
      this.#waiting.add(job);
      this.#pump();
      if (this.#waiting.size > this.#queueLimitCalls && this.#waiting.delete(job))
        return job.reject(new OffloadError('queue_full', 'Too many calls wait.'));
      signal?.addEventListener('abort', abort);
      if (timeoutMs !== undefined)
        timer = setTimeout(
          () => this.#withdraw(job, new OffloadError('timeout', `No answer within ${String(timeoutMs)} ms.`)),
          timeoutMs,
        );
    });
  }

  /** Ends all threads at once: what runs or waits rejects with `closed`. Idempotent. */
  terminate(): void {
    if (this.#isTerminated) return;
    this.#isTerminated = true;
    const error = new OffloadError('closed', 'The pool was terminated.');
    for (const thread of this.#threads) thread.end(error);
    this.#threads.clear();
    this.#failWaiting(error);
  }

  async #setUp(step: SetupStep): Promise<void> {
    const caller = new Error();
    if (this.#isTerminated) throw new OffloadError('closed', 'The pool was terminated.');
    this.#steps.push(step);
    try {
      await this.#tell(step);
    } catch (error) {
      this.#steps = this.#steps.filter((other) => other !== step);
      throw withStacks(error, caller);
    }
  }

  /** Threads that end meanwhile, as by the time-out of a call, say nothing of the step: a new one begins with all steps. */
  async #tell(step: SetupStep): Promise<void> {
    const told = [...this.#threads].map((thread) =>
      thread.setUp(step).then(
        () => true,
        (error: unknown) => {
          if (hasCode(error, 'timeout', 'aborted', 'provider_gone')) return false;
          throw error;
        },
      ),
    );
    // Without a wait where there are none, so that nobody else starts the first one.
    if (told.length > 0 && (await Promise.all(told)).includes(true)) return;
    // The first thread tells whether it can be done at all.
    while (this.#threads.size === 0) {
      if (this.#isTerminated) throw new OffloadError('closed', 'The pool was terminated.');
      try {
        await this.#spawn();
      } catch (error) {
        // One that dies of the step would do so again and again.
        if (!hasCode(error, 'timeout', 'aborted')) throw error;
      }
    }
  }

  /** Resolves when the thread has done all steps. */
  async #spawn(): Promise<void> {
    let thread: Thread;
    try {
      thread = new Thread(spawnThread, this.#url, (gone) => this.#lost(gone));
    } catch (cause) {
      throw new OffloadError('unavailable', 'No thread can be started here.', { cause });
    }
    this.#threads.add(thread);
    try {
      await Promise.all(this.#steps.map((step) => thread.setUp(step)));
    } catch (error) {
      // Without what the others have it is of no use.
      if (this.#threads.delete(thread))
        thread.end(new OffloadError('unavailable', 'A thread could not be set up.', { cause: error }));
      throw error;
    }
  }

  #pump(): void {
    for (const job of this.#waiting) {
      const free = [...this.#threads].find(({ isBusy }) => !isBusy);
      if (free === undefined) {
        const { size } = this.#threads;
        if (size >= this.#limit) return;
        // It is in the set before the first wait, or there can be none now: then the others go on.
        this.#spawn().catch((error: unknown) => this.#spawnFailed(error));
        if (this.#threads.size === size) return;
        return this.#pump();
      }
      this.#waiting.delete(job);
      void this.#run(job, free);
    }
  }

  async #run(job: Job, thread: Thread): Promise<void> {
    job.thread = thread;
    thread.isBusy = true;
    try {
      job.resolve(await thread.call(job.name, job.args, job.transfer));
    } catch (error) {
      job.reject(error);
    }
    thread.isBusy = false;
    this.#pump();
  }

  /** Nobody waits for it any more. A thread that runs it can only be stopped by its end. */
  #withdraw(job: Job, error: OffloadError): void {
    if (this.#waiting.delete(job)) return job.reject(error);
    const { thread } = job;
    if (thread === null) return;
    job.reject(error);
    this.#threads.delete(thread);
    thread.end(error);
    this.#pump();
  }

  #lost(thread: Thread): void {
    this.#threads.delete(thread);
    // One that never answered would have a successor of the same kind, for ever.
    if (thread.hasAnswered) this.#pump();
    else this.#spawnFailed(new OffloadError('unavailable', 'No thread could be started.'));
  }

  #spawnFailed(error: unknown): void {
    if (this.#threads.size === 0) this.#failWaiting(error);
  }

  #failWaiting(error: unknown): void {
    const jobs = [...this.#waiting];
    this.#waiting.clear();
    for (const job of jobs) job.reject(error);
  }
}

function hasCode(error: unknown, ...codes: OffloadError['code'][]): boolean {
  return error instanceof OffloadError && codes.includes(error.code);
}

function aborted(signal: AbortSignal): OffloadError {
  return new OffloadError('aborted', 'The caller aborted the call.', { cause: signal.reason });
}

/** Threads of a `blob:` have no place that a path could begin at. */
function absolute(url: string): string {
  return typeof document === 'undefined' ? url : new URL(url, document.baseURI).href;
}

function assertShippable(name: string, run: unknown): void {
  if (typeof run !== 'function') throw new TypeError(`${name} is no function.`);
  const text = Function.prototype.toString.call(run);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text))
    throw new TypeError(`${name} has no source text: it is bound or native, and cannot be shipped.`);
  if (/^class\b/.test(text)) throw new TypeError(`${name} is a class, and cannot be called.`);
}
