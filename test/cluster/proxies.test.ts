// Real nginx and HAProxy in front: with their defaults, with idle time-outs of 5 s, and as deploy/ has them; nothing is cut, nothing held back.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findProxy } from '../../scripts/test-tools.mjs';
import { Client, type Transport } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { freePort } from '../free-port.js';

const DEPLOYED = readFileSync(new URL('../../deploy/nginx.conf', import.meta.url), 'utf8');
/** Longer than the idle time-outs. */
const QUIET_MS = 7_000;

const nginx = (lines: string) => (port: number, to: number, folder: string) => `
  daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}
  http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
    uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
    server { listen 127.0.0.1:${port}; ${lines} location / { proxy_pass http://127.0.0.1:${to}; } } }`;
const deployed = (port: number, to: number, folder: string): string =>
  `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;\n` +
  DEPLOYED.replace(
    'http {',
    `http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;`,
  )
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('server gateway:8080', `server 127.0.0.1:${to}`);
const haproxy = (port: number, to: number): string => `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend public
  bind 127.0.0.1:${port}
  default_backend gateways
backend gateways
  server one 127.0.0.1:${to}
`;

interface Setup {
  program: 'nginx' | 'haproxy';
  configure: (port: number, to: number, folder: string) => string;
  /** The way that the SDK ends up with by itself. */
  ways: Transport[][];
}
const ALL: Transport[] = ['websocket', 'sse', 'poll'];
const SETUPS: Record<string, Setup> = {
  'nginx with its defaults': { program: 'nginx', configure: nginx(''), ways: [ALL, ['sse'], ['poll']] },
  'nginx with 5 s': {
    program: 'nginx',
    configure: nginx('proxy_read_timeout 5s; proxy_send_timeout 5s; send_timeout 5s;'),
    ways: [['sse'], ['poll']],
  },
  'nginx as in deploy/': { program: 'nginx', configure: deployed, ways: [['websocket'], ['sse'], ['poll']] },
  'HAProxy with 5 s': { program: 'haproxy', configure: haproxy, ways: [['websocket'], ['sse'], ['poll']] },
};

let gateway: GatewayProcess;
beforeAll(async () => {
  // Pings keep WebSockets from being silent, as docs/operations.md says.
  gateway = await startGateway({ CRASH_LOOP_LIMIT: '3', PING_INTERVAL_MS: '3000' });
});
afterAll(() => gateway.stop());

describe.each(Object.entries(SETUPS))('%s', (_, { program, configure, ways }) => {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-proxy-'));
  let proxy: ChildProcess;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    mkdirSync(join(folder, 'logs'));
    const file = join(folder, 'proxy.conf');
    writeFileSync(file, configure(port, gateway.port, folder));
    proxy = spawn(
      findProxy(program) ?? program,
      program === 'nginx' ? ['-c', file, '-p', folder] : ['-db', '-f', file],
      {
        stdio: 'ignore',
      },
    );
    await until(
      () =>
        new Promise<boolean>((resolve) => {
          const socket = connect(port, '127.0.0.1', () => resolve(true));
          socket.on('error', () => resolve(false));
          socket.on('connect', () => socket.destroy());
        }),
    );
  });
  afterAll(async () => {
    proxy.kill('SIGTERM');
    if (proxy.exitCode === null && proxy.signalCode === null) await once(proxy, 'exit');
    rmSync(folder, { recursive: true });
  });

  test('cuts no silent connection and holds no message back, in any way', async () => {
    const lost: unknown[] = [];
    const clients = await Promise.all(
      ways.map(async (transports, i) => {
        const client = new Client(`ws://127.0.0.1:${port}`, { token: tokenOf(`c${i}`), transports });
        await client.connect();
        client.on('state', (state, info) => info.code !== 'closed' && lost.push([transports, state, info]));
        client.onRequest('echo', (data) => data);
        return client;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    expect(lost).toEqual([]);
    // Each answer has to come before the next is asked: what is held back would stop this.
    for (const [i, client] of clients.entries())
      for (let n = 0; n < 5; n++)
        await expect(client.request(`c${(i + 1) % clients.length}`, 'echo', n)).resolves.toBe(n);
    expect(lost).toEqual([]);
    for (const client of clients) await client.close();
  });
});
