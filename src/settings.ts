// Every setting with its default, its unit and its reason: parsing and docs/configuration.md both come from here.

interface Setting {
  /** What holds when the variable is absent; null: nothing, or what the text says. */
  readonly default: string | null;
  readonly unit: string;
  readonly text: string;
  /** Can also come from the file that `<NAME>_FILE` names, and is never printed. */
  readonly secret?: true;
  /** An empty value would switch a check off, or development mode on: it is a mistake. */
  readonly notEmpty?: true;
  readonly min?: number;
  readonly max?: number;
}

const DAY_MS = 86_400_000;

function count(standard: number, min: number, max: number, unit: string, text: string) {
  return { default: String(standard), unit, text, min, max } as const satisfies Setting;
}

// A table: one row a line.
// prettier-ignore
export const SETTINGS = {
  // Where it listens
  PORT: count(8080, 0, 65_535, 'port', 'Public port; 0 takes any free one.'),
  HOST: { default: null, unit: 'address', text: 'Address to listen on. Default: all, or 127.0.0.1 in development mode.' },
  ADMIN_PORT: count(9090, 0, 65_535, 'port', 'Port of `/metrics` and the admin API; `0` takes any free one, `off` none.'),
  ADMIN_HOST: { default: '127.0.0.1', unit: 'address', text: 'Address of the admin port: not for the public.' },
  ADMIN_KEY: { default: null, unit: 'text', text: 'Bearer key of `/api/v1`, at least 32 characters; without it there is no API.', secret: true },
  API_KEYS_FILE: { default: null, unit: 'path', text: 'Keys of servers that call `/api/v1`: a JSON object of client ids, which receivers see as the sender, each with `key` and `perm` as in `TCP_KEYS_FILE`. Read again by SIGHUP.' },
  API_CALLS_PER_SECOND_LIMIT: count(1000, 1, 1_000_000, 'calls/s', 'Calls of one key to `/api/v1` on this node, with bursts of twice as many; beyond it `429`.'),
  TLS_CERT_FILE: { default: null, unit: 'path', text: 'Certificate chain (PEM): makes the public port `wss`. Read again by SIGHUP.' },
  TLS_KEY_FILE: { default: null, unit: 'path', text: 'Private key (PEM) of the certificate.' },
  TCP_PORT: { ...count(1, 1, 65_535, 'port', ''), default: null, text: 'Port for clients that speak the protocol over plain TCP (backends, devices). Default: none.' },
  TCP_TLS: { default: '0', unit: '0 or 1', text: '`1`: TLS on TCP_PORT, with the certificate of `TLS_CERT_FILE`.' },
  TCP_KEYS_FILE: { default: null, unit: 'path', text: 'Pre-shared keys of TCP clients: a JSON object of client ids, each with `key` (32 or more letters, digits, `.`, `_`, `~` or `-`) and `perm` as in a token. Read again by SIGHUP.' },
  ORIGINS: { default: null, unit: 'list', text: 'Origins of pages that may connect, exact, separated by commas. Default: none (programs without `Origin` may always; in development mode pages of this machine too).' },
  INSECURE_ALLOW_ANY_ORIGIN: { default: '0', unit: '0 or 1', text: 'Must be `1` beside `ORIGINS=*`.' },
  TRUSTED_PROXIES: { default: null, unit: 'list', text: 'Addresses or networks of proxies whose `X-Forwarded-For` counts.' },

  TEST_PAGE: { default: null, unit: 'on or off', text: '`on`: serves the connection test page at `/test`, whose visitors get tokens for it alone, TURN included ([more](connection-test.md)). Wants `JWT_SECRET`, and the gateway’s own origin in `ORIGINS`. Default: `on` in development mode, else `off`.' },

  // Processes
  WORKERS: { ...count(1, 1, 256, 'processes', ''), default: null, text: 'Worker processes. Default: one per core.' },
  SCHEDULING: { default: 'rr', unit: 'rr, none, reuseport', text: '`rr`: the primary hands connections out in turn, where there is more than one worker. `none`: each worker accepts by itself, for half the CPU per handshake, and one that is a tenth ahead of the others rests until they have caught up. `reuseport`: each worker opens the port and the kernel spreads connections evenly, for half the CPU per handshake (Linux, Node.js 22.12 or newer; ADR 0005).' },
  WORKER_MAX_OLD_SPACE_MB: { ...count(0, 64, 1_048_576, 'MiB', ''), default: null, text: "V8's old space of each worker. Default: V8's own." },
  WORKER_MAX_SEMI_SPACE_MB: count(8, 1, 1024, 'MiB', "V8's semi-space of each worker. V8's own 16 saves more CPU under full load and takes twice the memory per idle connection; 4 the reverse (ADR 0004)."),
  WORKER_INITIAL_OLD_SPACE_MB: count(64, 0, 65_536, 'MiB', "Up to here a worker's heap and buffers grow before V8 collects all of it; at most a quarter of `WORKER_MAX_OLD_SPACE_MB`. With less, every few MiB of buffers cost a full collection (ADR 0004). 0: V8's own."),
  HEAP_SHED_PERCENT: count(80, 10, 100, '% of the heap', 'A worker whose heap is used up to here sends newcomers elsewhere (1013): those it has go on. 100: never.'),
  HEAP_RECYCLE_PERCENT: count(90, 10, 100, '% of the heap', 'A worker whose heap is used up to here for 3 s is replaced as by SIGHUP: better than the end that V8 would make of it. 100: never.'),
  NODE_NAME: { default: null, unit: 'text', text: 'Name of this machine in ids and logs; unique in a cluster, also across restarts. Default: random.' },
  WATCHDOG_TIMEOUT_MS: count(5000, 1500, 600_000, 'ms', 'A worker that is silent for this long is killed: its clients are served again in seconds.'),
  CRASH_LOOP_LIMIT: count(0, 0, 1000, 'deaths', 'After so many early deaths in a row the gateway gives up and exits with 1; 0: never, it backs off up to 30 s.'),
  DRAIN_TIMEOUT_MS: count(25_000, 1000, 600_000, 'ms', 'Longest drain after SIGTERM; set the grace period of your supervisor above it.'),
  DRAIN_DELAY_MS: count(0, 0, 60_000, 'ms', 'From SIGTERM on `/readyz` says no for this long before connections end: set it above the time that the load balancer takes to notice.'),
  DRAIN_CLIENTS_PER_SECOND: count(1000, 1, 100_000, 'connections/s', 'A worker that drains sends its clients away at this rate, so that a deploy is no storm; faster only where DRAIN_TIMEOUT_MS would not suffice.'),
  PLUGINS: { default: null, unit: 'JSON', text: 'Plugins, in their order: an array of modules, each a path or the name of a shipped one (`audit-log`, `authorize`, `greeting-bot`, `webhooks`), or `{ "module": …, "options": …, "timeoutMs": 1000 }`. See plugins.md.', secret: true },
  LOG_LEVEL: { default: 'info', unit: 'level', text: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`; `debug` has a line per connection.' },

  // Tokens
  JWT_SECRET: { default: null, unit: 'text', text: 'HS256 secret, at least 32 bytes. One of this, `JWT_PUBLIC_KEY_FILE` and `JWKS_URL`; none of them is development mode.', secret: true, notEmpty: true },
  JWT_PREVIOUS_SECRET: { default: null, unit: 'text', text: 'The secret before: still accepted, while you rotate.', secret: true, notEmpty: true },
  JWT_PUBLIC_KEY_FILE: { default: null, unit: 'path', text: 'Public key (PEM): RSA of 2048 bits or more (RS256) or EC P-256 (ES256).', notEmpty: true },
  JWT_PREVIOUS_PUBLIC_KEY_FILE: { default: null, unit: 'path', text: 'The key before: still accepted, while you rotate.', notEmpty: true },
  JWKS_URL: { default: null, unit: 'URL', text: 'Key set of your identity provider (https); fetched again every 10 minutes, and at most once a minute for an unknown key id.', notEmpty: true },
  JWT_AUDIENCE: { default: null, unit: 'text', text: '`aud` that tokens must have. Default: not demanded.', notEmpty: true },
  JWT_ISSUER: { default: null, unit: 'text', text: '`iss` that tokens must have. Default: not demanded.', notEmpty: true },
  JWT_TYP: { default: null, unit: 'text', text: '`typ` that token headers must have, so that no other kind of token is taken for an access token. Default: not demanded.', notEmpty: true },
  TOKEN_MAX_LIFE_S: count(86_400, 60, 31_536_000, 's', 'Longest life of a token (`exp` − `iat`): a leaked one is of use no longer.'),
  TOKEN_LEEWAY_S: count(30, 0, 60, 's', 'Difference of clocks that `exp`, `nbf` and `iat` are forgiven.'),
  TOKEN_EXPIRY_WARNING_MS: count(30_000, 0, 3_600_000, 'ms', 'A client is told this long before its token expires.'),
  TOKEN_EXPIRY_GRACE_MS: count(15_000, 0, 300_000, 'ms', 'A connection outlives its token by this long, for the refresh to arrive.'),

  // Sessions
  DUPLICATE_CLIENT: { default: 'allow', unit: 'policy', text: 'A client id that connects again: `allow` (several devices), `replace` (the newer wins) or `reject` (the older wins).' },
  SESSIONS_PER_CLIENT_LIMIT: count(20, 1, 10_000, 'sessions', 'Sessions of one client, waiting ones included: tabs and devices of a person, not a crowd.'),
  RESUME_WINDOW_MS: count(120_000, 1000, 86_400_000, 'ms', 'A session without connection waits this long: a tunnel, a lift, a restart of a laptop.'),
  PRESENCE_GRACE_MS: count(5000, 0, 600_000, 'ms', 'A client without connection stays present this long: a page reload is no leave and join.'),
  PING_INTERVAL_MS: count(25_000, 1000, 600_000, 'ms', 'Each connection is pinged this often; below the idle time-outs of proxies (often 60 s).'),
  PONG_TIMEOUT_MS: count(10_000, 500, 600_000, 'ms', 'A ping without any answer for this long ends the connection.'),
  HTTP_SILENCE_LIMIT_MS: count(4000, 500, 60_000, 'ms', 'An event stream that was silent for this long gets a comment, and a poll without news an empty answer: some proxies cut after 5 s.'),
  PAIR_LEASE_MS: count(15_000, 1000, 600_000, 'ms', 'An end of a pair that is away for as long is gone: within this time the other end is told, and both are free. Renewed five times as often.'),
  HELLO_TIMEOUT_MS: count(5000, 500, 60_000, 'ms', 'From the handshake to an accepted hello.'),

  // Limits
  FRAME_LIMIT_BYTES: count(262_144, 1024, 8_388_608, 'bytes', 'Largest frame: any SDP fits; memory per connection stays small.'),
  OUTBOX_LIMIT_BYTES: count(1_048_576, 65_536, 1_073_741_824, 'bytes', 'What may wait for a slow reader; half of it drops volatile messages, all of it ends the connection.'),
  CONNECTIONS_LIMIT: count(15_000, 1, 1_000_000, 'connections per worker', 'Below the usual limit of file descriptors; over it clients are sent away with a hint.'),
  CONNECTIONS_PER_ADDRESS_LIMIT: count(1000, 0, 1_000_000, 'connections per worker', 'Of one address (IPv6: one /64): an office behind NAT fits. 0: no limit.'),
  HANDSHAKES_PER_SECOND_LIMIT: count(100, 0, 1_000_000, 'handshakes/s per worker', 'Of one address; twice as many at once. 0: no limit.'),
  PENDING_HANDSHAKES_LIMIT: count(512, 1, 1_000_000, 'handshakes per worker', 'Those whose token and session are being looked up, several times what a busy worker has at once; more means that the store or the key set is slow. Over it newcomers get HTTP 503 with `Retry-After`; those already let in wait, eight for each place and 1 s at most, or get 1013.'),
  HEADER_LIMIT_BYTES: count(16_384, 8192, 65_536, 'bytes', 'Header block of a request: a token of 4 KiB and cookies fit.'),
  HEADERS_TIMEOUT_MS: count(10_000, 1000, 60_000, 'ms', 'A request must have sent its header by then: slow ones hold sockets.'),
  MESSAGES_PER_SECOND_LIMIT: count(200, 0, 10_000_000, 'frames/s', 'Of one connection: a game at 60 Hz with room to spare. Above it the connection is read more slowly. 0: no limit.'),
  MESSAGES_BURST_LIMIT: count(1000, 1, 10_000_000, 'frames', 'What a connection may save up: an ICE gathering, a reconnect.'),
  BYTES_PER_SECOND_LIMIT: count(1_048_576, 0, 10_737_418_240, 'bytes/s', 'Of one connection. 0: no limit.'),
  BYTES_BURST_LIMIT: count(4_194_304, 65_536, 10_737_418_240, 'bytes', 'What a connection may save up.'),
  CLIENT_MESSAGES_PER_SECOND_LIMIT: count(1000, 0, 10_000_000, 'frames/s per worker', 'Of all sessions of one client; five times as many at once. 0: no limit.'),
  CLIENT_BYTES_PER_SECOND_LIMIT: count(4_194_304, 0, 10_737_418_240, 'bytes/s per worker', 'Of all sessions of one client; five times as many at once. 0: no limit.'),
  ADDRESS_MESSAGES_PER_SECOND_LIMIT: count(10_000, 0, 10_000_000, 'frames/s per worker', 'Of all connections of one address; five times as many at once. 0: no limit.'),
  ADDRESS_BYTES_PER_SECOND_LIMIT: count(33_554_432, 0, 10_737_418_240, 'bytes/s per worker', 'Of all connections of one address; five times as many at once. 0: no limit.'),
  FAN_OUT_BYTES_PER_SECOND_LIMIT: count(33_554_432, 0, 10_737_418_240, 'bytes/s per worker', 'Of what the messages of one client become: their bytes (at least 256) once for each session in a room, target of a list or receiver of a broadcast; five times as many at once. Above it its connections are read more slowly, and further ones of these are refused with `limit`: one client must not fill the network of all. 0: no limit.'),
  ROOMS_PER_SESSION_LIMIT: count(100, 1, 100_000, 'rooms', 'Each costs memory in the store and work at each resume.'),
  STREAMS_PER_SESSION_LIMIT: count(256, 0, 100_000, 'streams', 'Of one session, opened or accepted; each costs its window in the memory of both ends, and about 500 bytes here.'),
  REQUESTS_PENDING_LIMIT: count(256, 1, 100_000, 'requests', 'Of one session, without answer; calls of services count too.'),
  REQUESTS_PENDING_LIMIT_BYTES: count(4_194_304, 65_536, 1_073_741_824, 'bytes', 'Of one session’s requests without answer: they are kept, to ask again where the target has moved. A request that alone is larger still waits.'),
  CALLS_SERVED_LIMIT: count(1000, 1, 1_000_000, 'calls', 'Of services, that one session has at once, whoever called; each is about 300 bytes here. Further ones go to other providers, or are refused with `busy`.'),
  ERRORS_PER_MINUTE_LIMIT: count(60, 1, 100_000, 'refusals/min', 'A client that keeps asking for what it is refused is broken or hostile.'),

  // Store
  REDIS_URL: { default: null, unit: 'URL', text: '`redis://host:6379`, `redis+sentinel://host:26379,host:26379/<master name>` or `redis+cluster://host:6379,host:6379`, with `user:password@` and, but for a cluster, `/<database>`; `rediss…` for TLS ([more](operations.md#redis)). Default: none, the store is in the primary’s memory and this machine is alone.', secret: true },
  REDIS_REQUIRE_NOEVICTION: { default: 'false', unit: 'true or false', text: '`true`: do not start where `maxmemory-policy` lets Redis evict what it has accepted; otherwise that is logged as an error.' },
  REDIS_WAIT_REPLICAS: count(0, 0, 5, 'replicas', 'A message counts as accepted when so many replicas have it within 200 ms; otherwise its sender is told `unknown_outcome` and sends it again. 0: when the master has it.'),
  REDIS_PREFIX: { default: 'sb', unit: 'text', text: 'Begins every key and channel.' },
  LOG_LIMIT_ENTRIES: count(256, 1, 100_000, 'entries', 'Of one inbox or room log; the oldest go first. In Redis a large log may hold a sixteenth more (at most 15) for a while.'),
  LOG_LIMIT_BYTES: count(1_048_576, 1024, 1_073_741_824, 'bytes', 'Of one inbox or room log.'),
  LOG_TTL_MS: count(120_000, 1000, DAY_MS, 'ms', 'A log without new entries is kept this long.'),
  OFFLINE_TTL_MS: count(86_400_000, 1000, 30 * DAY_MS, 'ms', 'What was kept for an absent client (`offline: \'keep\'`) waits this long after the last of it.'),
  LOG_BUDGET_BYTES: count(268_435_456, 1_048_576, 1_099_511_627_776, 'bytes', 'Memory of all logs of the embedded store, with what is spare in it; Redis has `maxmemory` for it.'),
  WORKER_LEASE_MS: count(15_000, 1000, 600_000, 'ms', 'A worker without a sign of life in Redis is dead after this long: how long a lost machine’s clients look present.'),

  // WebRTC
  ICE_SERVERS: { default: '[]', unit: 'JSON', text: 'Array of `RTCIceServer` that the welcome frame hands to every client as it is. For TURN better `TURN_URLS`, whose credentials expire.' },
  STUN_URLS: { default: null, unit: 'list', text: 'STUN servers for every client, `stun:host:3478`, separated by commas.' },
  TURN_URLS: { default: null, unit: 'list', text: 'TURN servers for clients with the permission `turn`: `turn:host:3478`, `turns:host:5349?transport=tcp`, separated by commas; URLs of one server next to each other. `eu=turn:…` names the region of this and the following URLs.' },
  TURN_REGION: { default: null, unit: 'text', text: 'Region whose TURN servers come first; where it has a server that answers, the others are left out.' },
  TURN_SECRET: { default: null, unit: 'text', text: "The servers' `static-auth-secret`, at least 16 characters. It never leaves the gateway: clients get credentials that are made with it. To change it, give the servers the new one beside the old, then the gateways the new one, and take the old one from the servers after `TURN_TTL_S`; coturn wants a restart for each.", secret: true },
  TURN_TTL_S: count(3600, 20, 86_400, 's', 'Life of TURN credentials. They are renewed after three quarters of it; a call that goes on needs none.'),
  TURN_CHECK_MS: count(15_000, 0, 3_600_000, 'ms', 'How often each worker asks the TURN servers whether they live (a STUN request to each URL, over UDP, TCP or TLS as it says); one of which no URL has answered twice is not handed out while another answers, and clients that have it are told. `0`: never.'),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
