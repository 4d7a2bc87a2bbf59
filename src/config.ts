// The one table of settings: environment → frozen Config. Nothing else reads the environment.
import { randomBytes } from 'node:crypto';
import { BlockList, isIP, type SocketAddress } from 'node:net';
import { availableParallelism } from 'node:os';
import { createSecureContext } from 'node:tls';
import { isLoopback, type KeySettings, looksLikePlaceholder, readKeys } from './key-settings.js';
import { parseKeys } from './session/pre-shared-keys.js';
import type { Rate } from './session/rate-limit.js';
import type { ThrottleRates } from './session/throttle.js';
import type { StoreSettings } from './session/store/store.js';
import { parseRedisUrl } from './session/store/redis-url.js';
import type { OriginRules } from './transport/upgrade-check.js';
import { type Environment, SettingReader } from './setting-reader.js';
import { type PluginEntry, readPlugins } from './plugin-settings.js';
import type { WebhookSettings } from './webhook-settings.js';
import { readTurn, type TurnSettings } from './turn-settings.js';

export type { Environment };

export interface TokenSettings {
  keys: KeySettings;
  audience: string | null;
  issuer: string | null;
  typ: string | null;
  maxLifeS: number;
  leewayS: number;
  expiryWarningMs: number;
  expiryGraceMs: number;
}

/** All settings, parsed from the environment, checked and frozen; docs/configuration.md says what each is. */
export interface Config {
  /** No key is configured: loopback only, a random secret, the playground. */
  development: boolean;
  server: {
    port: number;
    host: string;
    adminPort: number | null;
    adminHost: string;
    adminKey: string | null;
    apiKeysFile: string | null;
    apiCallsPerSecondLimit: number;
    workers: number;
    scheduling: 'rr' | 'none' | 'reuseport';
    workerMaxOldSpaceMb: number | null;
    heapShedPercent: number;
    heapRecyclePercent: number;
    workerMaxSemiSpaceMb: number;
    workerInitialOldSpaceMb: number;
    nodeName: string | null;
    logLevel: string;
    headerLimitBytes: number;
    headersTimeoutMs: number;
    drainTimeoutMs: number;
    drainDelayMs: number;
    drainClientsPerSecond: number;
    watchdogTimeoutMs: number;
    crashLoopLimit: number;
    trustedProxies: TrustedProxies;
  };
  tls: { certFile: string; keyFile: string } | null;
  /** Null where it is off. */
  tcp: { port: number; tls: boolean; keysFile: string | null } | null;
  origins: OriginRules;
  /** The connection test page is served. */
  testPage: boolean;
  tokens: TokenSettings;
  sessions: {
    duplicateClient: 'allow' | 'replace' | 'reject';
    sessionsPerClientLimit: number;
    resumeWindowMs: number;
    pingIntervalMs: number;
    pongTimeoutMs: number;
    httpSilenceLimitMs: number;
    helloTimeoutMs: number;
    pairLeaseMs: number;
  };
  limits: {
    frameLimitBytes: number;
    outboxLimitBytes: number;
    connectionsLimit: number;
    connectionsPerAddressLimit: number;
    handshakesPerSecondLimit: number;
    pendingHandshakesLimit: number;
    roomsPerSessionLimit: number;
    streamsPerSessionLimit: number;
    requestsPendingLimit: number;
    requestsPendingLimitBytes: number;
    callsServedLimit: number;
    errorsPerMinuteLimit: number;
    rates: ThrottleRates;
    /** Bytes that the messages of one client become, on this worker. */
    fanOut: Rate;
  };
  store: {
    redisUrl: string | null;
    redisPrefix: string;
    requireNoEviction: boolean;
    waitReplicas: number;
    settings: StoreSettings;
  };
  iceServers: { urls: string[]; username?: string; credential?: string }[];
  turn: TurnSettings;
  /** Of workers, in their order. */
  plugins: readonly PluginEntry[];
  /** Null where nobody wants to be told. */
  webhooks: WebhookSettings | null;
}

