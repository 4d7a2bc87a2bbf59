// The challenge of a pre-shared key: both sides prove that they know the secret, by HMAC-SHA-256 over both nonces, without sending it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type ClientId, isClientId } from '../protocol/ids.js';
import type { Identity } from './authenticator.js';
import type { PreSharedKey } from './pre-shared-keys.js';

/** Begins every record of the challenge; the number is its version. */
export const PSK = 'psk1';
/** 128 bits or more, that its side never uses again. */
const NONCE = /^[A-Za-z0-9_-]{22,64}$/;
const NONCE_BYTES = 24;

/** What one side writes to prove that it knows the secret; the other side's proof is another one. */
export function proofOf(
  secret: string,
  side: 'client' | 'gateway',
  { client, clientNonce, gatewayNonce }: { client: string; clientNonce: string; gatewayNonce: string },
): string {
  const text = ['signalbox', PSK, side, client, clientNonce, gatewayNonce].join('\n');
  return createHmac('sha256', secret).update(text).digest('base64url');
}

/** One challenge, from the client's first record to the gateway's proof. */
export class Challenge {
  /** What the gateway says first. */
  readonly gatewayNonce = randomBytes(NONCE_BYTES).toString('base64url');

  private constructor(
    private readonly client: string,
    private readonly clientNonce: string,
    private readonly key: PreSharedKey | null,
  ) {}

  /** @param words of the client's record after its first; null where they are not a client id and a nonce */
  static begin(keys: ReadonlyMap<ClientId, PreSharedKey>, words: readonly string[]): Challenge | null {
    const [client = '', nonce = '', ...more] = words;
    if (!isClientId(client) || !NONCE.test(nonce) || more.length > 0) return null;
    // One that nobody has is asked in the same way: who is known must not show.
    return new Challenge(client, nonce, keys.get(client) ?? null);
  }

  /** @returns who the client is, and the proof that it gets for its own; null where its own was wrong */
  answer(proof: string, lifeMs: number, now = Date.now()): { identity: Identity; proof: string } | null {
    const { client, clientNonce, gatewayNonce, key } = this;
    const nonces = { client, clientNonce, gatewayNonce };
    const secret = key?.secret ?? gatewayNonce;
    const expected = Buffer.from(proofOf(secret, 'client', nonces));
    const given = Buffer.from(proof);
    const isRight = given.length === expected.length && timingSafeEqual(given, expected);
    if (!isRight || key === null || !isClientId(client)) return null;
    const identity = {
      client,
      expiresAtMs: now + lifeMs,
      issuedAtMs: now,
      tokenId: null,
      permissions: key.permissions,
    };
    return { identity, proof: proofOf(secret, 'gateway', nonces) };
  }
}
