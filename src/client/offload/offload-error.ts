// Why a call to another thread failed: a code of the one table, and what went wrong over there as its cause.
import type { Code } from '../../protocol/codes.js';

/** What a thread says of an error: name, message, stack, and its `code` where it has one. */
export type ThrownThere = [name: string, message: string, stack: string, code: unknown];

/**
 * Every rejection of a pool. `code` is a name of the code table: `rejected` (the function threw; `cause` is its error, with the
 * stack of its thread), `no_handler` (no such function), `timeout`, `aborted`, `queue_full`, `provider_gone` (the thread died),
 * `bad_payload` (arguments or result cannot be cloned), `forbidden` (a Content-Security-Policy), `unavailable`, `closed`.
 */
export class OffloadError extends Error {
  override readonly name = 'OffloadError';
  constructor(
    readonly code: Code,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An error of another thread, as far as this one can have it: `instanceof` its class is lost. */
export function errorFrom([name, message, stack, code]: ThrownThere): Error {
  const error = new Error(message);
  error.name = name;
  // Firefox leaves name and message out of it.
  if (stack !== '') error.stack = stack.includes(message) ? stack : `${name}: ${message}\n${stack}`;
  if (code !== undefined) Object.assign(error, { code });
  return error;
}

/** `there` is what was thrown. */
export function failureOf(code: Code, there: ThrownThere): OffloadError {
  const cause = errorFrom(there);
  return new OffloadError(code, `${cause.name}: ${cause.message}`, { cause });
}

/** Gives the error the stack of its cause, and then that of whoever called. */
export function withStacks(error: unknown, caller: Error): unknown {
  if (!(error instanceof OffloadError) || !(error.cause instanceof Error)) return error;
  const [, ...lines] = (caller.stack ?? '').split('\n');
  error.stack = `${error.cause.stack ?? ''}\n    --- called from ---\n${lines.join('\n')}`;
  return error;
}
