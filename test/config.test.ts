// The configuration: defaults, every mistake told at once and without secrets, and its way to a worker and into the docs.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Config, ConfigError, deserializeConfig, parseConfig, serializeConfig } from '../src/config.js';
import type { Environment } from '../src/setting-reader.js';
import { SETTINGS } from '../src/settings.js';
import { settingsMarkdown } from '../src/settings-markdown.js';

const SECRET = 'Zk3vN8qLw2Xy7uBn4dFg6hJz9cAe1iRo5TqW';
const OTHER_SECRET = 'p0OiU7yTr4EwQ1aSd2Fg5Hj8KlMn3bVcX6z';
const withKey = { JWT_SECRET: SECRET };

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'signalbox-config-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function mistakesOf(env: Environment): readonly string[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

/** The one mistake of a configuration that is right but for these variables. */
function mistakeOf(env: Environment): string | undefined {
  const mistakes = mistakesOf({ ...withKey, ...env });
  expect(mistakes).toHaveLength(1);
  return mistakes[0];
}

function publicPem(type: 'rsa' | 'ec' | 'ed25519', size: number | string = 2048): string {
  const options = { publicKeyEncoding: { type: 'spki', format: 'pem' } } as const;
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: Number(size), ...options, privateKeyEncoding })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: String(size), ...options, privateKeyEncoding })
        : generateKeyPairSync('ed25519', { ...options, privateKeyEncoding });
  return pair.publicKey;
}

