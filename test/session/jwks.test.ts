// Keys of an identity provider: a real HTTP server that rotates, misbehaves and goes away.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { parseConfig } from '../../src/config.js';
import { createAuthenticator } from '../../src/session/authenticator.js';
import { JwksKeys } from '../../src/session/keys.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

function jwk(key: KeyObject, fields: Record<string, unknown>): Record<string, unknown> {
  return { ...key.export({ format: 'jwk' }), ...fields };
}
const RSA_JWK = jwk(rsa.publicKey, { kid: 'rsa-1', use: 'sig', alg: 'RS256' });
const EC_JWK = jwk(ec.publicKey, { kid: 'ec-1' });

/** A provider that counts how often it is asked. */
class Provider {
  fetches = 0;
  answer: (response: ServerResponse) => void = () => undefined;
  private readonly server: Server = createServer((_, response) => {
    this.fetches++;
    this.answer(response);
  });

  async open(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }
  get url(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}/jwks`;
  }
  publish(...keys: unknown[]): void {
    this.send(JSON.stringify({ keys }));
  }
  send(body: string | Buffer, status = 200, headers: Record<string, string> = {}): void {
    this.answer = (response) => response.writeHead(status, headers).end(body);
  }
  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

let provider: Provider;
const others: Provider[] = [];
let keys: JwksKeys;
let now: number;
let failures: unknown[];

beforeEach(async () => {
  provider = new Provider();
  await provider.open();
  provider.publish(RSA_JWK, EC_JWK);
  now = 0;
  failures = [];
  keys = new JwksKeys(provider.url, { now: () => now, failed: (error) => failures.push(error) });
});
afterEach(async () => {
  keys.close();
  await provider.close();
  for (const other of others.splice(0)) await other.close();
});

async function algorithmsOf(kid: string): Promise<string[]> {
  const found = [...(await keys.find(kid, 'RS256')), ...(await keys.find(kid, 'ES256'))];
  return found.map(({ algorithm }) => algorithm);
}

describe('JwksKeys', () => {
  test('finds a key by its id and its one algorithm, after one fetch', async () => {
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    expect(await algorithmsOf('ec-1')).toEqual(['ES256']);
    expect(provider.fetches).toBe(1);
  });

  test('finds nothing and asks nobody when there is no id, or an algorithm that a set cannot have', async () => {
    expect(await keys.find(null, 'RS256')).toEqual([]);
    for (const alg of ['HS256', 'none', 'RS512', 'EdDSA']) expect(await keys.find('rsa-1', alg)).toEqual([]);
    expect(provider.fetches).toBe(0);
  });

  test('fetches once when many ask at the same time', async () => {
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.find('rsa-1', 'RS256')));
    expect(found.every(({ length }) => length === 1)).toBe(true);
    expect(provider.fetches).toBe(1);
  });

  test('finds a rotated key when the cooldown is over', async () => {
    await algorithmsOf('rsa-1');
    const next = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    provider.publish(jwk(next.publicKey, { kid: 'ec-2' }));
    now = MINUTE_MS - 1;
    expect(await algorithmsOf('ec-2')).toEqual([]);
    now = MINUTE_MS;
    expect(await algorithmsOf('ec-2')).toEqual(['ES256']);
    // The provider took the old keys away: they are not good any more.
    expect(await algorithmsOf('rsa-1')).toEqual([]);
    expect(provider.fetches).toBe(2);
  });

  test('fetches at most once a minute when unknown ids flood it (J23)', async () => {
    for (let i = 0; i < 300; i++) {
      now = i * 1000;
      await keys.find(`unknown-${String(i)}`, 'RS256');
      expect(await keys.find('rsa-1', 'RS256')).toHaveLength(1);
    }
    expect(provider.fetches).toBe(5);
  });

  test('keeps known keys for a day when the provider is down, and then says unavailable', async () => {
    await algorithmsOf('rsa-1');
    provider.send('down', 503);
    now = 2 * MINUTE_MS;
    expect(await algorithmsOf('unknown')).toEqual([]);
    expect(failures).toHaveLength(1);
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    now = DAY_MS;
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    now = DAY_MS + 1;
    await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('says unavailable, and asks again in seconds, when the provider was down from the beginning', async () => {
    provider.send('down', 503);
    for (let i = 0; i < 10; i++) {
      await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(provider.fetches).toBe(1);
    provider.publish(RSA_JWK);
    now = 5_000;
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    expect(provider.fetches).toBe(2);
  });

  test('gives up when the provider does not answer', async () => {
    provider.answer = () => undefined;
    await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
    expect(failures).toHaveLength(1);
  });

  test('gives up when the provider does not end its answer', async () => {
    provider.answer = (response) => response.writeHead(200).write('{"keys":[');
    await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('stops reading when the answer is larger than 256 KiB, also when it is so only unpacked (J23)', async () => {
    const large = JSON.stringify({ keys: [RSA_JWK], filler: ' '.repeat(256 * 1024) });
    provider.send(large);
    await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
    now = 5_000;
    provider.send(gzipSync(large), 200, { 'Content-Encoding': 'gzip' });
    await expect(keys.find('rsa-1', 'RS256')).rejects.toMatchObject({ code: 'unavailable' });
    expect(failures.map(String)).toEqual(Array(2).fill('RangeError: the key set is too large'));
  });

  test('takes an answer of 256 KiB', async () => {
    const body = JSON.stringify({ keys: [RSA_JWK], filler: '' });
    provider.send(body.replace('"filler":""', `"filler":"${' '.repeat(256 * 1024 - body.length)}"`));
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
  });

  test.each<[string, string, number, Record<string, string>]>([
    ['no JSON', '<html>', 200, {}],
    ['no set', '{"keys":{}}', 200, {}],
    ['null', 'null', 200, {}],
    ['a redirect', '', 302, { Location: 'http://169.254.169.254/' }],
    ['an error', '{"keys":[]}', 500, {}],
    ['nothing', '', 204, {}],
  ])('keeps its keys and goes on when the answer is %s', async (_, body, status, headers) => {
    await algorithmsOf('rsa-1');
    provider.send(body, status, headers);
    now = MINUTE_MS;
    expect(await algorithmsOf('unknown')).toEqual([]);
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    expect(failures).toHaveLength(1);
  });

  test('ignores keys of other uses, kinds and sizes, and takes the good ones beside them (J24)', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const ed25519 = generateKeyPairSync('ed25519');
    const bad = [
      jwk(rsa.publicKey, { use: 'enc' }),
      jwk(rsa.publicKey, { key_ops: ['encrypt'] }),
      jwk(rsa.publicKey, { alg: 'HS256' }),
      jwk(rsa.publicKey, { alg: 'ES256' }),
      jwk(rsa.publicKey, { alg: 'RS512' }),
      jwk(rsa.publicKey, { n: '!' }),
      jwk(weak.publicKey, {}),
      jwk(p384.publicKey, {}),
      jwk(ed25519.publicKey, {}),
      { kty: 'oct', k: Buffer.alloc(64, 1).toString('base64url') },
      { kty: 'unknown' },
      {},
    ].map((key, at) => ({ ...key, kid: `bad-${String(at)}` }));
    provider.publish(...bad, jwk(rsa.publicKey, { kid: 7 }), jwk(rsa.publicKey, {}), RSA_JWK);
    for (const { kid } of bad) expect([kid, await algorithmsOf(kid)]).toEqual([kid, []]);
    expect(await algorithmsOf('undefined')).toEqual([]);
    expect(await algorithmsOf('rsa-1')).toEqual(['RS256']);
    expect(provider.fetches).toBe(1);
  });

  test('never uses a private key of a careless provider for more than its public half', async () => {
    provider.publish(jwk(ec.privateKey, { kid: 'careless' }));
    const [found] = await keys.find('careless', 'ES256');
    expect(found?.key.type).toBe('public');
  });

  test('does not take names of Object for ids', async () => {
    for (const kid of ['__proto__', 'constructor', 'toString']) expect(await algorithmsOf(kid)).toEqual([]);
  });

  test('imports a bounded number of keys when a set is long', async () => {
    provider.publish(...Array.from({ length: 65 }, (_, at) => ({ ...EC_JWK, kid: `k${String(at)}` })));
    expect(await algorithmsOf('k63')).toEqual(['ES256']);
    expect(await algorithmsOf('k64')).toEqual([]);
  });
});

describe('the refresh in the background', () => {
  test('fetches every ten minutes and ends with close', async () => {
    jest.useFakeTimers({
      doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask', 'performance'],
    });
    try {
      const watched = new JwksKeys(provider.url, { now: () => now });
      await watched.find('rsa-1', 'RS256');
      expect(provider.fetches).toBe(1);
      const next = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
      provider.publish(jwk(next.publicKey, { kid: 'ec-2' }));
      jest.advanceTimersByTime(10 * MINUTE_MS);
      // The refresh is under way: an unknown id waits for it, within the cooldown too.
      expect(await watched.find('ec-2', 'ES256')).toHaveLength(1);
      expect(provider.fetches).toBe(2);
      watched.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('an authenticator with a key set', () => {
  const sign = (key: KeyObject, algorithm: 'RS256' | 'ES256', keyid?: string): string =>
    jwt.sign({ perm: '*' }, key, {
      algorithm,
      subject: 'alice',
      expiresIn: 60,
      ...(keyid === undefined ? {} : { keyid }),
    });

  test('takes tokens of the set, and counts the others by their reason', async () => {
    const refused: string[] = [];
    const { tokens } = parseConfig({ JWKS_URL: provider.url });
    const authenticator = createAuthenticator(tokens, { refused: (reason) => refused.push(reason) });
    expect((await authenticator.verify(sign(rsa.privateKey, 'RS256', 'rsa-1'))).client).toBe('alice');
    expect((await authenticator.verify(sign(ec.privateKey, 'ES256', 'ec-1'))).client).toBe('alice');
    const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
    for (const token of [
      sign(rsa.privateKey, 'RS256'),
      sign(rsa.privateKey, 'RS256', 'rsa-9'),
      sign(rsa.privateKey, 'RS256', 'ec-1'),
      sign(stranger, 'ES256', 'ec-1'),
      // J2: the key set is public, so its keys are no HMAC secrets.
      jwt.sign({ perm: '*' }, pem, { algorithm: 'HS256', subject: 'alice', expiresIn: 60, keyid: 'rsa-1' }),
    ]) {
      await expect(authenticator.verify(token)).rejects.toMatchObject({ code: 'invalid_token' });
    }
    expect(refused).toEqual(['unknown_key', 'unknown_key', 'unknown_key', 'signature', 'unknown_key']);
    authenticator.close();
  });

  test('knows a key id only of its own provider: the same id of another issuer opens nothing (J22)', async () => {
    const other = new Provider();
    await other.open();
    others.push(other);
    const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 });
    other.publish(jwk(theirs.publicKey, { kid: 'rsa-1', use: 'sig', alg: 'RS256' }));
    const issuers = [
      ['https://one.test', provider.url, rsa.privateKey],
      ['https://two.test', other.url, theirs.privateKey],
    ] as const;
    const authenticators = issuers.map(([issuer, url]) =>
      createAuthenticator(parseConfig({ JWKS_URL: url, JWT_ISSUER: issuer }).tokens, {
        refused: () => undefined,
      }),
    );
    for (const [at, authenticator] of authenticators.entries()) {
      for (const [from, [issuer, , key]] of issuers.entries()) {
        const token = jwt.sign({ perm: '*' }, key, {
          algorithm: 'RS256',
          subject: 'alice',
          expiresIn: 60,
          keyid: 'rsa-1',
          issuer,
        });
        const verified = authenticator.verify(token);
        if (at === from) expect((await verified).client).toBe('alice');
        else await expect(verified).rejects.toMatchObject({ code: 'invalid_token' });
      }
    }
    // The right key with another issuer's name is no better.
    const [own] = authenticators;
    const lent = jwt.sign({ perm: '*' }, rsa.privateKey, {
      algorithm: 'RS256',
      subject: 'alice',
      expiresIn: 60,
      keyid: 'rsa-1',
      issuer: 'https://two.test',
    });
    await expect(own?.verify(lent)).rejects.toMatchObject({ code: 'invalid_token' });
    for (const authenticator of authenticators) authenticator.close();
  });

  test('says unavailable and not invalid_token when the keys cannot be had, so that clients come back', async () => {
    provider.send('down', 503);
    const refused: string[] = [];
    const failed: unknown[] = [];
    const { tokens } = parseConfig({ JWKS_URL: provider.url });
    const authenticator = createAuthenticator(tokens, {
      refused: (reason) => refused.push(reason),
      keysFailed: (error) => failed.push(error),
    });
    await expect(authenticator.verify(sign(rsa.privateKey, 'RS256', 'rsa-1'))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect([refused.length, failed.length]).toEqual([0, 1]);
    authenticator.close();
  });
});
