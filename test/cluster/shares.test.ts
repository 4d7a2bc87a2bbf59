// Workers that accept connections themselves (SCHEDULING=none): each has its share, nothing is lost when one rests, hangs or dies.
import { afterEach, expect, test } from '@jest/globals';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { RawWebSocket } from '../bad-input/raw-websocket.js';

/** Of the mean: a worker is to rest from 0.1 on, and what comes in until it does may be as much again, more on a busy machine. */
const LEAD_SHARE = 0.4;
const CLIENTS = 400;

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
  for (let i = 0; i < CLIENTS; i++)
    for (const { worker } of await gateway.locate(`client-${String(i)}`))
      counts.set(worker, (counts.get(worker) ?? 0) + 1);
  return [...counts.values()];
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
