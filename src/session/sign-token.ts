// Makes access tokens with the gateway's own secret: for the command line, the playground and tests.
import jwt from 'jsonwebtoken';
import type { TokenSettings } from '../config.js';

export interface TokenRequest {
  sub: string;
  ttlS: number;
  /** The claim `perm`. */
  perm: unknown;
}

/**
 * A token that this gateway accepts, so it lives no longer than TOKEN_MAX_LIFE_S.
 * @throws TypeError where only a public key or a key set is configured: that can check tokens, not make them
 */
export function signToken(settings: TokenSettings, { sub, ttlS, perm }: TokenRequest): string {
  const secret = settings.keys.kind === 'secret' ? settings.keys.secrets[0] : undefined;
  if (secret === undefined)
    throw new TypeError('tokens are signed by whoever holds the private key, not by the gateway');
  return jwt.sign({ perm }, secret, {
    algorithm: 'HS256',
    subject: sub,
    expiresIn: Math.min(ttlS, settings.maxLifeS),
    ...(settings.audience === null ? {} : { audience: settings.audience }),
    ...(settings.issuer === null ? {} : { issuer: settings.issuer }),
    ...(settings.typ === null ? {} : { header: { alg: 'HS256', typ: settings.typ } }),
  });
}
