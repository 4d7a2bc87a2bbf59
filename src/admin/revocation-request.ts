// What an operator asks to revoke: one token, or all tokens of a client that were issued so far.
import { isClientId } from '../protocol/ids.js';
import type { Revocation } from '../session/store/store.js';

/** Longest `jti`, as tokens may have it. */
const TOKEN_ID_LIMIT_CHARACTERS = 256;

/**
 * `{ "client": "alice" }` or `{ "token": "<jti>" }`, with `before` (seconds since 1970; default now) for a client and `ttlS`
 * (how long it is kept; default the longest life that a token may have). Null for anything else.
 */
export function parseRevocation(body: unknown, maxLifeS: number, nowMs: number): Revocation | null {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  const { client, token, before = nowMs / 1000, ttlS = maxLifeS, ...rest } = body as Record<string, unknown>;
  const isClient = isClientId(client) && token === undefined;
  const isToken =
    typeof token === 'string' &&
    token.length > 0 &&
    token.length <= TOKEN_ID_LIMIT_CHARACTERS &&
    client === undefined;
  if (!isClient && !isToken) return null;
  if (Object.keys(rest).length > 0 || !isSeconds(before) || !isSeconds(ttlS) || ttlS > maxLifeS) return null;
  return {
    kind: isClient ? 'client' : 'token',
    id: String(isClient ? client : token),
    beforeMs: before * 1000,
    untilMs: nowMs + ttlS * 1000,
  };
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
