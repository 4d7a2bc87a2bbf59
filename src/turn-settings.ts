// Which STUN and TURN servers clients get, and what their credentials are made with.
import type { SettingReader } from './setting-reader.js';

export interface TurnUrl {
  readonly url: string;
  readonly port: number;
  /** Between a client and the server. */
  readonly transport: 'udp' | 'tcp' | 'dtls' | 'tls';
}

export interface TurnServer {
  /** As the operator names it; null where none was named. */
  readonly region: string | null;
  readonly host: string;
  readonly urls: readonly TurnUrl[];
}

export interface TurnSettings {
  readonly stunUrls: readonly string[];
  readonly servers: readonly TurnServer[];
  readonly region: string | null;
  /** Empty without servers. */
  readonly secret: string;
  readonly ttlS: number;
  readonly checkMs: number;
}

/** Shorter ones are guessed from one credential that was overheard. */
const SECRET_MIN_CHARACTERS = 16;
const HOST = '(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+)';
const STUN = new RegExp(`^stuns?:${HOST}(:\\d{1,5})?$`);
const TURN = new RegExp(`^(turns?):${HOST}(?::(\\d{1,5}))?(?:\\?transport=(udp|tcp))?$`);

export function readTurn(read: SettingReader): TurnSettings {
  const stunUrls = read.list('STUN_URLS');
  for (const url of stunUrls)
    if (!STUN.test(url))
      read.wrong('STUN_URLS', `has ${JSON.stringify(url)}: stun:host or stun:host:port is wanted`);
  const servers = readServers(read);
  const secret = read.text('TURN_SECRET');
  if (secret !== null && secret.length < SECRET_MIN_CHARACTERS)
    read.wrong('TURN_SECRET', `is shorter than ${String(SECRET_MIN_CHARACTERS)} characters`);
  if (servers.length > 0 && secret === null) read.wrong('TURN_URLS', 'is set without TURN_SECRET');
  return {
    stunUrls,
    servers,
    region: read.text('TURN_REGION'),
    secret: secret ?? '',
    ttlS: read.number('TURN_TTL_S'),
    checkMs: read.number('TURN_CHECK_MS'),
  };
}

/** URLs of one host that stand next to each other are one server; a region holds until the next one. */
function readServers(read: SettingReader): TurnServer[] {
  const servers: (TurnServer & { urls: TurnUrl[] })[] = [];
  let region: string | null = null;
  for (const entry of read.list('TURN_URLS')) {
    const [, named, url = ''] = /^(?:([A-Za-z0-9._-]{1,64})=)?(turns?:.*)$/.exec(entry) ?? [];
    const [, scheme, host, port, transport] = TURN.exec(url) ?? [];
    if (host === undefined) {
      read.wrong(
        'TURN_URLS',
        `has ${JSON.stringify(entry)}: [region=]turn:host[:port][?transport=udp|tcp] is wanted`,
      );
      continue;
    }
    region = named ?? region;
    const last = servers.at(-1);
    const one = last?.host === host && last.region === region ? last : { region, host, urls: [] };
    if (one !== last) servers.push(one);
    one.urls.push({
      url,
      port: Number(port ?? (scheme === 'turn' ? 3478 : 5349)),
      transport: transportOf(scheme === 'turns', transport),
    });
  }
  return servers;
}

/** RFC 7065: what is not said is UDP for `turn:`, and TCP for `turns:`. */
function transportOf(isTls: boolean, said: string | undefined): TurnUrl['transport'] {
  if (isTls) return said === 'udp' ? 'dtls' : 'tls';
  return said === 'tcp' ? 'tcp' : 'udp';
}
