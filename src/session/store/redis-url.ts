// Where Redis is: one server, a master that sentinels name, or a cluster, as REDIS_URL says it.

export interface Address {
  host: string;
  port: number;
}

export interface RedisTarget {
  kind: 'single' | 'sentinel' | 'cluster';
  tls: boolean;
  username: string | null;
  password: string | null;
  /** Of the sentinels, where they have one. */
  sentinelPassword: string | null;
  db: number;
  /** The server, the sentinels, or some nodes of the cluster: enough to find all others. */
  addresses: Address[];
  /** What the sentinels call the master; empty elsewhere. */
  masterName: string;
}

const FORM =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<auth>[^@/]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/;
const DEFAULT_PORTS = { single: 6379, sentinel: 26_379, cluster: 6379 };

/** @throws RangeError that says what is wrong, and quotes nothing: where a password is not encoded any part may be of it */
export function parseRedisUrl(text: string): RedisTarget {
  const parts = FORM.exec(text)?.groups;
  if (parts === undefined) {
    throw new RangeError(
      'is no URL like redis://host:6379, redis+sentinel://host:26379,host:26379/<master name> or ' +
        'redis+cluster://host:6379,host:6379 (rediss for TLS); special characters of a password are %-encoded',
    );
  }
  const { scheme, kind: named, auth, hosts = '', path = '', query = '' } = parts;
  const kind = named === 'sentinel' || named === 'cluster' ? named : 'single';
  const colon = auth?.indexOf(':') ?? -1;
  const [username, password] =
    auth === undefined
      ? ['', '']
      : colon < 0
        ? [decode(auth), '']
        : [decode(auth.slice(0, colon)), decode(auth.slice(colon + 1))];
  const [masterName, db] = readPath(kind, path);
  return {
    kind,
    tls: scheme === 'rediss',
    username: username === '' ? null : username,
    password: password === '' ? null : password,
    sentinelPassword: readQuery(kind, query),
    db,
    addresses: readHosts(kind, hosts),
    masterName,
  };
}

/** `host:port` as Redis writes it, also where the host is an IPv6 address; null for anything else. */
export function parseAddress(text: string, defaultPort: number | null = null): Address | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]]*?))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  return port !== null && port > 0 && port < 65_536 ? { host, port } : null;
}

export function nameOf({ host, port }: Address): string {
  return `${host}:${String(port)}`;
}

function readHosts(kind: RedisTarget['kind'], hosts: string): Address[] {
  const names = hosts.split(',');
  if (kind === 'single' && names.length > 1)
    throw new RangeError('names several hosts: redis+sentinel:// or redis+cluster:// is wanted');
  return names.map((name) => {
    const address = parseAddress(name, DEFAULT_PORTS[kind]);
    const isHost = address !== null && /^[A-Za-z0-9._:-]+$/.test(address.host);
    if (isHost && (name.startsWith('[') || !address.host.includes(':'))) return address;
    throw new RangeError(
      'names its hosts otherwise than host:port (a % or an @ in a password is written %25 or %40)',
    );
  });
}

/** @returns name of the master, number of the database */
function readPath(kind: RedisTarget['kind'], path: string): [string, number] {
  const [first = '', second = '', ...rest] = path.split('/');
  if (kind === 'cluster') {
    if (path !== '' && path !== '0') throw new RangeError('names a database: a Redis Cluster has none but 0');
    return ['', 0];
  }
  const [masterName, db] = kind === 'sentinel' ? [decode(first), second] : ['', path];
  if (kind === 'sentinel' && masterName === '')
    throw new RangeError(
      'must name the master after the sentinels: redis+sentinel://host:26379/<master name>',
    );
  if (!/^\d{0,3}$/.test(db) || (kind === 'sentinel' && rest.length > 0))
    throw new RangeError('ends with something else than the number of a database');
  return [masterName, Number(db)];
}

/** @returns the sentinels' password */
function readQuery(kind: RedisTarget['kind'], query: string): string | null {
  let password: string | null = null;
  for (const part of query === '' ? [] : query.split('&')) {
    const [name = '', value = ''] = part.split('=');
    if (name !== 'sentinelPassword' || kind !== 'sentinel')
      throw new RangeError('has a parameter; there is one, sentinelPassword, for redis+sentinel://');
    password = decode(value);
  }
  return password;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError('has a % that encodes nothing: a % itself is written %25');
  }
}
