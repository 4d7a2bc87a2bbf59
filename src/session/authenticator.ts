// Who a token says is connecting: jsonwebtoken with the holes closed that it leaves to its caller.
import jwt, { type Algorithm } from 'jsonwebtoken';
import type { KeyObject } from 'node:crypto';
import type { TokenSettings } from '../config.js';
import { ProtocolError } from '../protocol/errors.js';
import { type ClientId, isClientId } from '../protocol/ids.js';
import { TOKEN_LIMIT_BYTES } from '../protocol/limits.js';
import { JwksKeys, type KeySource, localKeys } from './keys.js';
import { type Permissions, parsePermissions } from './permissions.js';

export interface Identity {
  client: ClientId;
  expiresAtMs: number;
  /** Null where the token does not say. */
  issuedAtMs: number | null;
  /** `jti`, or null. */
  tokenId: string | null;
  permissions: Permissions;
}

/** Why a token was refused: for logs and metrics. The client hears `invalid_token` only. */
export type Refusal =
  'malformed' | 'header' | 'unknown_key' | 'signature' | 'expired' | 'not_yet' | 'claims' | 'revoked';

class RefusedToken extends Error {
  constructor(readonly reason: Refusal) {
    super(reason);
  }
}

export interface Authenticator {
  /** @throws ProtocolError `invalid_token`; GatewayError `unavailable` where the keys cannot be had now */
  verify(token: string): Promise<Identity>;
  /** Whether who was verified before is still welcome: neither expired nor revoked. */
  isWelcome(identity: Identity): boolean;
  close(): void;
}

export interface AuthenticatorOptions {
  /** Told about each refused token. */
  refused: (reason: Refusal) => void;
  /** Told why a key set could not be fetched. */
  keysFailed?: (error: unknown) => void;
  /** Whether a good token is not welcome any more. */
  isRevoked?: (identity: Identity) => boolean;
  now?: () => number;
}

export function createAuthenticator(settings: TokenSettings, options: AuthenticatorOptions): Authenticator {
  const { refused, now = () => Date.now() } = options;
  const keys: KeySource =
    settings.keys.kind === 'jwks'
      ? new JwksKeys(
          settings.keys.url,
          options.keysFailed === undefined ? {} : { failed: options.keysFailed },
        )
      : localKeys(settings.keys);
  const headers = new HeaderReader(settings);
  return {
    async verify(token) {
      try {
        const header = headers.read(token);
        const claims = await verifyWith(keys, header, token, settings, now());
        const identity = identityOf(claims, settings, now());
        if (options.isRevoked?.(identity) === true) throw new RefusedToken('revoked');
        return identity;
      } catch (error) {
        if (!(error instanceof RefusedToken)) throw error;
        refused(error.reason);
        throw new ProtocolError('invalid_token');
      }
    },
    isWelcome(identity) {
      return identity.expiresAtMs > now() && options.isRevoked?.(identity) !== true;
    },
    close() {
      keys.close();
    },
  };
}

interface Header {
  alg: string;
  kid: string | null;
}

/** What must hold before a key is looked up; nothing in the header is trusted, and nothing it points to is fetched. */
class HeaderReader {
  /** The last header that passed and its text: an issuer's tokens all begin with the same one. */
  private last: { text: string; header: Header } | null = null;

  constructor(private readonly settings: TokenSettings) {}

  read(token: string): Header {
    if (token.length > TOKEN_LIMIT_BYTES) throw new RefusedToken('malformed');
    const text = token.slice(0, token.indexOf('.'));
    if (this.last?.text === text) return this.last.header;
    const header = this.check(parseHeader(text));
    this.last = { text, header };
    return header;
  }

  private check({ alg, kid, typ, crit }: ReturnType<typeof parseHeader>): Header {
    const { settings } = this;
    // RFC 7515 §4.1.11: who does not understand a critical extension must refuse, and we know none.
    if (crit !== undefined || typeof alg !== 'string') throw new RefusedToken('header');
    if (kid !== undefined && !(typeof kid === 'string' && KEY_ID.test(kid))) throw new RefusedToken('header');
    // RFC 8725 §3.11: a token of another kind from the same issuer is not an access token.
    if (settings.typ !== null && !(typeof typ === 'string' && mediaType(typ) === mediaType(settings.typ))) {
      throw new RefusedToken('header');
    }
    return { alg, kid: kid ?? null };
  }
}

