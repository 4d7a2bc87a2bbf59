// How the code that connecting does not need is had: as one file, for whoever needs some of it first.
import { GatewayError } from '../protocol/errors.js';
import type * as late from './late.js';
import type { Lazy } from './lazy.js';

type Code = typeof late;
export type LateCode = Lazy<Code>;

/** Makes a result of an answer with what `choose` takes of that code; rejects with `unavailable` where it cannot be had. */
export function later<Result>(
  lazy: LateCode,
  choose: (code: Code) => (answer: unknown) => Result,
): (answer: unknown) => Promise<Result> {
  const refuse = (cause: unknown): never => {
    throw new GatewayError('unavailable', undefined, { cause });
  };
  return async (answer) => choose(await lazy.load().catch(refuse))(answer);
}
