// Workers that accept connections themselves (SCHEDULING=none): each has its share, nothing is lost when one rests, hangs or dies.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, expect, jest, test } from '@jest/globals';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { RawWebSocket } from '../bad-input/raw-websocket.js';

/** Of the mean: a worker is to rest from 0.1 on, and what comes in until it does may be as much again, more on a busy machine. */
const LEAD_SHARE = 0.4;
const CLIENTS = 400;

/** Hundreds come one by one. */
jest.setTimeout(90_000);

let gateway: GatewayProcess;
let clients: RawWebSocket[] = [];

afterEach(async () => {
  await Promise.all(clients.map((client) => client.destroy()));
  clients = [];
  expect(await gateway.stop()).toBe(0);
});

async function start(): Promise<void> {
  gateway = await startGateway({
    WORKERS: '2',
    SCHEDULING: 'none',
    CONNECTIONS_PER_ADDRESS_LIMIT: '2000',
    HANDSHAKES_PER_SECOND_LIMIT: '100000',
    // One that hangs is not to be killed before the test is over.
    WATCHDOG_TIMEOUT_MS: '60000',
  });
}

/** So many more, a few at a time. */
async function come(count: number, atOnce: number): Promise<void> {
  let next = clients.length;
  const end = next + count;
  const comeOneByOne = async (): Promise<void> => {
    while (next < end)
      clients.push(await RawWebSocket.enter(gateway.port, tokenOf(`client-${String(next++)}`)));
  };
  await Promise.all(Array.from({ length: atOnce }, comeOneByOne));
}

/** Connections of each worker. */
async function shares(): Promise<number[]> {
  const workers = (await gateway.workers()).map(({ id }) => id);
  const counts = new Map(workers.map((id) => [id, 0]));
  const locate = async (i: number): Promise<void> => {
    for (const { worker } of await gateway.locate(`client-${String(i)}`))
      counts.set(worker, (counts.get(worker) ?? 0) + 1);
  };
  for (let i = 0; i < clients.length; i += 50)
    await Promise.all(Array.from({ length: 50 }, (_, at) => locate(i + at)));
  return [...counts.values()];
}

/** The socket of the public port: its inode, and how many connections wait in it. */
function door(): { inode: string; waiting: number } {
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local = '', , state, queues = '', , , , , inode = ''] = line.trim().split(/\s+/);
    const port = parseInt(local.split(':')[1] ?? '', 16);
    if (state === '0A' && port === gateway.port)
      return { inode, waiting: parseInt(queues.split(':')[1] ?? '', 16) };
  }
  throw new Error('nobody listens');
}

/** Whether a process is woken up by newcomers: the socket is open in all of them, and watched by those that accept. */
function accepts(pid: number): boolean {
  const files = `/proc/${String(pid)}/fd`;
  const links = readdirSync(files).map((fd) => [fd, linkOf(`${files}/${fd}`)] as const);
  const own = links.find(([, link]) => link === `socket:[${door().inode}]`)?.[0];
  return links.some(
    ([fd, link]) =>
      link === 'anon_inode:[eventpoll]' &&
      new RegExp(`^tfd: +${String(own)} `, 'm').test(
        readFileSync(`/proc/${String(pid)}/fdinfo/${fd}`, 'utf8'),
      ),
  );
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return '';
  }
}

test('each worker has its share of those who come one by one or a few at once', async () => {
  await start();
  await come(CLIENTS / 2, 1);
  await come(CLIENTS / 2, 8);
  const mean = CLIENTS / 2;
  for (const share of await shares()) expect(Math.abs(share - mean)).toBeLessThan(LEAD_SHARE * mean);
});

test('a worker that rests takes over from one that hangs', async () => {
  await start();
  await come(60, 1);
  const [one] = await gateway.workers();
  process.kill(one?.pid ?? 0, 'SIGSTOP');
  try {
    // The other is soon ahead, and alone all the same.
    await come(100, 8);
  } finally {
    process.kill(one?.pid ?? 0, 'SIGCONT');
  }
  await until(async () => (await gateway.metric('connections')) >= 160);
});

test('who comes when the only worker that accepts is killed is served by the one that rested', async () => {
  await start();
  await come(60, 1);
  const [one = 0, two = 0] = (await gateway.workers()).map(({ pid }) => pid);
  process.kill(one, 'SIGSTOP');
  await come(40, 8);
  process.kill(one, 'SIGCONT');
  // It is far ahead now, and leaves newcomers to the one that stood still.
  await until(() => !accepts(two));
  process.kill(one, 'SIGSTOP');
  const late = Array.from({ length: 20 }, (_, i) =>
    RawWebSocket.enter(gateway.port, tokenOf(`late-${String(i)}`)),
  );
  // On a very busy machine the other has noticed that nobody accepts before anybody came.
  await until(() => door().waiting > 0 || accepts(two));
  process.kill(one, 'SIGKILL');
  clients.push(...(await Promise.all(late)));
});

test('newcomers do not wait for a worker that has no descriptor left', async () => {
  await start();
  await come(20, 1);
  const [one] = await gateway.workers();
  const limit = (files: string): string => {
    const { status, stdout, stderr } = spawnSync('prlimit', ['--pid', String(one?.pid), ...files.split(' ')]);
    if (status !== 0) throw new Error(String(stderr));
    return String(stdout).trim();
  };
  const before = limit('--nofile -o SOFT --noheadings');
  limit('--nofile=3:');
  await come(60, 8);
  const held = await shares();
  expect(held[0]).toBeLessThan(40);
  limit(`--nofile=${before}:`);
  await come(60, 8);
  await until(async () => ((await shares())[0] ?? 0) > (held[0] ?? 0));
});
