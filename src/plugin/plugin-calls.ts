// Calls of plugins, kept from harming their caller: what they throw is caught, what they promise is bounded in time and number.
import type { TimerWheel } from '../session/wheel.js';

/** Verdicts that may be waited for at once in one worker, for each plugin. */
const PENDING_LIMIT = 10_000;
/** Pause between two lines on the same plugin and the same fault, ms. */
const LOG_PAUSE_MS = 10_000;

export type Fault = 'threw' | 'timeout' | 'rubbish' | 'overload';

/** What a call came to: a value, or the fault for which there is none. */
export type Outcome<Value> = { value: Value } | { fault: Fault };

export interface PluginCallsOptions {
  timeoutMs: number;
  wheel: TimerWheel;
  count: (fault: Fault) => void;
  log: (fault: Fault, error: unknown) => void;
}

export class PluginCalls {
  private pending = 0;
  private readonly loggedAt = new Map<Fault, number>();

  constructor(private readonly options: PluginCallsOptions) {}

  /** For what nobody waits for. */
  notify(call: () => unknown): void {
    try {
      this.ignore(call());
    } catch (error) {
      this.threw(error);
    }
  }

  /** What a call answered that nobody waits for. */
  ignore(answer: unknown): void {
    if (isPromise(answer))
      answer.then(undefined, (error: unknown) => {
        this.threw(error);
      });
  }

  threw(error: unknown): void {
    this.fault('threw', error);
  }

  /** @param parse undefined for what is no answer */
  ask<Value>(
    call: () => unknown,
    parse: (answer: unknown) => Value | undefined,
  ): Outcome<Value> | Promise<Outcome<Value>> {
    const read = (answer: unknown): Outcome<Value> => {
      const value = parse(answer);
      return value === undefined ? this.fault('rubbish', null) : { value };
    };
    try {
      if (this.pending >= PENDING_LIMIT) return this.fault('overload', null);
      const answer = call();
      return isPromise(answer) ? this.inTime(answer, read) : read(answer);
    } catch (error) {
      return this.fault('threw', error);
    }
  }

  private inTime<Value>(
    answer: PromiseLike<unknown>,
    read: (answer: unknown) => Outcome<Value>,
  ): Promise<Outcome<Value>> {
    this.pending++;
    return new Promise((resolve) => {
      const deadline = this.options.wheel.in(this.options.timeoutMs, () => {
        settle(() => this.fault('timeout', null));
      });
      let settled = false;
      const settle = (outcome: () => Outcome<Value>): void => {
        if (settled) return;
        settled = true;
        this.pending--;
        deadline.cancel();
        resolve(outcome());
      };
      answer.then(
        (value) => {
          settle(() => read(value));
        },
        (error: unknown) => {
          settle(() => this.fault('threw', error));
        },
      );
    });
  }

  private fault(fault: Fault, error: unknown): { fault: Fault } {
    this.options.count(fault);
    const now = performance.now();
    if (now - (this.loggedAt.get(fault) ?? -Infinity) >= LOG_PAUSE_MS) {
      this.loggedAt.set(fault, now);
      this.options.log(fault, error);
    }
    return { fault };
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
