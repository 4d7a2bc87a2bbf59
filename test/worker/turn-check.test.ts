// Whether real TURN servers live, asked by what their URLs say, and what clients hear of it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, afterAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { parseConfig } from '../../src/config.js';
import { TurnCheck } from '../../src/worker/turn-check.js';
import { createProbe } from '../../src/worker/stun-probe.js';
import { freePort } from '../free-port.js';
import { startGateway, tokenOf, until } from '../gateway-process.js';
import { LOCAL_CALLS, startTurnServer, type TurnProcess } from '../turn-server.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const EVERY_MS = 200;
const hasV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
if (!hasV6) process.stdout.write('No server is asked over IPv6: this machine has no ::1.\n');
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'signalbox-turn-check-'));
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=turn.example', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')],
    ],
    { stdio: 'ignore' },
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function start(configuration: string, port?: number): Promise<TurnProcess> {
  const turn = await startTurnServer([SECRET], configuration, port === undefined ? {} : { port });
  closers.push(() => turn.stop());
  return turn;
}

/** Of one server with these URLs; `heard` is what was told, in its order. */
function check(urls: string): { isAlive: () => boolean; heard: boolean[] } {
  const { turn } = parseConfig({
    JWT_SECRET: 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW',
    TURN_URLS: urls,
    TURN_SECRET: SECRET,
  });
  const [server, ...others] = turn.servers;
  if (server === undefined || others.length > 0) throw new Error(urls);
  const turnCheck = new TurnCheck([server], EVERY_MS);
  closers.push(() => {
    turnCheck.close();
  });
  const heard: boolean[] = [];
  turnCheck.onChange(() => heard.push(turnCheck.isAlive(server)));
  return { isAlive: () => turnCheck.isAlive(server), heard };
}

/** As docs/operations.md says: the configuration that ships, without `no-tls`, with a certificate and its port. */
const withTls = (port: number): string =>
  [
    readFileSync(new URL('../../deploy/turnserver.conf', import.meta.url), 'utf8').replace(/^no-tls$/m, ''),
    `tls-listening-port=${String(port)}`,
    `cert=${join(folder, 'cert.pem')}`,
    `pkey=${join(folder, 'key.pem')}`,
  ].join('\n');

describe('a server is dead while it is stopped, and lives when it is there again', () => {
  const ways: [
    name: string,
    configuration: (tlsPort: number) => string,
    url: (port: number, tlsPort: number) => string,
  ][] = [
    ['UDP', () => `${LOCAL_CALLS}no-tcp\n`, (port) => `turn:127.0.0.1:${String(port)}`],
    ['TCP', () => `${LOCAL_CALLS}no-udp\n`, (port) => `turn:127.0.0.1:${String(port)}?transport=tcp`],
    ['TLS', withTls, (_, tlsPort) => `turns:127.0.0.1:${String(tlsPort)}`],
  ];
  test.each(ways)(
    'asked over %s alone',
    async (_, configuration, url) => {
      const tlsPort = await freePort();
      const turn = await start(configuration(tlsPort));
      const { heard, isAlive } = check(url(turn.port, tlsPort));
      await turn.stop();
      await until(() => heard.length === 1);
      expect(isAlive()).toBe(false);
      await start(configuration(tlsPort), turn.port);
      await until(() => heard.length === 2);
      expect(heard).toEqual([false, true]);
    },
    60_000,
  );
});

test.each(['udp', 'tcp'])(
  'a server that refuses to answer lives, asked over %s',
  async (transport) => {
    // 401 to every request that is not signed.
    const turn = await start(`${LOCAL_CALLS}secure-stun\n`);
    const refused = check(`turn:127.0.0.1:${String(turn.port)}?transport=${transport}`);
    // Asked as often: what would have died has.
    const silent = check(`turn:127.0.0.1:9?transport=${transport}`);
    await until(() => silent.heard.length > 0);
    expect([refused.isAlive(), refused.heard]).toEqual([true, []]);
    await turn.stop();
    await until(() => refused.heard.length > 0);
    expect(refused.isAlive()).toBe(false);
  },
  60_000,
);

(hasV6 ? test : test.skip)(
  'a server lives whose name has an address of IPv6 alone',
  async () => {
    const turn = await startTurnServer([SECRET], LOCAL_CALLS, { address: '::1' });
    closers.push(() => turn.stop());
    // Asked for the address that a socket is bound to, too.
    const lookup: Parameters<typeof createProbe>[3] = (name, family: unknown, tell) => {
      if (isIP(name) !== 0) tell(null, name, isIP(name));
      else if (family === 6) tell(null, '::1', 6);
      else tell(new Error('ENOTFOUND'), '', 4);
    };
    let answers = 0;
    const url = { url: '', port: turn.port, transport: 'udp' } as const;
    const probe = createProbe('turn.example', url, () => answers++, lookup);
    closers.push(() => probe?.close());
    for (const count of [1, 2]) {
      probe?.ask();
      await until(() => answers === count);
    }
  },
  60_000,
);

test('a server lives as long as one of its URLs is answered', async () => {
  const turn = await start(`${LOCAL_CALLS}no-udp\n`);
  const url = `turn:127.0.0.1:${String(turn.port)}`;
  // Asked before the other, each time.
  const both = check(`${url},${url}?transport=tcp`);
  const udp = check(url);
  await until(() => udp.heard.length > 0);
  expect([udp.isAlive(), both.isAlive(), both.heard]).toEqual([false, true, []]);
  await turn.stop();
  await until(() => both.heard.length > 0);
  expect(both.isAlive()).toBe(false);
}, 60_000);

test('clients that are connected, the log and the metrics are told which servers live when one dies', async () => {
  const [first, second] = [await start(LOCAL_CALLS), await start(LOCAL_CALLS)];
  // Servers are told apart by their hosts.
  const urls = [`turn:127.0.0.1:${String(first.port)}`, `turn:localhost:${String(second.port)}`];
  const gateway = await startGateway({
    TURN_URLS: urls.join(),
    TURN_SECRET: SECRET,
    TURN_CHECK_MS: String(EVERY_MS),
  });
  closers.push(() => gateway.stop());
  const clients = [tokenOf('alice'), tokenOf('bob'), tokenOf('carol', { send: ['*'] })].map(
    (token) => new Client(gateway.url, { token }),
  );
  for (const client of clients) {
    await client.connect();
    closers.push(() => client.close());
  }
  const serversOf = (client: Client): unknown[] => client.iceServers.flatMap(({ urls }) => urls);
  expect(clients.map(serversOf)).toEqual([urls, urls, []]);
  await first.stop();
  await until(() => clients.every((client) => !serversOf(client).includes(urls[0])));
  expect(clients.map(serversOf)).toEqual([[urls[1]], [urls[1]], []]);
  const up = (): Promise<number[]> =>
    Promise.all(
      urls.map((url) => gateway.metric('turn_server_up', { server: `${url.slice('turn:'.length)}/udp` })),
    );
  await until(async () => String(await up()) === '0,1');
  // Each of the two workers says so.
  const said = (level: number, text: string): number => {
    const lines = gateway.output().split('\n');
    return lines.filter((line) =>
      [`"level":${String(level)}`, text, '"host":"127.0.0.1"'].every((part) => line.includes(part)),
    ).length;
  };
  expect(said(40, 'a TURN server does not answer')).toBe(2);
  await start(LOCAL_CALLS, first.port);
  await until(async () => String(await up()) === '1,1');
  await until(() => said(30, 'a TURN server answers again') === 2);
  expect(said(40, 'a TURN server does not answer')).toBe(2);
}, 90_000);