describe('parseConfig', () => {
  test('starts in development mode when no key is configured', () => {
    const config = parseConfig({});
    expect(config).toMatchObject({
      development: true,
      server: { host: '127.0.0.1', port: 8080, adminPort: 9090, adminHost: '127.0.0.1', adminKey: null },
      origins: { any: false, loopback: true },
      tls: null,
      iceServers: [],
      store: { redisUrl: null, redisPrefix: 'sb' },
      tokens: { audience: null, issuer: null, typ: null, maxLifeS: 86_400, leewayS: 30 },
      sessions: { duplicateClient: 'allow', sessionsPerClientLimit: 20 },
      limits: { frameLimitBytes: 262_144 },
    });
    expect(config.server.workers).toBeGreaterThan(0);
  });

  test('makes a new secret at each start when in development mode', () => {
    const [one, two] = [parseConfig({}), parseConfig({})].map(({ tokens }) => tokens.keys);
    expect(one).toEqual({ kind: 'secret', secrets: [expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)] });
    expect(one).not.toEqual(two);
  });

  test('listens on all addresses and denies browsers when a key is configured', () => {
    const config = parseConfig(withKey);
    expect(config.development).toBe(false);
    expect(config.server.host).toBe('0.0.0.0');
    expect(config.origins).toEqual({ allowed: new Set(), any: false, loopback: false });
  });

  test('is frozen at every depth when read', () => {
    const config = parseConfig({ ...withKey, ICE_SERVERS: '[{"urls":"stun:stun.test"}]' });
    for (const part of [config, config.limits, config.limits.rates.messages, config.iceServers[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('takes 0 as any free port and off as none when asked to', () => {
    const { server } = parseConfig({ ...withKey, PORT: '0', ADMIN_PORT: 'off' });
    expect(server).toMatchObject({ port: 0, adminPort: null });
  });

  test('reports every mistake at once when there are several', () => {
    const mistakes = mistakesOf({
      PORT: 'http',
      JWT_SECRET: 'short',
      ORIGINS: 'https://a.test/',
      DUPLICATE_CLIENT: 'maybe',
      TRUSTED_PROXIES: '10.0.0.0/33',
    });
    expect(mistakes.map((line) => line.split(' ')[0])).toEqual([
      'JWT_SECRET',
      'PORT',
      'TRUSTED_PROXIES',
      'ORIGINS',
      'DUPLICATE_CLIENT',
    ]);
    expect(() => parseConfig({ PORT: 'http', WORKERS: '0' })).toThrow(
      /2 mistake[^]*PORT is "http"[^]*WORKERS/,
    );
  });

  test('names the variable, the value and what is wanted when a number is wrong', () => {
    expect(mistakeOf({ PORT: '70000' })).toBe('PORT is "70000": a whole number from 0 to 65535 is wanted');
  });

  test.each([
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', '0x50'],
    ['PORT', ' 80'],
    ['PORT', '1e3'],
    ['WORKERS', '0'],
    ['WORKERS', 'all'],
    ['FRAME_LIMIT_BYTES', '4294967296'],
    ['HEADER_LIMIT_BYTES', '0'],
    ['LOG_LEVEL', 'INFO'],
    ['SCHEDULING', 'fair'],
    ['DUPLICATE_CLIENT', 'Allow'],
    ['NODE_NAME', 'a.b'],
    ['REDIS_PREFIX', '{a}'],
    ['HOST', 'http://0.0.0.0'],
    ['ADMIN_HOST', '127.0.0.1:9090'],
    ['INSECURE_ALLOW_ANY_ORIGIN', 'yes'],
  ])('refuses %s when it is %j', (name, value) => {
    expect(mistakeOf({ [name]: value })).toMatch(
      new RegExp(`^${name} .*${value.replace(/[.{}]/g, '.')}|^${name} must`),
    );
  });

  test('takes the default when a variable is empty', () => {
    expect(parseConfig({ ...withKey, PORT: '', ORIGINS: '', REDIS_URL: '' }).server.port).toBe(8080);
  });

  test('ignores a variable when it does not know it', () => {
    expect(mistakesOf({ ...withKey, JWT_SECRETS: 'x', PATH: '/bin' })).toEqual([]);
  });

  test('refuses two ports of one number when both are set', () => {
    expect(mistakeOf({ PORT: '9090' })).toMatch(/^ADMIN_PORT is 9090, like PORT/);
  });

  test('refuses limits that contradict each other when they are set', () => {
    expect(mistakeOf({ LOG_LIMIT_BYTES: '2048' })).toMatch(/^LOG_LIMIT_BYTES is below FRAME_LIMIT_BYTES/);
    expect(mistakeOf({ RESUME_WINDOW_MS: '600000' })).toMatch(/^LOG_TTL_MS is below RESUME_WINDOW_MS/);
  });
});

describe('keys', () => {
  test('are a secret and the one before it when both are set', () => {
    const { tokens } = parseConfig({ ...withKey, JWT_PREVIOUS_SECRET: OTHER_SECRET });
    expect(tokens.keys).toEqual({ kind: 'secret', secrets: [SECRET, OTHER_SECRET] });
  });

  test('come from files when the _FILE variant is set, without the newline at their end', () => {
    const { tokens, server, store } = parseConfig({
      JWT_SECRET_FILE: file('secret', `${SECRET}\n`),
      JWT_PREVIOUS_SECRET_FILE: file('previous', OTHER_SECRET),
      ADMIN_KEY_FILE: file('admin', `${OTHER_SECRET}\r\n`),
      REDIS_URL_FILE: file('redis', 'rediss://user:pw@redis.test:6380/1\n'),
    });
    expect(tokens.keys).toEqual({ kind: 'secret', secrets: [SECRET, OTHER_SECRET] });
    expect(server.adminKey).toBe(OTHER_SECRET);
    expect(store.redisUrl).toBe('rediss://user:pw@redis.test:6380/1');
  });

  test('are refused when the variable and its _FILE are both set', () => {
    expect(mistakeOf({ JWT_SECRET_FILE: file('both', OTHER_SECRET) })).toMatch(
      /^JWT_SECRET and JWT_SECRET_FILE/,
    );
  });

  test('are no reason for development mode when their file cannot be read', () => {
    const mistakes = mistakesOf({ JWT_SECRET_FILE: join(directory, 'nowhere'), HOST: '0.0.0.0' });
    expect(mistakes).toEqual([expect.stringMatching(/^JWT_SECRET_FILE names the file ".*nowhere".*ENOENT/)]);
  });

  // J25, and security.md: refuse defaults.
  test.each([
    ['a', 'shorter than 32 bytes'],
    ['x'.repeat(31), 'shorter than 32 bytes'],
    ['secret-secret-secret-secret-secret', 'placeholder'],
    ['changeme-changeme-changeme-changeme', 'placeholder'],
    ['your-256-bit-secret-your-256-bit-secret', 'placeholder'],
    ['My_Password_0123456789_0123456789_00', 'placeholder'],
    ['a'.repeat(64), 'placeholder'],
    ['12345'.repeat(10), 'placeholder'],
  ])('are refused without being printed when the secret is %j', (secret, reason) => {
    for (const name of ['JWT_SECRET', 'JWT_PREVIOUS_SECRET']) {
      const mistakes = mistakesOf({ ...withKey, [name]: secret });
      expect(mistakes).toEqual([expect.stringContaining(reason)]);
      if (secret.length > 1) expect(mistakes.join()).not.toContain(secret);
    }
  });

  test('count bytes, not characters, when a secret is measured', () => {
    expect(mistakesOf({ JWT_SECRET: 'äöüßéèêñçøåæþđłż' })).toEqual([]);
  });

  // J2: whoever puts the public key where a secret belongs lets everybody sign.
  test('are refused when a public key is given as the secret', () => {
    expect(mistakesOf({ JWT_SECRET: publicPem('ec', 'prime256v1') })).toEqual([
      expect.stringMatching(/^JWT_SECRET holds a PEM key/),
    ]);
  });

  // An empty key would switch development mode on, J14: an empty audience or issuer switches its check off.
  test.each([
    'JWT_SECRET',
    'JWT_SECRET_FILE',
    'JWT_PUBLIC_KEY_FILE',
    'JWKS_URL',
    'JWT_AUDIENCE',
    'JWT_ISSUER',
    'JWT_TYP',
  ])('are refused when %s is empty', (name) => {
    expect(mistakesOf({ [name]: '' })).toEqual([expect.stringMatching(new RegExp(`^${name} is empty`))]);
  });

  test('are one or two public keys when PEM files are set', () => {
    const [rsa, ec] = [publicPem('rsa'), publicPem('ec', 'prime256v1')];
    const { tokens, development } = parseConfig({
      JWT_PUBLIC_KEY_FILE: file('rsa.pem', rsa),
      JWT_PREVIOUS_PUBLIC_KEY_FILE: file('ec.pem', ec),
    });
    expect(tokens.keys).toEqual({ kind: 'public', pems: [rsa, ec] });
    expect(development).toBe(false);
  });

  test('are refused when a public key is weak, of another kind, private, or no key', () => {
    const privatePem = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey;
    for (const pem of [
      publicPem('rsa', 1024),
      publicPem('ec', 'secp384r1'),
      publicPem('ed25519'),
      privatePem,
      'x',
    ]) {
      const mistakes = mistakesOf({ JWT_PUBLIC_KEY_FILE: file('bad.pem', pem) });
      expect(mistakes).toEqual([expect.stringMatching(/^JWT_PUBLIC_KEY_FILE must hold a PEM public key/)]);
    }
  });

  test.each(['https://id.test/.well-known/jwks.json', 'http://127.0.0.1:9/jwks', 'http://localhost/jwks'])(
    'come from %s when it is JWKS_URL',
    (url) => {
      expect(parseConfig({ JWKS_URL: url }).tokens.keys).toEqual({ kind: 'jwks', url });
    },
  );

  test.each([
    'http://id.test/jwks',
    'file:///etc/passwd',
    'https://user:pw@id.test/',
    'id.test',
    'http://127.0.0.1.id.test/',
  ])('are refused when JWKS_URL is %s', (url) => {
    expect(mistakesOf({ JWKS_URL: url })).toEqual([expect.stringMatching(/^JWKS_URL must be an https URL/)]);
  });

  test('are refused when they are of more than one kind', () => {
    expect(mistakeOf({ JWKS_URL: 'https://id.test/jwks' })).toBe(
      'JWT_SECRET and JWKS_URL are both set: tokens are verified by one kind of key',
    );
  });

  test('are refused when only the previous one is set', () => {
    expect(mistakesOf({ JWT_PREVIOUS_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^JWT_PREVIOUS_SECRET needs JWT_SECRET/),
    ]);
  });
});

describe('development mode', () => {
  test.each(['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org'])(
    'is refused when HOST is %s',
    (host) => {
      expect(mistakesOf({ HOST: host })).toEqual([expect.stringMatching(/^HOST .* this machine only/)]);
    },
  );

  test.each(['127.0.0.1', '::1', 'localhost'])('is allowed when HOST is %s', (host) => {
    expect(parseConfig({ HOST: host }).server.host).toBe(host);
  });
});

describe('origins', () => {
  test('are exact and trimmed when listed', () => {
    const { origins } = parseConfig({
      ...withKey,
      ORIGINS: 'https://a.test, http://b.test:8080,capacitor://localhost',
    });
    expect([...origins.allowed]).toEqual(['https://a.test', 'http://b.test:8080', 'capacitor://localhost']);
  });

  // H19: what is not a serialised origin could never match one.
  test.each([
    'a.test',
    'https://a.test/',
    'https://a.test/app',
    'https://A.test',
    'https://a.test:443',
    'https://*.a.test',
    'https://user@a.test',
    'null',
    'javascript:alert(1)',
  ])('are refused when one is %s', (origin) => {
    expect(mistakeOf({ ORIGINS: origin })).toMatch(/^ORIGINS holds ".*": an origin like/);
  });

  test('are any only when that is said twice', () => {
    expect(mistakeOf({ ORIGINS: '*' })).toMatch(/^ORIGINS is \*.*INSECURE_ALLOW_ANY_ORIGIN=1/);
    expect(parseConfig({ ...withKey, ORIGINS: '*', INSECURE_ALLOW_ANY_ORIGIN: '1' }).origins.any).toBe(true);
    expect(parseConfig({ ...withKey, INSECURE_ALLOW_ANY_ORIGIN: '1' }).origins.any).toBe(false);
  });
});

describe('other settings', () => {
  // H23
  test('trust only the listed proxies when TRUSTED_PROXIES is set', () => {
    const { trustedProxies } = parseConfig({
      ...withKey,
      TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7,fd00::/8',
    }).server;
    const trusted = ['10.1.2.3', '192.0.2.7'].map((address) => trustedProxies.check(address, 'ipv4'));
    expect(trusted).toEqual([true, true]);
    expect(trustedProxies.check('192.0.2.8', 'ipv4')).toBe(false);
    expect(trustedProxies.check('fd12::1', 'ipv6')).toBe(true);
  });

  test.each([
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0',
    'proxy.test',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
  ])('are refused when a trusted proxy is %s', (network) => {
    expect(mistakeOf({ TRUSTED_PROXIES: network })).toMatch(/^TRUSTED_PROXIES holds/);
  });

  test('refuse the admin key when it is short or a placeholder, without printing it', () => {
    for (const key of ['0123456789abcdef', 'changeme-changeme-changeme-changeme']) {
      expect(mistakeOf({ ADMIN_KEY: key })).not.toContain(key);
    }
  });

  test('refuse the Redis URL when it is none, without printing it', () => {
    for (const url of [
      'http://:hunter2@redis.test',
      'redis://',
      'redis.test:6379',
      'redis://:hun/ter2@redis.test',
    ]) {
      const mistake = mistakeOf({ REDIS_URL: url });
      expect(mistake).toMatch(/^REDIS_URL is no URL/);
      expect(mistake).not.toContain('hunter2');
    }
  });

  test('refuse TLS when the certificate or the key is missing, unreadable or wrong', () => {
    const wrong = file('cert.pem', 'no certificate');
    expect(mistakeOf({ TLS_CERT_FILE: wrong })).toMatch(/^TLS_CERT_FILE and TLS_KEY_FILE belong together/);
    expect(mistakeOf({ TLS_CERT_FILE: wrong, TLS_KEY_FILE: wrong })).toMatch(/must hold a PEM certificate/);
    expect(mistakeOf({ TLS_CERT_FILE: wrong, TLS_KEY_FILE: join(directory, 'nowhere') })).toMatch(
      /^TLS_KEY_FILE names/,
    );
  });

  test('take ICE servers when they are what RTCPeerConnection accepts', () => {
    const { iceServers } = parseConfig({
      ...withKey,
      ICE_SERVERS:
        '[{"urls":"stun:stun.test:3478"},{"urls":["turn:turn.test","turns:turn.test"],"username":"u","credential":"p","x":1}]',
    });
    expect(iceServers).toEqual([
      { urls: ['stun:stun.test:3478'] },
      { urls: ['turn:turn.test', 'turns:turn.test'], username: 'u', credential: 'p' },
    ]);
  });

  test.each([
    '{}',
    'stun:a',
    '[1]',
    '[{}]',
    '[{"urls":[]}]',
    '[{"urls":"http://a"}]',
    '[{"urls":"turn:a"}]',
    '[{"urls":"stun:a","username":1}]',
  ])('refuse ICE servers when they are %s', (text) => {
    expect(mistakeOf({ ICE_SERVERS: text })).toMatch(/^ICE_SERVERS must be a JSON array/);
  });
});

test('a configuration is the same when it has gone to a worker and back', () => {
  const config = parseConfig({
    ...withKey,
    TRUSTED_PROXIES: '10.0.0.0/8,fd00::/8',
    ORIGINS: 'https://a.test',
    ICE_SERVERS: '[{"urls":"stun:stun.test"}]',
    REDIS_URL: 'redis://redis.test',
  });
  const copy = deserializeConfig(serializeConfig(config));
  const plain = ({ server, ...rest }: Config) => ({ ...rest, server: { ...server, trustedProxies: null } });
  expect(plain(copy)).toEqual(plain(config));
  expect(copy.origins.allowed.has('https://a.test')).toBe(true);
  expect(copy.server.trustedProxies.check('10.9.9.9', 'ipv4')).toBe(true);
  expect(copy.server.trustedProxies.check('fd12::1', 'ipv6')).toBe(true);
  expect(copy.server.trustedProxies.check('11.0.0.1', 'ipv4')).toBe(false);
  expect(Object.isFrozen(copy.limits)).toBe(true);
});

describe('docs/configuration.md', () => {
  const docs = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');

  test('has the tables of the source when nobody forgot `node dist/cli.js config`', () => {
    const begin = docs.indexOf('<!-- settings -->');
    const end = docs.indexOf('<!-- /settings -->');
    expect(docs.slice(begin, end)).toBe(`<!-- settings -->\n\n${settingsMarkdown()}\n`);
  });

  test('names no variable that the source does not have', () => {
    const known = new Set<string>(Object.keys(SETTINGS).flatMap((name) => [name, `${name}_FILE`]));
    const named = [...docs.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`/g)].map(
      ([, name]) => name ?? '',
    );
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(Object.keys(SETTINGS).length / 2);
  });

  test('has a row for every variable that the source has', () => {
    for (const [name, { default: standard, unit }] of Object.entries(SETTINGS)) {
      const row = docs.split('\n').find((line) => line.startsWith(`| \`${name}\``));
      expect(row?.split('|').map((cell) => cell.trim())).toEqual(
        expect.arrayContaining([standard === null ? '–' : `\`${standard}\``, unit]),
      );
    }
  });
});
