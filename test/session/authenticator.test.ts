// Access tokens: group J of the bad inputs, one by one, against every kind of local key.
import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import { parseConfig, type TokenSettings } from '../../src/config.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { createAuthenticator, type Refusal } from '../../src/session/authenticator.js';
import { mayBroadcast, maySend } from '../../src/session/permissions.js';
import { signToken } from '../../src/session/sign-token.js';
import type { ClientId } from '../../src/protocol/ids.js';

const SECRET = 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW';
const PREVIOUS = 'p0OiU7yTr4EwQ1aSd2Fg5Hj8KlMn3bVcX6zZ9';
const NOW_S = 1_800_000_000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** Claims of a token that is right. */
const CLAIMS = { sub: 'alice', iat: NOW_S, exp: NOW_S + 3600, perm: '*' };

function settings(changes: Partial<TokenSettings> = {}): TokenSettings {
  return { ...parseConfig({ JWT_SECRET: SECRET }).tokens, ...changes };
}
function publicKeys(...keys: KeyObject[]): TokenSettings {
  return settings({
    keys: { kind: 'public', pems: keys.map((key) => key.export({ type: 'spki', format: 'pem' }).toString()) },
  });
}

const base64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Any header and any payload, signed rightly: what no library would make. */
function hs256(
  payload: unknown,
  header: unknown = { alg: 'HS256', typ: 'JWT' },
  secret: string = SECRET,
): string {
  const body = `${base64(header)}.${base64(payload)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}
function asymmetric(key: KeyObject, alg: string, payload: unknown = CLAIMS): string {
  const body = `${base64({ alg, typ: 'JWT' })}.${base64(payload)}`;
  const signature = signBytes(alg === 'EdDSA' ? null : 'sha256', Buffer.from(body), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  return `${body}.${signature.toString('base64url')}`;
}

/** The reason that is counted; the error that the client gets is checked on the way. */
async function refusalOf(token: string, tokens: TokenSettings = settings()): Promise<Refusal | null> {
  const reasons: Refusal[] = [];
  const authenticator = createAuthenticator(tokens, {
    refused: (reason) => reasons.push(reason),
    now: () => NOW_S * 1000,
  });
  try {
    await authenticator.verify(token);
    expect(reasons).toEqual([]);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: 'invalid_token', message: 'The access token was refused.' });
    // Nothing about the token or the reason travels with the error.
    expect(Object.hasOwn(error as Error, 'cause')).toBe(false);
    expect(reasons).toHaveLength(1);
    return reasons[0] ?? null;
  } finally {
    authenticator.close();
  }
}

async function identityOf(token: string, tokens: TokenSettings = settings()) {
  const authenticator = createAuthenticator(tokens, { refused: () => undefined, now: () => NOW_S * 1000 });
  return authenticator.verify(token);
}

describe('verify', () => {
  test('returns the identity when the token is right', async () => {
    const identity = await identityOf(hs256({ ...CLAIMS, jti: 'j1', perm: { send: ['bob'] } }));
    expect(identity).toMatchObject({
      client: 'alice',
      expiresAtMs: (NOW_S + 3600) * 1000,
      issuedAtMs: NOW_S * 1000,
      tokenId: 'j1',
    });
    expect(maySend(identity.permissions, 'bob' as ClientId)).toBe(true);
    expect(maySend(identity.permissions, 'carol' as ClientId)).toBe(false);
  });

  test('permits nothing when the token has no permissions or wrong ones (J29)', async () => {
    for (const perm of [undefined, 'all', ['*'], { send: '*' }, { rooms: '*' }, 1]) {
      const identity = await identityOf(hs256({ ...CLAIMS, perm }));
      expect(mayBroadcast(identity.permissions)).toBe(false);
    }
  });

  test('copies known claims only when others are there (J17)', async () => {
    const payload = JSON.stringify(CLAIMS).replace(
      '{',
      '{"__proto__":{"admin":true},"constructor":1,"then":"x",',
    );
    const identity = await identityOf(hs256(payload));
    expect(Object.keys(identity).sort()).toEqual([
      'client',
      'expiresAtMs',
      'issuedAtMs',
      'permissions',
      'tokenId',
    ]);
    expect(Reflect.get({}, 'admin')).toBeUndefined();
  });

  test('takes tokens of the current and of the previous secret when both are configured', async () => {
    const both = settings({ keys: { kind: 'secret', secrets: [SECRET, PREVIOUS] } });
    for (const secret of [SECRET, PREVIOUS])
      expect(await refusalOf(hs256(CLAIMS, undefined, secret), both)).toBeNull();
    expect(await refusalOf(hs256(CLAIMS, undefined, `${PREVIOUS}x`), both)).toBe('signature');
    // Another key makes no expired token good, and hides its reason from nobody.
    expect(await refusalOf(hs256({ ...CLAIMS, exp: NOW_S - 60 }), both)).toBe('expired');
    expect(await refusalOf(hs256({ ...CLAIMS, exp: NOW_S - 60 }, undefined, PREVIOUS), both)).toBe('expired');
  });

  test('takes the algorithm of each public key when RSA and EC are configured', async () => {
    const both = publicKeys(rsa.publicKey, ec.publicKey);
    expect(await refusalOf(asymmetric(rsa.privateKey, 'RS256'), both)).toBeNull();
    expect(await refusalOf(asymmetric(ec.privateKey, 'ES256'), both)).toBeNull();
    expect(await refusalOf(asymmetric(rsa.privateKey, 'RS256'), publicKeys(ec.publicKey))).toBe(
      'unknown_key',
    );
  });

  test('throws at start when a key is too weak', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(() => createAuthenticator(publicKeys(publicKey), { refused: () => undefined })).toThrow(TypeError);
  });

  test('takes what signToken makes when audience, issuer and typ are demanded', async () => {
    const strict = settings({ audience: 'gateway', issuer: 'https://id.test', typ: 'at+jwt' });
    const authenticator = createAuthenticator(strict, { refused: () => undefined });
    const token = signToken(strict, { sub: 'alice', ttlS: 60, perm: '*' });
    expect((await authenticator.verify(token)).client).toBe('alice');
    // Longer than the gateway accepts is cut to what it does.
    const long = signToken(strict, { sub: 'alice', ttlS: 1e9, perm: '*' });
    expect((await authenticator.verify(long)).client).toBe('alice');
    expect(() => signToken(publicKeys(ec.publicKey), { sub: 'a', ttlS: 60, perm: '*' })).toThrow(TypeError);
  });
});

describe('algorithms and signatures', () => {
  test.each(['none', 'None', 'NONE', 'nOnE'])(
    'refuses alg %s with and without a signature (J1)',
    async (alg) => {
      const body = `${base64({ alg, typ: 'JWT' })}.${base64(CLAIMS)}`;
      const [, , signature = ''] = hs256(CLAIMS).split('.');
      for (const token of [`${body}.`, body, `${body}.${signature}`])
        expect(await refusalOf(token)).not.toBeNull();
    },
  );

  test('refuses HS256 made with the public key when that is what is configured (J2)', async () => {
    for (const { publicKey } of [rsa, ec]) {
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
      for (const text of [pem, pem.trim()]) {
        expect(await refusalOf(hs256(CLAIMS, undefined, text), publicKeys(publicKey))).toBe('unknown_key');
      }
    }
  });

  test.each(['HS384', 'HS512', 'RS256', 'ES256', 'PS256', 'EdDSA', 'hs256', ''])(
    'refuses alg %j when a secret is configured (J3, J26)',
    async (alg) => {
      expect(await refusalOf(hs256(CLAIMS, { alg, typ: 'JWT' }))).toBe('unknown_key');
    },
  );

  test('refuses an Ed25519 token when public keys are configured (J26)', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    expect(await refusalOf(asymmetric(privateKey, 'EdDSA'), publicKeys(rsa.publicKey, ec.publicKey))).toBe(
      'unknown_key',
    );
  });

  test('refuses the token when any one bit of it is changed', async () => {
    const token = hs256(CLAIMS);
    const authenticator = createAuthenticator(settings(), {
      refused: () => undefined,
      now: () => NOW_S * 1000,
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.integer({ min: 0, max: 6 }), async (at, bit) => {
        const changed =
          token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ (1 << bit)) + token.slice(at + 1);
        // The last character of base64url has bits that mean nothing.
        const [before, after] = [token, changed].map((text) =>
          text.split('.').map((part) => Buffer.from(part, 'base64url')),
        );
        fc.pre(JSON.stringify(before) !== JSON.stringify(after) || !/^[\w.-]+$/.test(changed));
        await expect(authenticator.verify(changed)).rejects.toMatchObject({ code: 'invalid_token' });
      }),
    );
  });
});

describe('header', () => {
  test.each<[string, unknown]>([
    ['crit names an extension', { alg: 'HS256', crit: ['b64'], b64: false }],
    ['crit is empty', { alg: 'HS256', crit: [] }],
    ['alg is missing', { typ: 'JWT' }],
    ['alg is no string', { alg: ['HS256'] }],
    ['kid is empty (J20)', { alg: 'HS256', kid: '' }],
    ['kid is a number (J20)', { alg: 'HS256', kid: 1 }],
    ['kid is a path (J20)', { alg: 'HS256', kid: '../../dev/null' }],
    ['kid is a URL (J20)', { alg: 'HS256', kid: 'https://evil.test/key' }],
    ['kid is SQL (J20)', { alg: 'HS256', kid: "x' UNION SELECT 'key" }],
    ['kid has a line end (J20)', { alg: 'HS256', kid: 'a\r\nDEL b' }],
    ['kid is long (J20)', { alg: 'HS256', kid: 'k'.repeat(129) }],
    ['kid is an object (J20)', { alg: 'HS256', kid: { toString: 1 } }],
  ])('is refused when %s', async (_, header) => {
    expect(await refusalOf(hs256(CLAIMS, header))).toBe('header');
  });

  test.each<[string, unknown]>([
    ['is the text null', 'null'],
    ['is an array', '[]'],
    ['is a number', '7'],
    ['is no JSON', '{alg'],
  ])('is refused when it %s', async (_, header) => {
    expect(await refusalOf(hs256(CLAIMS, header))).toMatch(/^(malformed|header)$/);
  });

  test.each(['key-1', '2024_a.B', 'abcDEF+/0123456789abcdef='])(
    'is taken when kid is %s, like those of providers',
    async (kid) => {
      expect(await refusalOf(hs256(CLAIMS, { alg: 'HS256', kid }))).toBeNull();
    },
  );

  test('names keys and addresses in vain when it brings its own (J10)', async () => {
    const forged = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const header = {
      alg: 'ES256',
      jwk: forged.publicKey.export({ format: 'jwk' }),
      jku: 'http://127.0.0.1:1/jwks',
      x5u: 'http://127.0.0.1:1/cert',
      x5c: ['MIIB'],
    };
    const body = `${base64(header)}.${base64(CLAIMS)}`;
    const signature = signBytes('sha256', Buffer.from(body), {
      key: forged.privateKey,
      dsaEncoding: 'ieee-p1363',
    });
    expect(await refusalOf(`${body}.${signature.toString('base64url')}`, publicKeys(ec.publicKey))).toBe(
      'signature',
    );
    expect(await refusalOf(hs256(CLAIMS, { ...header, alg: 'HS256' }))).toBeNull();
  });

  test('must have the configured typ when one is configured (J11)', async () => {
    const strict = settings({ typ: 'at+jwt' });
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt']) {
      expect(await refusalOf(hs256(CLAIMS, { alg: 'HS256', typ }), strict)).toBeNull();
    }
    for (const typ of [undefined, null, 'JWT', 'refresh+jwt', '', 7, ['at+jwt']]) {
      expect(await refusalOf(hs256(CLAIMS, { alg: 'HS256', typ }), strict)).toBe('header');
    }
  });
});

describe('headers one after another', () => {
  test('are each judged for themselves when a good one came before', async () => {
    const reasons: Refusal[] = [];
    const authenticator = createAuthenticator(settings(), {
      refused: (reason) => reasons.push(reason),
      now: () => NOW_S * 1000,
    });
    const good = hs256(CLAIMS);
    const [header = ''] = good.split('.');
    await authenticator.verify(good);
    for (const bad of [
      hs256(CLAIMS, { alg: 'HS256', typ: 'JWT', crit: ['exp'] }),
      hs256(CLAIMS, { alg: 'none' }),
      hs256(CLAIMS, { alg: 'HS256', typ: 'JWT' }, PREVIOUS),
      header,
      `${header}.`,
      `${header}x`,
    ]) {
      await expect(authenticator.verify(bad)).rejects.toThrow(ProtocolError);
    }
    expect(reasons.slice(0, 3)).toEqual(['header', 'unknown_key', 'signature']);
    expect(reasons).toHaveLength(6);
    await authenticator.verify(good);
    authenticator.close();
  });
});

describe('claims', () => {
  test.each<[string, Record<string, unknown>, Refusal]>([
    ['exp is missing (J4)', { exp: undefined }, 'claims'],
    ['exp is a string (J5)', { exp: String(NOW_S + 60) }, 'claims'],
    ['exp is null (J5)', { exp: null }, 'claims'],
    ['exp is 1e300 (J6)', { exp: 1e300 }, 'claims'],
    ['exp is beyond the longest life (J4)', { exp: NOW_S + 86_401 }, 'claims'],
    ['exp is past', { exp: NOW_S - 31 }, 'expired'],
    ['exp is negative', { exp: -1 }, 'expired'],
    ['its life is too long although it ends soon', { iat: NOW_S - 86_400, exp: NOW_S + 60 }, 'claims'],
    ['it has no iat and ends too late', { iat: undefined, exp: NOW_S + 86_401 }, 'claims'],
    ['nbf is in the future (J7)', { nbf: NOW_S + 31 }, 'not_yet'],
    ['nbf is a string', { nbf: '0' }, 'claims'],
    ['iat is in the future (J8)', { iat: NOW_S + 31 }, 'not_yet'],
    ['iat is a string', { iat: String(NOW_S) }, 'claims'],
    ['iat is null', { iat: null }, 'claims'],
    ['sub is missing (J13)', { sub: undefined }, 'claims'],
    ['sub is empty (J13)', { sub: '' }, 'claims'],
    ['sub is a number (J13)', { sub: 7 }, 'claims'],
    ['sub is an array (J13)', { sub: ['alice'] }, 'claims'],
    ['sub is long (J13)', { sub: 'a'.repeat(129) }, 'claims'],
    ['sub has a line end (J13)', { sub: 'alice\n' }, 'claims'],
    ['sub has a space (J13)', { sub: 'a b' }, 'claims'],
    ['sub has the mark of a session (J13)', { sub: 'alice#1' }, 'claims'],
    ['jti is a number', { jti: 7 }, 'claims'],
    ['jti is long', { jti: 'j'.repeat(257) }, 'claims'],
  ])('are refused when %s', async (_, changes, reason) => {
    expect(await refusalOf(hs256({ ...CLAIMS, ...changes }))).toBe(reason);
  });

  test.each<[string, Record<string, unknown>]>([
    ['exp lies within the leeway', { exp: NOW_S - 29 }],
    ['exp is a fraction (J6)', { exp: NOW_S + 60.5 }],
    ['nbf and iat lie within the leeway', { nbf: NOW_S + 29, iat: NOW_S + 29 }],
    ['the life is the longest', { exp: NOW_S + 86_400 }],
    ['sub has a colon, which is a character of names (J13)', { sub: 'team:alice' }],
    ['an audience is there that nobody asked for', { aud: 'other', iss: 'other' }],
  ])('are taken when %s', async (_, changes) => {
    expect(await refusalOf(hs256({ ...CLAIMS, ...changes }))).toBeNull();
  });

  test('say nothing about their making when iat is missing', async () => {
    expect((await identityOf(hs256({ ...CLAIMS, iat: undefined }))).issuedAtMs).toBeNull();
  });

  test('must have the configured audience and issuer when these are configured (J14, J15)', async () => {
    const strict = settings({ audience: 'gateway', issuer: 'https://id.test' });
    const good = { ...CLAIMS, aud: 'gateway', iss: 'https://id.test' };
    expect(await refusalOf(hs256(good), strict)).toBeNull();
    expect(await refusalOf(hs256({ ...good, aud: ['other', 'gateway'] }), strict)).toBeNull();
    for (const changes of [
      { aud: undefined },
      { aud: 'Gateway' },
      { aud: 'gateway2' },
      { aud: [] },
      { aud: [['gateway']] },
      { aud: { 0: 'gateway' } },
      { iss: undefined },
      { iss: 'https://id.test/' },
      { iss: ['https://evil.test', 'https://id.test/'] },
      { aud: '', iss: '' },
    ]) {
      expect(await refusalOf(hs256({ ...good, ...changes }), strict)).toBe('claims');
    }
  });

  test('are the last of their name when they are there twice (J16)', async () => {
    const twice = JSON.stringify(CLAIMS).replace('{', '{"sub":"mallory",');
    expect((await identityOf(hs256(twice))).client).toBe('alice');
  });

  test.each(['null', '7', '"alice"', '[]', '[{"sub":"alice"}]', 'true', '{', '', 'alice'])(
    'are refused when the payload is %j',
    async (payload) => {
      expect(await refusalOf(hs256(payload))).not.toBeNull();
      expect(await refusalOf(hs256(payload, { alg: 'HS256' }))).not.toBeNull();
    },
  );
});

describe('form', () => {
  const token = hs256(CLAIMS);
  const [header = '', payload = '', signature = ''] = token.split('.');

  test.each<[string, string]>([
    ['empty', ''],
    ['one part', header],
    ['two parts', `${header}.${payload}`],
    ['four parts (J19)', `${token}.x`],
    ['without a signature', `${header}.${payload}.`],
    ['with a space before it (J19)', ` ${token}`],
    ['with a line end behind it (J19)', `${token}\n`],
    ['padded (J19)', `${header}=.${payload}.${signature}`],
    ['in standard base64 (J19)', `${header}.${payload}.${signature.slice(0, -1)}+`],
    ['not ASCII (J19)', `${header}.${payload}ä.${signature}`],
    ['a name of Object', '__proto__'],
    ['encrypted (five parts)', `${token}.x.y`],
  ])('is refused when it is %s', async (_, text) => {
    expect(await refusalOf(text)).not.toBeNull();
  });

  test('is refused before it is parsed when it is longer than 4 KiB', async () => {
    const long = hs256({ ...CLAIMS, filler: 'x'.repeat(4096) });
    expect(jwt.verify(long, SECRET, { clockTimestamp: NOW_S })).toMatchObject({ sub: 'alice' });
    expect(await refusalOf(long)).toBe('malformed');
  });

  test('is refused and never crashes when it is any text at all', async () => {
    const authenticator = createAuthenticator(settings(), { refused: () => undefined });
    const part = fc.oneof(fc.string(), fc.json().map(base64), fc.constantFrom(header, payload, signature));
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), async (parts) => {
        fc.pre(parts.join('.') !== token);
        await expect(authenticator.verify(parts.join('.'))).rejects.toMatchObject({ code: 'invalid_token' });
      }),
    );
  });

  test('is refused and never crashes when any claims are signed rightly', async () => {
    const authenticator = createAuthenticator(settings(), {
      refused: () => undefined,
      now: () => NOW_S * 1000,
    });
    const claim = fc.oneof(fc.jsonValue(), fc.double(), fc.constantFrom(NOW_S, NOW_S + 60, 'alice', '*'));
    const claims = fc.record(
      { sub: claim, exp: claim, iat: claim, nbf: claim, aud: claim, jti: claim, perm: claim },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(claims, async (value) => {
        const outcome = await authenticator.verify(hs256(value)).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'invalid_token' });
        else expect(outcome).toMatchObject({ client: value.sub });
      }),
    );
  });
});
