// Deployments for tests: which gateways run, and clients that are held exactly where a test wants them.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { Client, type ClientOptions, GatewayError, type Transport } from '../../src/client/index.js';
import { type GatewayProcess, type Place, startGateway, tokenOf } from '../gateway-process.js';
import { RedisCluster, SentinelGroup } from '../faults/redis-topology.js';
import { freePort } from '../free-port.js';
import { type RedisServer, startRedis } from '../redis-server.js';

export type Placement = 'same worker' | 'other worker' | 'other node';

export type StoreKind = 'embedded' | 'redis' | 'sentinel' | 'cluster';

/** Where two clients can be to each other, by store. */
export const PLACEMENTS: Record<StoreKind, Placement[]> = {
  embedded: ['same worker', 'other worker'],
  redis: ['same worker', 'other worker', 'other node'],
  // Here only Redis itself differs.
  sentinel: ['other node'],
  cluster: ['other node'],
};

let names = 0;

/** A name that no other test of the file has. */
export function fresh(name: string): string {
  return `${name}-${String(++names)}`;
}

/** The code with which a promise rejects, else what it rejects with; null where it resolves. */
export function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => (error instanceof GatewayError ? error.code : error),
  );
}

export interface Deployment {
  gateways: GatewayProcess[];
  /** Where it is one server. */
  redis: RedisServer | null;
  /** Sum of a metric over all nodes. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  stop(): Promise<void>;
}

export async function deploy(store: StoreKind, env: Record<string, string> = {}): Promise<Deployment> {
  const redis = store === 'redis' ? await startRedis() : null;
  const shape =
    store === 'cluster'
      ? await RedisCluster.start()
      : store === 'sentinel'
        ? await SentinelGroup.start()
        : null;
  const url = shape?.url ?? redis?.url;
  const settings = url === undefined ? env : { REDIS_URL: url, ...env };
  const gateways = await Promise.all(
    Array.from({ length: url === undefined ? 1 : 2 }, async () => {
      const tcpPort = String(await freePort());
      return startGateway({ ...settings, TCP_PORT: tcpPort });
    }),
  );
  return {
    gateways,
    redis,
    metric: async (name, labels) => {
      const values = await Promise.all(gateways.map((gateway) => gateway.metric(name, labels)));
      return values.reduce((sum, value) => sum + value, 0);
    },
    stop: async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await redis?.stop();
      await shape?.close();
    },
  };
}

/** Resolves when the client has lost its connection: told, not looked for, because on a busy machine it is back between two looks. */
export function lostBy(client: Client): Promise<void> {
  return new Promise((resolve) => {
    const off = client.on('state', (state) => {
      if (state === 'connected') return;
      off();
      resolve();
    });
  });
}

export interface Placed {
  client: Client;
  place: Place;
}

/** Below the limit of sessions that one client may have. */
const ATTEMPTS = 16;

/** Connects a client, again and again, until `fits` likes the worker that the directory names. */
export async function connectWhere(
  gateway: Pick<GatewayProcess, 'url' | 'locate'>,
  name: string,
  options: Partial<ClientOptions>,
  fits: (place: Place) => boolean,
): Promise<Placed> {
  // They stay until the right one is found: fetch would use their connections again, and come to the same worker for ever.
  const others: Client[] = [];
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const client = new Client(gateway.url, { token: tokenOf(name), ...options });
      await client.connect();
      const place = (await gateway.locate(name)).find(({ session }) => session === client.sessionId);
      if (place !== undefined && fits(place)) return { client, place };
      others.push(client);
      if (attempt % 3 === 2) await knock(gateway.url);
    }
    throw new Error(`${name} never came to the wanted worker`);
  } finally {
    await Promise.all(others.map((client) => client.close()));
  }
}

/** Takes a worker's turn: tries that each take as many connections as there are workers would all come to the same one. */
async function knock(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  await once(socket, 'connect');
  socket.destroy();
}

export type Codec = 'msgpack' | 'json';

/** How a client connects: one transport, and no other where it fails; or a transport and a codec. */
export type Way = `${Transport | 'tcp'} ${Codec}`;

export function optionsOf(way: Way): Partial<ClientOptions> {
  const [transport, codec] = way.split(' ') as [Transport | 'tcp', Codec];
  return transport === 'tcp' ? { codec } : { codec, transports: [transport] };
}

function by({ url, tcpUrl, locate }: Deployment['gateways'][number], way: Way) {
  return { url: way.startsWith('tcp') ? tcpUrl : url, locate };
}

/** Two clients at the wanted distance. */
export async function connectPair(
  deployment: Deployment,
  placement: Placement,
  names: [string, string],
  ways: readonly [Way, Way],
): Promise<[Placed, Placed]> {
  const [home] = deployment.gateways;
  const away = placement === 'other node' ? deployment.gateways[1] : home;
  if (home === undefined || away === undefined) throw new Error(`no deployment for ${placement}`);
  const first = await connectWhere(by(home, ways[0]), names[0], optionsOf(ways[0]), () => true);
  const second = await connectWhere(
    by(away, ways[1]),
    names[1],
    optionsOf(ways[1]),
    ({ worker }) => (worker === first.place.worker) === (placement === 'same worker'),
  );
  return [first, second];
}

export function nodeOf(place: Place): string {
  return place.worker.split('.')[0] ?? '';
}