/** Addresses whose `X-Forwarded-For` counts; keeps what it was made of, so that it can be handed to a worker. */
export class TrustedProxies extends BlockList {
  constructor(readonly networks: readonly string[]) {
    super();
    for (const { address, bits, family } of networks
      .map(parseNetwork)
      .filter((network) => network !== null)) {
      this.addSubnet(address, bits, family);
    }
  }

  /** Without proxies, the common case, no address is made to look up. */
  override check(address: string | SocketAddress, family: 'ipv4' | 'ipv6' = 'ipv4'): boolean {
    if (this.networks.length === 0) return false;
    return typeof address === 'string' ? super.check(address, family) : super.check(address);
  }
}

/** All mistakes of the environment at once, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly mistakes: readonly string[]) {
    super(
      `The configuration has ${mistakes.length === 1 ? 'a mistake' : `${String(mistakes.length)} mistakes`}:\n` +
        mistakes.map((line) => `  ${line}\n`).join('') +
        '(`signalbox config` prints every setting)',
    );
  }
}

/** How the primary hands its settings to a worker. */
export const WORKER_ENV = {
  config: 'SIGNALBOX_CONFIG',
  worker: 'SIGNALBOX_WORKER',
  version: 'SIGNALBOX_VERSION',
  directory: 'SIGNALBOX_DIRECTORY',
  storePath: 'SIGNALBOX_STORE_PATH',
} as const;

/**
 * @returns the settings, frozen
 * @throws ConfigError with every mistake
 */
export function parseConfig(env: Environment): Config {
  const read = new SettingReader(env);
  const keys = readKeys(read);
  // A key that is there but wrong is no wish for development mode.
  const development = keys === null && read.mistakes.length === 0;
  const config: Config = {
    development,
    server: readServer(read, development),
    tls: readTls(read),
    tcp: readTcp(read),
    origins: readOrigins(read, development),
    testPage: readTestPage(read, keys, development),
    tokens: {
      keys: keys ?? { kind: 'secret', secrets: [randomBytes(32).toString('base64url')] },
      audience: read.text('JWT_AUDIENCE'),
      issuer: read.text('JWT_ISSUER'),
      typ: read.text('JWT_TYP'),
      maxLifeS: read.number('TOKEN_MAX_LIFE_S'),
      leewayS: read.number('TOKEN_LEEWAY_S'),
      expiryWarningMs: read.number('TOKEN_EXPIRY_WARNING_MS'),
      expiryGraceMs: read.number('TOKEN_EXPIRY_GRACE_MS'),
    },
    sessions: {
      duplicateClient: read.choice('DUPLICATE_CLIENT', ['allow', 'replace', 'reject']),
      sessionsPerClientLimit: read.number('SESSIONS_PER_CLIENT_LIMIT'),
      resumeWindowMs: read.number('RESUME_WINDOW_MS'),
      pingIntervalMs: read.number('PING_INTERVAL_MS'),
      pongTimeoutMs: read.number('PONG_TIMEOUT_MS'),
      httpSilenceLimitMs: read.number('HTTP_SILENCE_LIMIT_MS'),
      helloTimeoutMs: read.number('HELLO_TIMEOUT_MS'),
      pairLeaseMs: read.number('PAIR_LEASE_MS'),
    },
    limits: readLimits(read),
    store: readStore(read),
    iceServers: readIceServers(read),
    turn: readTurn(read),
    ...readPlugins(read),
  };
  if (read.mistakes.length > 0) throw new ConfigError(read.mistakes);
  return deepFreeze(config);
}

function isHost(text: string): boolean {
  return isIP(text) !== 0 || /^(?=.{1,253}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text);
}

