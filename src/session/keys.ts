// Keys that verify tokens: a secret, a public key, or a key set that an identity provider publishes.
import type { KeyObject } from 'node:crypto';
import { createPublicKey, createSecretKey, type JsonWebKey } from 'node:crypto';
import { createRemoteJWKSet, customFetch } from 'jose';
import { GatewayError } from '../protocol/errors.js';

/** One key verifies one algorithm: RS256 with an HMAC secret, or the reverse, cannot be asked for. */
export interface VerificationKey {
  key: KeyObject;
  algorithm: 'HS256' | 'RS256' | 'ES256';
}

export interface KeySource {
  /** Keys to try, the current one first; none where the id or the algorithm is unknown. */
  find(kid: string | null, alg: string): Promise<readonly VerificationKey[]>;
  close(): void;
}

export function localKeys(
  settings: { kind: 'secret'; secrets: string[] } | { kind: 'public'; pems: string[] },
): KeySource {
  const keys: VerificationKey[] =
    settings.kind === 'secret'
      ? settings.secrets.map((secret) => ({ key: createSecretKey(Buffer.from(secret)), algorithm: 'HS256' }))
      : settings.pems.map((pem) => publicKey(createPublicKey(pem)));
  return {
    find: (_kid, alg) => Promise.resolve(keys.filter(({ algorithm }) => algorithm === alg)),
    close: () => undefined,
  };
}

/** @throws TypeError for a kind or size of key that is not accepted */
export function publicKey(key: KeyObject): VerificationKey {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return { key, algorithm: 'RS256' };
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return { key, algorithm: 'ES256' };
  throw new TypeError('a public key must be RSA of at least 2048 bits or EC P-256');
}

/** A key set is fetched again after this long, ms. */
const REFRESH_MS = 10 * 60_000;
/** Keys that could not be refreshed for this long are no longer used, ms: the provider may have revoked them. */
const MAX_STALE_MS = 24 * 3_600_000;
/** At most one fetch for unknown key ids in this time, ms: strangers must not make us hammer the provider. */
const COOLDOWN_MS = 60_000;
/** The same while there are no keys at all, ms: a gateway that started before its provider must not wait a minute. */
const FIRST_COOLDOWN_MS = 5_000;
const FETCH_TIMEOUT_MS = 2_000;
const BODY_LIMIT_BYTES = 256 * 1024;
/** Most keys of a set: a provider has two or three, and each costs time to import. */
const KEYS_LIMIT = 64;

export interface JwksOptions {
  /** Told why the set could not be fetched. */
  failed?: (error: unknown) => void;
  now?: () => number;
}

export class JwksKeys implements KeySource {
  private readonly set: ReturnType<typeof createRemoteJWKSet>;
  private readonly timer: NodeJS.Timeout;
  private readonly now: () => number;
  private readonly verified = new Map<string, VerificationKey>();
  private refreshing: Promise<void> | null = null;
  private fetchedAt = -Infinity;
  private triedAt = -Infinity;

  constructor(
    url: string,
    private readonly options: JwksOptions = {},
  ) {
    this.now = options.now ?? (() => performance.now());
    this.set = createRemoteJWKSet(new URL(url), {
      // Ours is the rule of when to fetch: jose forgets its keys when a refresh fails.
      cacheMaxAge: Infinity,
      cooldownDuration: Infinity,
      timeoutDuration: FETCH_TIMEOUT_MS,
      [customFetch]: fetchBounded,
    });
    this.timer = setInterval(() => {
      void this.refresh().catch(() => undefined);
    }, REFRESH_MS);
    this.timer.unref();
  }

  async find(kid: string | null, alg: string): Promise<readonly VerificationKey[]> {
    if (kid === null || (alg !== 'RS256' && alg !== 'ES256')) return [];
    if (!this.verified.has(kid)) {
      const cooldown = this.fetchedAt === -Infinity ? FIRST_COOLDOWN_MS : COOLDOWN_MS;
      if (this.now() - this.triedAt >= cooldown) await this.refresh();
      else await this.refreshing;
    }
    if (this.now() - this.fetchedAt > MAX_STALE_MS) throw new GatewayError('unavailable');
    const key = this.verified.get(kid);
    return key !== undefined && key.algorithm === alg ? [key] : [];
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** One fetch at a time; the keys of before stay when it fails. */
  private refresh(): Promise<void> {
    this.refreshing ??= this.fetch().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async fetch(): Promise<void> {
    this.triedAt = this.now();
    try {
      await this.set.reload();
    } catch (error) {
      this.options.failed?.(error);
      return;
    }
    this.fetchedAt = this.now();
    this.verified.clear();
    for (const jwk of this.set.jwks()?.keys.slice(0, KEYS_LIMIT) ?? []) {
      const { kid, use, alg, key_ops: operations } = jwk;
      if (typeof kid !== 'string' || (use !== undefined && use !== 'sig')) continue;
      if (Array.isArray(operations) && !operations.includes('verify')) continue;
      try {
        const key = publicKey(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }));
        if (alg === undefined || alg === key.algorithm) this.verified.set(kid, key);
      } catch {
        // A set may hold keys for other uses and of other kinds: they are simply not ours.
      }
    }
  }
}

async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...options, redirect: 'error' });
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > BODY_LIMIT_BYTES) {
      await reader.cancel();
      throw new RangeError('the key set is too large');
    }
    chunks.push(value);
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: response.headers });
}