/** The first part of the token; whether the rest fits is the library's to say. */
function parseHeader(text: string): Record<'alg' | 'kid' | 'typ' | 'crit', unknown> {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    throw new RefusedToken('malformed');
  }
  if (typeof header !== 'object' || header === null) throw new RefusedToken('malformed');
  const own = (name: string): unknown => Object.getOwnPropertyDescriptor(header, name)?.value;
  return { alg: own('alg'), kid: own('kid'), typ: own('typ'), crit: own('crit') };
}

/** Only ever looked up in a map. Base64 with its `+/=` is what some providers use (AWS Cognito); paths and URLs are not. */
const KEY_ID = /^(?!.*\.\.)[A-Za-z0-9_.+/=-]{1,128}$/;

/** RFC 7515 §4.1.9: `application/` may be left out, and case does not count. */
function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '');
}

async function verifyWith(
  keys: KeySource,
  header: Header,
  token: string,
  settings: TokenSettings,
  now: number,
): Promise<unknown> {
  const candidates = await keys.find(header.kid, header.alg);
  if (candidates.length === 0) throw new RefusedToken('unknown_key');
  let last: RefusedToken | null = null;
  for (const { key, algorithm } of candidates) {
    try {
      return verifyOnce(token, key, algorithm, settings, now);
    } catch (error) {
      last = refusalOf(error);
      // A good signature with bad claims stays bad under every other key.
      if (last.reason !== 'signature') throw last;
    }
  }
  throw last ?? new RefusedToken('signature');
}

function verifyOnce(
  token: string,
  key: KeyObject,
  algorithm: Algorithm,
  settings: TokenSettings,
  now: number,
): unknown {
  return jwt.verify(token, key, {
    algorithms: [algorithm],
    clockTolerance: settings.leewayS,
    clockTimestamp: Math.floor(now / 1000),
    ...(settings.audience === null ? {} : { audience: settings.audience }),
    ...(settings.issuer === null ? {} : { issuer: settings.issuer }),
  });
}

function refusalOf(error: unknown): RefusedToken {
  if (error instanceof jwt.TokenExpiredError) return new RefusedToken('expired');
  if (error instanceof jwt.NotBeforeError) return new RefusedToken('not_yet');
  if (error instanceof jwt.JsonWebTokenError) {
    return new RefusedToken(/audience|issuer|exp|nbf|iat/.test(error.message) ? 'claims' : 'signature');
  }
  // A payload of `null` makes jsonwebtoken throw a TypeError; whatever else it trips over is no better.
  return new RefusedToken('claims');
}

/** Copies the known claims and checks what jsonwebtoken does not: `exp` demanded and bounded, `iat` sane, `sub` a client id. */
function identityOf(claims: unknown, settings: TokenSettings, now: number): Identity {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw new RefusedToken('claims');
  const { sub, exp, iat, jti, perm } = claims as Record<string, unknown>;
  if (typeof exp !== 'number' || !Number.isFinite(exp)) throw new RefusedToken('claims');
  const nowS = now / 1000;
  // Without `iat` the token may have been made just now: its life is bounded all the same.
  const issuedS = iat === undefined ? nowS : iat;
  if (typeof issuedS !== 'number' || !Number.isFinite(issuedS)) throw new RefusedToken('claims');
  if (issuedS > nowS + settings.leewayS) throw new RefusedToken('not_yet');
  if (exp - issuedS > settings.maxLifeS) throw new RefusedToken('claims');
  if (!isClientId(sub)) throw new RefusedToken('claims');
  if (jti !== undefined && (typeof jti !== 'string' || jti.length > 256)) throw new RefusedToken('claims');
  return {
    client: sub,
    expiresAtMs: exp * 1000,
    issuedAtMs: iat === undefined ? null : issuedS * 1000,
    tokenId: jti ?? null,
    permissions: parsePermissions(perm),
  };
}