function readServer(read: SettingReader, development: boolean): Config['server'] {
  const host = read.text('HOST') ?? (development ? '127.0.0.1' : '0.0.0.0');
  if (development && !isLoopback(host)) {
    read.wrong(
      'HOST',
      `is ${JSON.stringify(host)}, but without a key (JWT_SECRET, …) the gateway serves this machine only`,
    );
  }
  const adminKey = read.text('ADMIN_KEY');
  if (adminKey !== null && adminKey.length < 32) read.wrong('ADMIN_KEY', 'is shorter than 32 characters');
  else if (adminKey !== null && looksLikePlaceholder(adminKey)) {
    read.wrong('ADMIN_KEY', 'looks like a placeholder: `openssl rand -base64 48` makes a good one');
  }
  const adminHost = read.text('ADMIN_HOST') ?? '127.0.0.1';
  if (!isHost(host))
    read.wrong('HOST', `is ${JSON.stringify(host)}: an address or the name of one is wanted`);
  if (!isHost(adminHost))
    read.wrong('ADMIN_HOST', `is ${JSON.stringify(adminHost)}: an address or the name of one is wanted`);
  const port = read.number('PORT');
  const adminPort = read.text('ADMIN_PORT') === 'off' ? null : read.number('ADMIN_PORT');
  if (port !== 0 && port === adminPort)
    read.wrong('ADMIN_PORT', `is ${String(port)}, like PORT: two different ports are wanted`);
  const nodeName = read.text('NODE_NAME');
  if (nodeName !== null && !/^[A-Za-z0-9_-]{1,32}$/.test(nodeName)) {
    read.wrong('NODE_NAME', 'must be 1 to 32 letters, digits, _ or -');
  }
  const workers = read.text('WORKERS') === null ? availableParallelism() : read.number('WORKERS');
  if (read.number('DRAIN_DELAY_MS') >= read.number('DRAIN_TIMEOUT_MS')) {
    read.wrong('DRAIN_DELAY_MS', 'is not below DRAIN_TIMEOUT_MS: no time would be left to send clients away');
  }
  return {
    port,
    host,
    adminPort,
    adminHost,
    adminKey,
    apiKeysFile: readKeysFile(read, 'API_KEYS_FILE'),
    apiCallsPerSecondLimit: read.number('API_CALLS_PER_SECOND_LIMIT'),
    workers,
    scheduling: readScheduling(read, port),
    workerMaxOldSpaceMb: read.optionalNumber('WORKER_MAX_OLD_SPACE_MB'),
    heapShedPercent: read.number('HEAP_SHED_PERCENT'),
    heapRecyclePercent: read.number('HEAP_RECYCLE_PERCENT'),
    workerMaxSemiSpaceMb: read.number('WORKER_MAX_SEMI_SPACE_MB'),
    workerInitialOldSpaceMb: read.number('WORKER_INITIAL_OLD_SPACE_MB'),
    nodeName,
    logLevel: read.choice('LOG_LEVEL', ['info', 'trace', 'debug', 'warn', 'error', 'fatal', 'silent']),
    headerLimitBytes: read.number('HEADER_LIMIT_BYTES'),
    headersTimeoutMs: read.number('HEADERS_TIMEOUT_MS'),
    drainTimeoutMs: read.number('DRAIN_TIMEOUT_MS'),
    drainDelayMs: read.number('DRAIN_DELAY_MS'),
    drainClientsPerSecond: read.number('DRAIN_CLIENTS_PER_SECOND'),
    watchdogTimeoutMs: read.number('WATCHDOG_TIMEOUT_MS'),
    crashLoopLimit: read.number('CRASH_LOOP_LIMIT'),
    trustedProxies: readTrustedProxies(read),
  };
}

function readScheduling(read: SettingReader, port: number): Config['server']['scheduling'] {
  const scheduling = read.choice('SCHEDULING', ['rr', 'none', 'reuseport']);
  if (scheduling !== 'reuseport') return scheduling;
  if (!canReusePort(process.platform, process.versions.node))
    read.wrong('SCHEDULING', 'is "reuseport", which needs Linux and Node.js 22.12 or newer');
  if (port === 0)
    read.wrong('SCHEDULING', 'is "reuseport", which needs a PORT: each worker opens it by itself');
  return scheduling;
}

/** Whether workers can each open the same port: an option of Node's since 22.12 and 23.1. */
export function canReusePort(platform: NodeJS.Platform, node: string): boolean {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const known = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
  return platform === 'linux' && known;
}

