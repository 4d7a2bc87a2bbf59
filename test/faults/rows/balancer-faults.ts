// Load balancers that cut who is silent: nginx and HAProxy with an idle time-out of 5 s.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../redis-server.js';
import { run, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const IDLE_S = 5;

type Balancer = 'nginx' | 'haproxy';

function nginxConfig(port: number, target: number, directory: string): string {
  return `
    worker_processes 1; daemon off; pid ${directory}/nginx.pid; error_log stderr notice;
    events { worker_connections 1024; }
    http {
      access_log off;
      client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
      fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://127.0.0.1:${target};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_set_header Host $host;
          proxy_read_timeout ${IDLE_S}s;
          proxy_send_timeout ${IDLE_S}s;
        }
      }
    }`;
}

function haproxyConfig(port: number, target: number): string {
  return `
global
  maxconn 2000
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  timeout tunnel ${IDLE_S}s
frontend public
  bind 127.0.0.1:${port}
  default_backend gateway
backend gateway
  server a 127.0.0.1:${target}
`;
}

/** @returns the URL of the balancer before the gateway */
async function startBalancer(scene: Scene, kind: Balancer, gateway: GatewayNode): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'faults-balancer-'));
  scene.atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const path = join(directory, 'balancer.conf');
  const text =
    kind === 'nginx' ? nginxConfig(port, gateway.port, directory) : haproxyConfig(port, gateway.port);
  writeFileSync(path, text);
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
  return `ws://127.0.0.1:${port}`;
}

/** Clients that hardly speak: what they hear most is the gateway's ping. */
const SILENT = { clients: 60, ratePerSecond: 2, roomSize: 0 };

function idle(kind: Balancer, pingIntervalMs: number) {
  return async (scene: Scene): Promise<Outcome> => {
    const gateway = await scene.gateway({ env: { PING_INTERVAL_MS: String(pingIntervalMs) } });
    await scene.crowd({ ...SILENT, urls: [await startBalancer(scene, kind, gateway)] });
    await scene.load.talk();
    await scene.calm((scene.quick ? 3 : 6) * IDLE_S * 1000);
    const isCut = pingIntervalMs >= IDLE_S * 1000;
    // Who is cut again and again is back again and again, but hardly ever all of them at one moment.
    if (isCut) await expectReturns(scene);
    else await scene.healed();
    const outcome = await scene.judge();
    const cuts = Object.values(outcome.report.closes).reduce((sum, count) => sum + count, 0);
    scene.figures.cuts = cuts;
    if (isCut) scene.expect(cuts > 0, 'the balancer did not cut');
    else
      scene.expect(
        cuts === 0,
        `the balancer cut in spite of the pings: ${JSON.stringify(outcome.report.closes)}`,
      );
    return outcome;
  };
}

/** Every client that was cut went on with its session. */
async function expectReturns(scene: Scene): Promise<void> {
  const { resumed, fresh } = await scene.load.returns();
  scene.figures.resumed = resumed;
  scene.expect(resumed >= SILENT.clients, `${resumed} resumes of ${SILENT.clients} clients`);
  scene.expect(fresh === 0, `${fresh} sessions were lost`);
}

export const rows: readonly Row[] = [
  {
    id: 'F44',
    title: 'nginx cuts after 5 s of silence, ping every 2 s',
    quick: false,
    run: idle('nginx', 2000),
  },
  { id: 'F44C', title: 'the same, ping too late: cut, and back', quick: false, run: idle('nginx', 25_000) },
  {
    id: 'F44H',
    title: 'HAProxy cuts after 5 s of silence, ping every 2 s',
    quick: false,
    run: idle('haproxy', 2000),
  },
  {
    id: 'F44HC',
    title: 'the same, ping too late: cut, and back',
    quick: false,
    run: idle('haproxy', 25_000),
  },
];
