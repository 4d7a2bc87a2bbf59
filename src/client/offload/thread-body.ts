// What runs in each thread, as one function without any name from outside: its source text is shipped.
import type { ThrownThere } from './offload-error.js';

/**
 * To a thread. Arrays, because what crosses between files that are shortened apart must have no names of properties.
 * `number` comes back with the answer.
 */
export type ThreadTask =
  | [kind: 'load', number: number, urls: string[]]
  | [kind: 'register', number: number, functions: string, constants: string]
  | [kind: 'call', number: number, name: string, args: unknown[]];

export type ThreadAnswer =
  | [kind: 'done', number: number, value: unknown]
  | [kind: 'failed', number: number, why: 'thrown' | 'unknown' | 'uncloneable' | 'forbidden', ThrownThere]
  /** It ends itself. */
  | [kind: 'closing'];

/** The platform, as the body sees it. */
export interface ThreadPlatform {
  post(answer: ThreadAnswer, transfer: Transferable[]): void;
  listen(take: (task: ThreadTask) => void): void;
  load(url: string): unknown;
}

/** What functions in a thread find as the global `offload`. */
export interface OffloadScope {
  /** Has `list` moved rather than copied with `value`, an object that the function returns. Returns `value`. */
  transfer<Value extends object>(value: Value, list: readonly Transferable[]): Value;
  /** Offers functions by name: for scripts that `loadScripts` loads, where nothing may be evaluated. */
  provide(functions: Record<string, (...args: never[]) => unknown>): void;
}

export function threadBody(platform: ThreadPlatform): void {
  type Provided = (...args: unknown[]) => unknown;
  const functions = new Map<string, Provided>();
  const shipped = new Set<string>();
  const moved = new WeakMap<object, Transferable[]>();
  const scope = globalThis as unknown as Record<string, unknown>;
  // Scripts of the web look for it.
  scope.self ??= globalThis;
  const provide = (given: Record<string, Provided>): void => {
    for (const [name, run] of Object.entries(given)) functions.set(name, run);
  };
  scope.offload = {
    transfer: (value: object, list: Transferable[]) => {
      moved.set(value, [...list]);
      return value;
    },
    provide,
  };
  const { close } = scope;
  // Nobody is told of a worker that closes itself.
  if (typeof close === 'function')
    scope.close = () => {
      platform.post(['closing'], []);
      close.call(globalThis);
    };

  /** In the global scope, not in this one. */
  const evaluate = (text: string): unknown => (0, eval)(`(${text}\n)`);

  /** `pako.deflate` too: what a loaded script has put there. */
  const find = (name: string): Provided | null => {
    const own = functions.get(name);
    if (own !== undefined) return own;
    let holder: unknown = undefined;
    let value: unknown = scope;
    for (const part of name.split('.')) {
      holder = value;
      value = (holder as Record<string, unknown> | null | undefined)?.[part];
    }
    return typeof value === 'function' ? (value.bind(holder) as Provided) : null;
  };

  const describe = (error: unknown, hint = ''): ThrownThere => {
    if (!(error instanceof Error)) return ['Error', String(error) + hint, '', undefined];
    const { name, message, stack = '' } = error;
    const { code } = error as Error & { code?: unknown };
    return [
      name,
      message + hint,
      stack,
      typeof code === 'string' || typeof code === 'number' ? code : undefined,
    ];
  };

  const call = async (number: number, name: string, args: unknown[]): Promise<void> => {
    const run = find(name);
    if (run === null) {
      const error = new TypeError(`No function ${name}`);
      platform.post(['failed', number, 'unknown', describe(error)], []);
      return;
    }
    let value: unknown;
    try {
      value = await run(...args);
    } catch (error) {
      const isClosure = shipped.has(name) && error instanceof ReferenceError;
      const hint = isClosure
        ? ' (a shipped function sees nothing of the place where it was written: pass it as argument or constant)'
        : '';
      platform.post(['failed', number, 'thrown', describe(error, hint)], []);
      return;
    }
    try {
      const isObject = typeof value === 'object' && value !== null;
      platform.post(['done', number, value], (isObject && moved.get(value as object)) || []);
    } catch (error) {
      platform.post(['failed', number, 'uncloneable', describe(error)], []);
    }
  };

  const take = async (task: ThreadTask): Promise<void> => {
    const number = task[1];
    if (task[0] === 'call') return call(number, task[2], task[3]);
    try {
      if (task[0] === 'load') for (const url of task[2]) await platform.load(url);
      else {
        Object.assign(scope, evaluate(task[3]));
        const given = evaluate(task[2]) as Record<string, Provided>;
        provide(given);
        for (const name of Object.keys(given)) shipped.add(name);
      }
      platform.post(['done', number, undefined], []);
    } catch (error) {
      platform.post(
        ['failed', number, error instanceof EvalError ? 'forbidden' : 'thrown', describe(error)],
        [],
      );
    }
  };

  let last = Promise.resolve();
  platform.listen((task) => {
    last = last.then(() => take(task));
  });
}
