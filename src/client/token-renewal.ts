// A new access token for a connection that goes on, when the gateway says that the last one expires.
import type { Caller } from './caller.js';
import { PATIENT } from './calls.js';
import { tokenLifetime } from './pages.js';
import type { TokenSource } from './token-source.js';

/** Rejects where there is no new token, or the gateway does not take it. */
export async function renewToken(tokens: TokenSource, caller: Caller): Promise<void> {
  const token = await tokens.renew();
  const lifetimeMs = await caller.call({ type: 'token', ref: 0, token }, tokenLifetime, PATIENT);
  if (lifetimeMs !== null) tokens.learn(lifetimeMs);
}
