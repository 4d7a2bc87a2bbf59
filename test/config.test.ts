// The environment becomes a Config, or a list of everything that is wrong with it.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ConfigError,
  type Environment,
  canReusePort,
  deserializeConfig,
  parseConfig,
  serializeConfig,
} from '../src/config.js';
import { SETTINGS, type SettingName } from '../src/settings.js';
import { settingsMarkdown } from '../src/settings-markdown.js';

const SECRET = 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW';
const KEYED = { JWT_SECRET: SECRET };
/** Settings that bound each other, out of the way of the one that is looked at. */
const UNRELATED = {
  ...KEYED,
  ADMIN_PORT: 'off',
  FRAME_LIMIT_BYTES: '1024',
  LOG_LIMIT_BYTES: String(SETTINGS.LOG_LIMIT_BYTES.max),
  RESUME_WINDOW_MS: '1000',
  OFFLINE_TTL_MS: String(SETTINGS.OFFLINE_TTL_MS.max),
  DRAIN_TIMEOUT_MS: String(SETTINGS.DRAIN_TIMEOUT_MS.max),
  LOG_TTL_MS: String(SETTINGS.LOG_TTL_MS.max),
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

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

function pem(options: { rsa?: number; curve?: string }): string {
  const { publicKey } =
    options.rsa === undefined
      ? generateKeyPairSync('ec', { namedCurve: options.curve ?? 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: options.rsa });
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

describe('parseConfig', () => {
  test('gives every number its default, and takes its smallest and its largest value', () => {
    for (const [name, setting] of Object.entries(SETTINGS)) {
      if (!('min' in setting)) continue;
      for (const value of [setting.min, setting.max]) {
        expect([name, mistakesOf({ ...UNRELATED, [name]: String(value) })]).toEqual([name, []]);
      }
      for (const value of [setting.min - 1, setting.max + 1, '1.5', '1e3', ' 1', '0x10', 'abc', '-0']) {
        expect(mistakesOf({ ...KEYED, [name]: String(value) })).toEqual([expect.stringMatching(`^${name} `)]);
      }
    }
    expect(parseConfig(KEYED).server.port).toBe(8080);
    expect(parseConfig({ ...KEYED, PORT: '' }).server.port).toBe(8080);
  });

  test('refuses a frame limit that ws would read as none (W21)', () => {
    expect(mistakesOf({ ...KEYED, FRAME_LIMIT_BYTES: String(2 ** 32) })).toHaveLength(1);
    expect(SETTINGS.FRAME_LIMIT_BYTES.max).toBeLessThan(2 ** 31);
  });

  test('takes reuseport where workers can each open the port, and there is one to open', () => {
    const here = canReusePort(process.platform, process.versions.node) ? [] : ['SCHEDULING'];
    const namesOf = (env: Environment) =>
      mistakesOf({ ...KEYED, ...env }).map((line) => line.split(' ', 1)[0]);
    expect(namesOf({ SCHEDULING: 'reuseport' })).toEqual(here);
    expect(namesOf({ SCHEDULING: 'reuseport', PORT: '0' })).toEqual([...here, 'SCHEDULING']);
  });

  test.each([
    ['linux', '20.20.2', false],
    ['linux', '22.11.0', false],
    ['linux', '22.12.0', true],
    ['linux', '23.0.0', false],
    ['linux', '23.1.0', true],
    ['linux', '24.0.0', true],
    ['darwin', '24.0.0', false],
    ['win32', '24.0.0', false],
  ] as const)('knows whether %s with Node %s can reuse a port', (platform, node, can) => {
    expect(canReusePort(platform, node)).toBe(can);
  });

  test('tells all mistakes together, each once', () => {
    const mistakes = mistakesOf({
      PORT: 'abc',
      RESUME_WINDOW_MS: '1',
      SCHEDULING: 'random',
      DUPLICATE_CLIENT: 'maybe',
      LOG_LEVEL: 'loud',
      NODE_NAME: 'a b',
      REDIS_URL: 'http://x',
      REDIS_PREFIX: '{x}',
      TRUSTED_PROXIES: '10.0.0.0/33, example',
      ORIGINS: '*, https://a.example/path',
      INSECURE_ALLOW_ANY_ORIGIN: 'yes',
      ICE_SERVERS: '[{"urls":"http://x"}]',
      JWT_SECRET: 'short',
      JWT_AUDIENCE: '',
      JWT_ISSUER: '',
      JWT_TYP: '',
      ADMIN_KEY: 'short',
      TLS_CERT_FILE: join(directory, 'absent'),
    });
    for (const name of [
      ...[
        'PORT',
        'RESUME_WINDOW_MS',
        'SCHEDULING',
        'DUPLICATE_CLIENT',
        'LOG_LEVEL',
        'NODE_NAME',
        'REDIS_URL',
        'REDIS_PREFIX',
      ],
      ...[
        'INSECURE_ALLOW_ANY_ORIGIN',
        'ICE_SERVERS',
        'JWT_SECRET',
        'JWT_AUDIENCE',
        'JWT_ISSUER',
        'JWT_TYP',
        'ADMIN_KEY',
        'TLS_CERT_FILE',
      ],
    ]) {
      expect([name, mistakes.filter((line) => line.startsWith(`${name} `)).length]).toEqual([name, 1]);
    }
    expect(mistakes.filter((line) => line.startsWith('TRUSTED_PROXIES '))).toHaveLength(2);
    expect(mistakes.filter((line) => line.startsWith('ORIGINS '))).toHaveLength(2);
    expect(mistakes).toHaveLength(20);
  });

  test('prints no secret in any mistake', () => {
    const value = 'Zq8-short-but-secret';
    const secrets = Object.entries(SETTINGS).filter(([, setting]) => 'secret' in setting);
    expect(secrets.map(([name]) => name)).toEqual([
      'ADMIN_KEY',
      'PLUGINS',
      'JWT_SECRET',
      'JWT_PREVIOUS_SECRET',
      'REDIS_URL',
      'TURN_SECRET',
    ]);
    const env = Object.fromEntries(secrets.map(([name]) => [name, value]));
    const mistakes = mistakesOf({
      ...env,
      ICE_SERVERS: value,
      JWKS_URL: `http://user:${value}@idp.example/`,
    });
    expect(mistakes.length).toBeGreaterThanOrEqual(5);
    expect(mistakes.join('\n')).not.toContain(value);
  });

  test('reads secrets from files, without the line end of an editor', () => {
    const config = parseConfig({
      JWT_SECRET_FILE: file('secret', `${SECRET}\n`),
      ADMIN_KEY_FILE: file('admin', `${SECRET}-admin\n`),
      REDIS_URL_FILE: file('redis', 'redis://localhost\n'),
    });
    expect(config.tokens.keys).toEqual({ kind: 'secret', secrets: [SECRET] });
    expect(config.server.adminKey).toBe(`${SECRET}-admin`);
    expect(config.store.redisUrl).toBe('redis://localhost');
  });

  test('refuses a secret that is there twice, that is empty, or whose file is not there', () => {
    const path = file('secret2', SECRET);
    expect(mistakesOf({ JWT_SECRET: SECRET, JWT_SECRET_FILE: path })).toEqual([
      expect.stringContaining('JWT_SECRET_FILE'),
    ]);
    expect(mistakesOf({ JWT_SECRET_FILE: file('empty', '\n') })).toEqual([
      expect.stringMatching('^JWT_SECRET is shorter'),
    ]);
    const [mistake] = mistakesOf({ JWT_SECRET_FILE: join(directory, 'absent') });
    expect(mistake).toMatch(/^JWT_SECRET_FILE .*ENOENT/);
  });

  test('takes a key that is there but wrong for no wish for development mode', () => {
    const wrong = { JWT_SECRET_FILE: join(directory, 'absent'), HOST: '0.0.0.0' };
    expect(mistakesOf(wrong)).toEqual([expect.stringMatching('^JWT_SECRET_FILE ')]);
  });

  test.each(['JWT_SECRET', 'JWT_SECRET_FILE', 'JWT_PUBLIC_KEY_FILE', 'JWKS_URL'])(
    'refuses %s when it is empty, instead of starting in development mode',
    (name) => {
      expect(mistakesOf({ [name]: '' })).toEqual([expect.stringMatching(`^${name} is empty`)]);
    },
  );

  test.each([
    'a'.repeat(40),
    'change-me-changeme-changeme-changeme-1',
    'my-secret-my-secret-my-secret-my-secret',
  ])('refuses the weak secret %s (J25)', (secret) => {
    expect(mistakesOf({ JWT_SECRET: secret })).toHaveLength(1);
  });

  test('refuses a public key as secret, which everybody could sign with (J2)', () => {
    expect(mistakesOf({ JWT_SECRET: pem({}) })).toEqual([expect.stringMatching('^JWT_SECRET holds a PEM')]);
  });

  test('takes public keys that can be trusted, and refuses all others at start (J24, J26)', () => {
    for (const good of [pem({ rsa: 2048 }), pem({ curve: 'P-256' })]) {
      expect(mistakesOf({ JWT_PUBLIC_KEY_FILE: file('key.pem', good) })).toEqual([]);
    }
    const ed25519 = generateKeyPairSync('ed25519')
      .publicKey.export({ type: 'spki', format: 'pem' })
      .toString();
    const secret = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    for (const bad of [
      pem({ rsa: 1024 }),
      pem({ curve: 'P-384' }),
      ed25519,
      secret,
      'rubbish',
      '-----BEGIN PUBLIC KEY-----',
    ]) {
      expect(mistakesOf({ JWT_PUBLIC_KEY_FILE: file('bad.pem', bad) })).toEqual([
        expect.stringMatching('^JWT_PUBLIC_KEY_FILE must hold'),
      ]);
    }
  });

  test('takes one kind of key only, and the previous one only beside a current one', () => {
    const key = file('one.pem', pem({}));
    expect(mistakesOf({ JWT_SECRET: SECRET, JWT_PUBLIC_KEY_FILE: key })).toHaveLength(1);
    expect(mistakesOf({ JWT_SECRET: SECRET, JWKS_URL: 'https://idp.example/jwks' })).toHaveLength(1);
    expect(mistakesOf({ JWT_PREVIOUS_SECRET: SECRET })).toHaveLength(1);
    expect(mistakesOf({ JWT_PREVIOUS_PUBLIC_KEY_FILE: key })).toHaveLength(1);
    expect(parseConfig({ ...KEYED, JWT_PREVIOUS_SECRET: `${SECRET}-old` }).tokens.keys).toEqual({
      kind: 'secret',
      secrets: [SECRET, `${SECRET}-old`],
    });
  });

  test.each([
    ['https://idp.example/jwks', 0],
    ['http://127.0.0.1:8000/jwks', 0],
    ['http://localhost/jwks', 0],
    ['http://idp.example/jwks', 1],
    ['http://127.0.0.1.evil.example/jwks', 1],
    ['file:///etc/passwd', 1],
    ['idp', 1],
  ])('takes key sets from https or this machine: %s', (url, mistakes) => {
    expect(mistakesOf({ JWKS_URL: url })).toHaveLength(mistakes);
  });

  test('is in development mode without a key: this machine only, a new secret each time', () => {
    const [one, two] = [parseConfig({}), parseConfig({})];
    expect(one.development).toBe(true);
    expect(one.server.host).toBe('127.0.0.1');
    expect(one.origins.loopback).toBe(true);
    expect(one.tokens.keys).not.toEqual(two.tokens.keys);
    expect(mistakesOf({ HOST: '0.0.0.0' })).toEqual([expect.stringMatching('^HOST ')]);
    expect(mistakesOf({ HOST: '::1' })).toEqual([]);
    const keyed = parseConfig(KEYED);
    expect([keyed.development, keyed.server.host, keyed.origins.loopback]).toEqual([false, '0.0.0.0', false]);
  });

  test('serves the connection test page in development, else when asked, where it can get tokens and connect', () => {
    const page = { ...KEYED, TEST_PAGE: 'on', ORIGINS: 'https://gw.example' };
    expect(parseConfig({}).testPage).toBe(true);
    expect(parseConfig({ TEST_PAGE: 'off' }).testPage).toBe(false);
    expect(parseConfig(KEYED).testPage).toBe(false);
    expect(parseConfig(page).testPage).toBe(true);
    expect(mistakesOf({ ...page, ORIGINS: undefined })).toEqual([
      expect.stringMatching('^TEST_PAGE .*ORIGINS'),
    ]);
    expect(mistakesOf({ ...page, TEST_PAGE: 'yes' })).toEqual([expect.stringMatching('^TEST_PAGE is "yes"')]);
    const elsewhere = {
      JWKS_URL: 'https://issuer.example/jwks',
      TEST_PAGE: 'on',
      ORIGINS: 'https://gw.example',
    };
    expect(mistakesOf(elsewhere)).toEqual([expect.stringMatching('^TEST_PAGE .*JWT_SECRET')]);
  });

  test('lets every origin in only when that is said twice', () => {
    expect(mistakesOf({ ...KEYED, ORIGINS: '*' })).toEqual([expect.stringMatching('^ORIGINS is \\*')]);
    expect(parseConfig({ ...KEYED, ORIGINS: '*', INSECURE_ALLOW_ANY_ORIGIN: '1' }).origins.any).toBe(true);
    expect(parseConfig({ ...KEYED, INSECURE_ALLOW_ANY_ORIGIN: '1' }).origins.any).toBe(false);
  });

  test.each([
    'https://a.example/',
    'https://A.example',
    'a.example',
    'null',
    'https://*.example',
    'https://a.example:443',
    'javascript:alert(1)',
  ])('refuses %s as an origin, because no browser sends it', (origin) => {
    expect(mistakesOf({ ...KEYED, ORIGINS: origin })).toEqual([expect.stringMatching('^ORIGINS holds')]);
  });

  test('takes the origins of apps in web views, whose schemes the URL standard does not know', () => {
    const ORIGINS = 'capacitor://localhost, http://b.example:8080';
    expect([...parseConfig({ ...KEYED, ORIGINS }).origins.allowed]).toEqual([
      'capacitor://localhost',
      'http://b.example:8080',
    ]);
  });

  test('refuses settings that contradict each other', () => {
    for (const [env, mistake] of [
      [{ PORT: '9090' }, 'ADMIN_PORT is 9090, like PORT'],
      [{ LOG_LIMIT_BYTES: '2048' }, 'LOG_LIMIT_BYTES is below FRAME_LIMIT_BYTES'],
      [{ RESUME_WINDOW_MS: '600000' }, 'LOG_TTL_MS is below RESUME_WINDOW_MS'],
    ] as const) {
      expect(mistakesOf({ ...KEYED, ...env })).toEqual([expect.stringMatching(`^${mistake}`)]);
    }
  });

  test.each([
    ...['{}', 'stun:a', '[1]', '[{}]', '[{"urls":[]}]', '[{"urls":"http://a"}]', '[{"urls":"turn:a"}]'],
    '[{"urls":"stun:a","username":1}]',
  ])('refuses ICE servers that RTCPeerConnection would not accept: %s', (text) => {
    expect(mistakesOf({ ...KEYED, ICE_SERVERS: text })).toEqual([
      expect.stringMatching('^ICE_SERVERS must be'),
    ]);
  });

  test('hands on of an ICE server only what RTCPeerConnection knows', () => {
    const ICE_SERVERS =
      '[{"urls":"turn:a","username":"u","credential":"c","note":"internal"},{"urls":["stun:b"]}]';
    expect(parseConfig({ ...KEYED, ICE_SERVERS }).iceServers).toEqual([
      { urls: ['turn:a'], username: 'u', credential: 'c' },
      { urls: ['stun:b'] },
    ]);
  });

  test('takes a certificate only with its key, and only when both can be used', () => {
    const rubbish = file('tls.pem', 'rubbish');
    expect(mistakesOf({ ...KEYED, TLS_CERT_FILE: rubbish })).toHaveLength(1);
    expect(mistakesOf({ ...KEYED, TLS_CERT_FILE: rubbish, TLS_KEY_FILE: rubbish })).toHaveLength(1);
  });

  test('turns the admin port off by its word', () => {
    expect(parseConfig({ ...KEYED, ADMIN_PORT: 'off' }).server.adminPort).toBeNull();
    expect(mistakesOf({ ...KEYED, ADMIN_PORT: 'on' })).toHaveLength(1);
  });

  test('is frozen, all the way down', () => {
    const config = parseConfig(KEYED);
    expect(() => Object.assign(config.limits.rates.connection.messages, { burst: 1 })).toThrow(TypeError);
  });

  test('comes out of a worker as it went in', () => {
    const config = parseConfig({
      ...KEYED,
      TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7, 2001:db8::/32, ::1',
      ORIGINS: 'https://a.example,https://b.example',
      ICE_SERVERS: '[{"urls":["stun:a.example","turn:b.example"],"username":"u","credential":"c"}]',
    });
    const copy = deserializeConfig(serializeConfig(config));
    const { trustedProxies } = copy.server;
    const withoutList = ({
      server: { trustedProxies: _list, ...server },
      ...rest
    }: typeof config): unknown => ({ ...rest, server });
    expect(withoutList(copy)).toEqual(withoutList(config));
    for (const address of ['10.1.2.3', '192.0.2.7']) expect(trustedProxies.check(address)).toBe(true);
    for (const address of ['11.0.0.1', '192.0.2.8']) expect(trustedProxies.check(address)).toBe(false);
    for (const address of ['2001:db8::1', '::1']) expect(trustedProxies.check(address, 'ipv6')).toBe(true);
    expect(trustedProxies.check('2001:db9::1', 'ipv6')).toBe(false);
    expect(copy.origins.allowed).toEqual(new Set(['https://a.example', 'https://b.example']));
  });
});

describe('docs/configuration.md', () => {
  const docs = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');

  test('holds the settings exactly as `signalbox config` prints them', () => {
    expect(docs).toContain(settingsMarkdown());
  });

  test('has a row for each setting, and names no other', () => {
    for (const name of Object.keys(SETTINGS)) expect(docs).toContain(`| \`${name}\``);
    const known = new Set<string>(Object.keys(SETTINGS) as SettingName[]);
    const named = [...docs.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe('the webhooks of PLUGINS', () => {
  const url = 'https://app.example/hook';
  const secret = 'hook-secret-for-tests-0123456789abcdef';
  const of = (...entries: unknown[]) => ({ JWT_SECRET: SECRET, PLUGINS: JSON.stringify(entries) });
  const webhooks = (options: unknown, more: object = {}) => of({ module: 'webhooks', options, ...more });

  test('have defaults, are no plugin of a worker, and keep the others in their order', () => {
    const { webhooks: found, plugins } = parseConfig(
      of('greeting-bot', { module: 'webhooks', options: { url, secret, rooms: ['doc:*'] } }, 'audit-log'),
    );
    expect(plugins.map(({ name }) => name)).toEqual(['greeting-bot', 'audit-log']);
    expect(found).toEqual({
      target: { url, secret },
      rules: {
        debounceMs: 1_000,
        queueLimitEvents: 100_000,
        events: ['connect', 'disconnect', 'occupied', 'vacated'],
        rooms: ['doc:*'],
      },
      timeoutMs: 5_000,
      retryForS: 86_400,
      batchLimitEvents: 100,
    });
    expect(parseConfig({ JWT_SECRET: SECRET }).webhooks).toBeNull();
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /options\.url/],
    ['a text', 'https://app.example', /options must have url and secret/],
    ['no address', { url: 'app.example', secret }, /options\.url/],
    ['another scheme', { url: 'file:///etc/passwd', secret }, /http: or https:/],
    [
      'a password in the address',
      { url: 'https://me:hidden@app.example/', secret },
      /must not hold a password/,
    ],
    ['a short secret', { url, secret: 'short' }, /32 characters/],
    ['an unknown option', { url, secret, debounce: 1 }, /options\.debounce is none: there are .*debounceMs/],
    [
      'a negative debounce',
      { url, secret, debounceMs: -1 },
      /debounceMs must be a whole number from 0 to 60000/,
    ],
    ['a number as text', { url, secret, retryForS: '60' }, /retryForS must be a whole number/],
    ['a batch of none', { url, secret, batchLimitEvents: 0 }, /batchLimitEvents/],
    ['an unknown event', { url, secret, events: ['connected'] }, /options\.events/],
    ['no event', { url, secret, events: [] }, /options\.events/],
    ['a room that is none', { url, secret, rooms: ['a room'] }, /options\.rooms/],
  ])('are refused with %s', (_, options, reason) => {
    const [mistake, ...more] = mistakesOf(webhooks(options));
    expect(mistake).toMatch(reason);
    expect(mistake).not.toMatch(/hidden/);
    expect(more).toEqual([]);
  });

  test('are refused twice, and with the time-out of a verdict', () => {
    const entry = { module: 'webhooks', options: { url, secret } };
    expect(mistakesOf(of(entry, entry))[0]).toMatch(/webhooks twice/);
    expect(mistakesOf(webhooks({ url, secret }, { timeoutMs: 500 }))[0]).toMatch(
      /options\.timeoutMs is meant/,
    );
  });
});