function readTrustedProxies(read: SettingReader): TrustedProxies {
  const networks = read.list('TRUSTED_PROXIES');
  for (const network of networks) {
    if (parseNetwork(network) !== null) continue;
    read.wrong(
      'TRUSTED_PROXIES',
      `holds ${JSON.stringify(network)}: an address or a network like 10.0.0.0/8 is wanted`,
    );
  }
  return new TrustedProxies(networks);
}

function parseNetwork(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | null {
  const match = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? '';
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const bits = Number(match?.[2] ?? most);
  return family === 0 || bits > most ? null : { address, bits, family: family === 4 ? 'ipv4' : 'ipv6' };
}

function readTls(read: SettingReader): Config['tls'] {
  const certFile = read.text('TLS_CERT_FILE');
  const keyFile = read.text('TLS_KEY_FILE');
  if (certFile === null && keyFile === null) return null;
  if (certFile === null || keyFile === null) {
    read.wrong('TLS_CERT_FILE', 'and TLS_KEY_FILE belong together: set both');
    return null;
  }
  const cert = read.file('TLS_CERT_FILE', certFile);
  const key = read.file('TLS_KEY_FILE', keyFile);
  if (cert !== null && key !== null) {
    try {
      createSecureContext({ cert, key });
    } catch {
      read.wrong('TLS_CERT_FILE', 'and TLS_KEY_FILE must hold a PEM certificate chain and its private key');
    }
  }
  return { certFile, keyFile };
}

function readTcp(read: SettingReader): Config['tcp'] {
  const port = read.optionalNumber('TCP_PORT');
  const tls = read.choice('TCP_TLS', ['0', '1']) === '1';
  const keysFile = readKeysFile(read, 'TCP_KEYS_FILE');
  if (tls && read.text('TLS_CERT_FILE') === null)
    read.wrong('TCP_TLS', 'is 1, which needs TLS_CERT_FILE and TLS_KEY_FILE');
  if (port !== null && [read.text('PORT'), read.text('ADMIN_PORT')].includes(String(port)))
    read.wrong('TCP_PORT', `is ${String(port)}, like another port: different ports are wanted`);
  return port === null ? null : { port, tls, keysFile };
}

/** Path of a file of pre-shared keys; what it holds is looked at, so that mistakes are told at the start. */
function readKeysFile(read: SettingReader, name: 'TCP_KEYS_FILE' | 'API_KEYS_FILE'): string | null {
  const path = read.text(name);
  const keys = path === null ? null : read.file(name, path);
  if (keys !== null) {
    try {
      parseKeys(keys);
    } catch (error) {
      read.wrong(name, error instanceof Error ? error.message : 'cannot be read');
    }
  }
  return path;
}

function readOrigins(read: SettingReader, development: boolean): OriginRules {
  const origins = read.list('ORIGINS');
  const any = origins.includes('*');
  const anyIsMeant = read.choice('INSECURE_ALLOW_ANY_ORIGIN', ['0', '1']) === '1';
  if (any && !anyIsMeant) {
    read.wrong(
      'ORIGINS',
      'is *, which lets every web page connect: set INSECURE_ALLOW_ANY_ORIGIN=1 if you mean it',
    );
  }
  for (const origin of origins) {
    if (origin !== '*' && !isOrigin(origin)) {
      read.wrong(
        'ORIGINS',
        `holds ${JSON.stringify(origin)}: an origin like https://app.example.org (no path) is wanted`,
      );
    }
  }
  return { allowed: new Set(origins.filter((origin) => origin !== '*')), any, loopback: development };
}

/** A page that could get no token, or not connect, is no page. */
function readTestPage(read: SettingReader, keys: KeySettings | null, development: boolean): boolean {
  const wish = read.text('TEST_PAGE') ?? (development ? 'on' : 'off');
  if (wish !== 'on' && wish !== 'off')
    read.wrong('TEST_PAGE', `is ${JSON.stringify(wish)}: one of on, off is wanted`);
  if (wish !== 'on') return false;
  if (keys !== null && keys.kind !== 'secret')
    read.wrong('TEST_PAGE', 'is on, which needs JWT_SECRET: with a public key alone no tokens can be made');
  if (!development && read.list('ORIGINS').length === 0)
    read.wrong('TEST_PAGE', 'is on, but ORIGINS is empty: the page connects from the gateway’s own origin');
  return true;
}

/** Exactly what browsers send: scheme, host, and the port where it is not the scheme's own. */
function isOrigin(text: string): boolean {
  try {
    const { origin, protocol, host } = new URL(text);
    // Schemes that the URL standard does not know have no origin there; apps in web views send theirs all the same.
    const serialised = origin === 'null' && host !== '' ? `${protocol}//${host}` : origin;
    // A URL may hold a *, but here it would be a hope for a wildcard that never matches.
    return text === serialised && !text.includes('*');
  } catch {
    return false;
  }
}

/** What a client or an address may save up, in seconds of its rate. */
const SHARED_BURST_S = 5;

function sharedRate(perSecond: number): Rate {
  return { perSecond, burst: perSecond * SHARED_BURST_S };
}

function readLimits(read: SettingReader): Config['limits'] {
  const frameLimitBytes = read.number('FRAME_LIMIT_BYTES');
  if (read.number('LOG_LIMIT_BYTES') < frameLimitBytes) {
    read.wrong('LOG_LIMIT_BYTES', 'is below FRAME_LIMIT_BYTES: a log must have room for the largest message');
  }
  const shared = (scope: 'CLIENT' | 'ADDRESS', of: 'MESSAGES' | 'BYTES'): Rate =>
    sharedRate(read.number(`${scope}_${of}_PER_SECOND_LIMIT`));
  return {
    frameLimitBytes,
    outboxLimitBytes: read.number('OUTBOX_LIMIT_BYTES'),
    connectionsLimit: read.number('CONNECTIONS_LIMIT'),
    connectionsPerAddressLimit: read.number('CONNECTIONS_PER_ADDRESS_LIMIT'),
    handshakesPerSecondLimit: read.number('HANDSHAKES_PER_SECOND_LIMIT'),
    pendingHandshakesLimit: read.number('PENDING_HANDSHAKES_LIMIT'),
    roomsPerSessionLimit: read.number('ROOMS_PER_SESSION_LIMIT'),
    streamsPerSessionLimit: read.number('STREAMS_PER_SESSION_LIMIT'),
    requestsPendingLimit: read.number('REQUESTS_PENDING_LIMIT'),
    requestsPendingLimitBytes: read.number('REQUESTS_PENDING_LIMIT_BYTES'),
    callsServedLimit: read.number('CALLS_SERVED_LIMIT'),
    errorsPerMinuteLimit: read.number('ERRORS_PER_MINUTE_LIMIT'),
    rates: {
      connection: {
        messages: {
          perSecond: read.number('MESSAGES_PER_SECOND_LIMIT'),
          burst: read.number('MESSAGES_BURST_LIMIT'),
        },
        bytes: { perSecond: read.number('BYTES_PER_SECOND_LIMIT'), burst: read.number('BYTES_BURST_LIMIT') },
      },
      client: { messages: shared('CLIENT', 'MESSAGES'), bytes: shared('CLIENT', 'BYTES') },
      address: { messages: shared('ADDRESS', 'MESSAGES'), bytes: shared('ADDRESS', 'BYTES') },
    },
    fanOut: sharedRate(read.number('FAN_OUT_BYTES_PER_SECOND_LIMIT')),
  };
}

function readStore(read: SettingReader): Config['store'] {
  const redisUrl = read.text('REDIS_URL');
  if (redisUrl !== null) {
    try {
      parseRedisUrl(redisUrl);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      read.wrong('REDIS_URL', error.message);
    }
  }
  const redisPrefix = read.text('REDIS_PREFIX') ?? 'sb';
  if (!/^[A-Za-z0-9._-]{1,32}$/.test(redisPrefix))
    read.wrong('REDIS_PREFIX', 'must be 1 to 32 letters, digits, ., _ or -');
  const resumeWindowMs = read.number('RESUME_WINDOW_MS');
  if (read.number('LOG_TTL_MS') < resumeWindowMs) {
    read.wrong(
      'LOG_TTL_MS',
      'is below RESUME_WINDOW_MS: a session that comes back in time would find its log gone',
    );
  }
  return {
    redisUrl,
    redisPrefix,
    waitReplicas: read.number('REDIS_WAIT_REPLICAS'),
    requireNoEviction: read.choice('REDIS_REQUIRE_NOEVICTION', ['false', 'true']) === 'true',
    settings: {
      resumeWindowMs,
      presenceGraceMs: read.number('PRESENCE_GRACE_MS'),
      logLimitEntries: read.number('LOG_LIMIT_ENTRIES'),
      logLimitBytes: read.number('LOG_LIMIT_BYTES'),
      logTtlMs: read.number('LOG_TTL_MS'),
      // What an absent client waits for never lives shorter than what a present one has read.
      offlineTtlMs: Math.max(read.number('OFFLINE_TTL_MS'), read.number('LOG_TTL_MS')),
      logBudgetBytes: read.number('LOG_BUDGET_BYTES'),
      workerLeaseMs: read.number('WORKER_LEASE_MS'),
    },
  };
}

type IceServer = Config['iceServers'][number];

function readIceServers(read: SettingReader): IceServer[] {
  let servers: unknown;
  try {
    servers = JSON.parse(read.text('ICE_SERVERS') ?? '[]');
  } catch {
    servers = null;
  }
  const parsed = Array.isArray(servers) ? servers.map(parseIceServer) : [null];
  if (!parsed.includes(null)) return parsed.filter((server) => server !== null);
  read.wrong(
    'ICE_SERVERS',
    'must be a JSON array like [{"urls":"stun:stun.example.org"}]; turn: and turns: need a username and a credential',
  );
  return [];
}

/** What a browser's RTCPeerConnection accepts; anything else would fail there, far from its cause. */
function parseIceServer(value: unknown): IceServer | null {
  if (typeof value !== 'object' || value === null || !('urls' in value)) return null;
  const urls: unknown[] = Array.isArray(value.urls) ? value.urls : [value.urls];
  if (urls.length === 0 || !urls.every((url) => typeof url === 'string')) return null;
  if (!urls.every((url) => /^(stun|turn)s?:[^/\s]/.test(url))) return null;
  const username = 'username' in value ? value.username : undefined;
  const credential = 'credential' in value ? value.credential : undefined;
  if (typeof username === 'string' && typeof credential === 'string') return { urls, username, credential };
  if (username !== undefined || credential !== undefined) return null;
  return urls.some((url) => url.startsWith('turn')) ? null : { urls };
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const inner of Object.values(value)) {
    if (
      typeof inner === 'object' &&
      inner !== null &&
      !Object.isFrozen(inner) &&
      !(inner instanceof BlockList)
    )
      deepFreeze(inner);
  }
  return Object.freeze(value);
}

/** What a process beside the workers inherits: certificates, a time zone, options of Node. */
export function ownEnvironment(): Environment {
  return process.env;
}

/** What a worker needs, in one value of its environment: development mode's random secret is in it. */
export function serializeConfig(config: Config): string {
  return JSON.stringify({
    ...config,
    server: { ...config.server, trustedProxies: config.server.trustedProxies.networks },
    origins: { ...config.origins, allowed: [...config.origins.allowed] },
  });
}

/** The reverse of `serializeConfig`, in a process that the primary started: the text is our own. */
export function deserializeConfig(text: string): Config {
  const { server, origins, ...rest } = JSON.parse(text) as Omit<Config, 'server' | 'origins'> & {
    server: Omit<Config['server'], 'trustedProxies'> & { trustedProxies: string[] };
    origins: Omit<OriginRules, 'allowed'> & { allowed: string[] };
  };
  return deepFreeze({
    ...rest,
    server: { ...server, trustedProxies: new TrustedProxies(server.trustedProxies) },
    origins: { ...origins, allowed: new Set(origins.allowed) },
  });
}
