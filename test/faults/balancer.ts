// Real load balancers before gateways, as they come: no sticky sessions, nothing set for event streams.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import type { GatewayNode } from './gateway-node.js';
import { run, waitFor } from './processes.js';
import type { Scene } from './scene.js';

export type Balancer = 'nginx' | 'haproxy';

const ACCESS_LOG = 'access.log';

/** A balancer that runs. */
export interface Balanced {
  url: string;
  /** Of each connection that polls: the gateways that its requests were passed to so far. Only nginx tells. */
  polledAt(): Map<string, Set<string>>;
}

interface Config {
  port: number;
  targets: readonly number[];
  directory: string;
  /**
   * WebSockets come through, and who is silent for so long is cut, s. Null: as it comes, nothing set. (nginx speaks HTTP/1.0 to the
   * gateway then, and holds back what fills no buffer.)
   */
  idleS: number | null;
}

function nginxConfig({ port, targets, directory, idleS }: Config): string {
  return `
    worker_processes 1; daemon off; pid ${directory}/nginx.pid; error_log stderr notice;
    events { worker_connections 1024; }
    http {
      log_format way '$upstream_addr $uri $http_signalbox_connection';
      access_log ${directory}/${ACCESS_LOG} way;
      client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
      fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
      upstream gateways { ${targets.map((target) => `server 127.0.0.1:${target};`).join(' ')} }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://gateways;
          ${idleS === null ? '' : forWebSockets(idleS)}
        }
      }
    }`;
}

function forWebSockets(idleS: number): string {
  return `
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_set_header Host $host;
          proxy_read_timeout ${idleS}s;
          proxy_send_timeout ${idleS}s;`;
}

function haproxyConfig({ port, targets, idleS }: Config): string {
  return `
global
  maxconn 2000
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  ${idleS === null ? '' : `timeout tunnel ${idleS}s`}
frontend public
  bind 127.0.0.1:${port}
  default_backend gateway
backend gateway
  balance roundrobin
${targets.map((target) => `  server s${target} 127.0.0.1:${target}`).join('\n')}
`;
}

/** Before the gateways, which take turns. */
export async function startBalancer(
  scene: Scene,
  kind: Balancer,
  gateways: readonly GatewayNode[],
  idleS: number | null,
): Promise<Balanced> {
  const directory = mkdtempSync(join(tmpdir(), 'faults-balancer-'));
  scene.atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const path = join(directory, 'balancer.conf');
  const config: Config = { port, targets: gateways.map((gateway) => gateway.port), directory, idleS };
  writeFileSync(path, kind === 'nginx' ? nginxConfig(config) : haproxyConfig(config));
  const command = kind === 'nginx' ? ['nginx', '-p', directory, '-c', path] : ['haproxy', '-db', '-f', path];
  const running = await run(['sh', '-c', 'echo begun; exec "$@"', 'sh', ...command], /begun/);
  scene.atEnd(async () => {
    // Not -9: nginx's worker would go on without its master.
    running.signal('SIGTERM');
    await running.exited;
  });
  await waitFor('the balancer to pass requests', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    return response.status === 200;
  });
  return { url: `ws://127.0.0.1:${port}`, polledAt: () => polledAt(join(directory, ACCESS_LOG)) };
}

function polledAt(log: string): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [gateway = '', path, connection = '-'] = line.split(' ');
    if (path !== '/v1/poll' || connection === '-' || connection === '') continue;
    places.set(connection, (places.get(connection) ?? new Set()).add(gateway));
  }
  return places;
}
