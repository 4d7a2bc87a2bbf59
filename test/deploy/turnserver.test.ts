// deploy/turnserver.conf in a real coturn: what it refuses to relay to, and how much one client gets.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TurnClient } from '../turn-client.js';
import { startTurnServer, type TurnProcess } from '../turn-server.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const CONFIGURATION = new URL('../../deploy/turnserver.conf', import.meta.url);
const hasV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
if (!hasV6) process.stdout.write('What coturn refuses over IPv6 is not asked: this machine has no ::1.\n');
let server: TurnProcess;
const clients: TurnClient[] = [];

async function connect(host: '127.0.0.1' | '::1' = '127.0.0.1'): Promise<TurnClient> {
  const client = await TurnClient.connect(server.port, SECRET, host);
  clients.push(client);
  return client;
}

beforeAll(async () => {
  server = await startTurnServer([SECRET], readFileSync(CONFIGURATION, 'utf8'), {
    others: hasV6 ? ['::1'] : [],
  });
}, 30_000);
afterAll(async () => {
  for (const client of clients) client.close();
  await server.stop();
});

describe('deploy/turnserver.conf', () => {
  test('knows all its settings', () => {
    expect(server.output()).not.toMatch(/bad configuration|unknown argument/i);
  });

  test('relays to the public Internet and to nothing else', async () => {
    const client = await connect();
    expect(await client.allocate()).toBe(0);
    expect(await client.permit('8.8.8.8')).toBe(0);
    const denied = [
      '0.0.0.0',
      '0.1.2.3',
      '10.0.0.1',
      '100.64.0.1',
      '127.0.0.1',
      '127.9.9.9',
      '169.254.169.254',
    ];
    denied.push('172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.168.1.1', '198.18.0.1');
    denied.push('198.51.100.7', '203.0.113.9', '224.0.0.1', '239.255.255.250', '255.255.255.255');
    const codes = new Map<string, number>();
    for (const address of denied) codes.set(address, await client.permit(address));
    // 403 Forbidden
    expect([...codes]).toEqual(denied.map((address) => [address, 403]));
  });

  (hasV6 ? test : test.skip)('relays over IPv6 to the public Internet and to nothing else', async () => {
    const client = await connect('::1');
    expect(await client.allocate(6)).toBe(0);
    const allowed = ['2001:4860:4860::8888', '2606:4700:4700::1111', '2a00::1', '2001:200::1', '3ffe::1'];
    for (const address of allowed) expect([address, await client.permit(address)]).toEqual([address, 0]);
    const denied = [
      '::',
      '::1',
      '::2',
      '::7f00:1',
      '::a00:1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '::ffff:8.8.8.8',
    ];
    denied.push(
      '::ffff:0:7f00:1',
      '64:ff9b::7f00:1',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::1',
      '100::1',
      '2001::1',
      '2001:db8::1',
    );
    denied.push(
      '2002:7f00:1::1',
      '2002:a9fe:a9fe::1',
      'fc00::1',
      'fd00::1',
      'fdff:ffff::1',
      'fe80::1',
      'febf:ffff::1',
    );
    denied.push('fec0::1', 'ff02::1', 'ff0e::1', '1fff::1', '3fff::1', '4000::1', '5f00::1');
    const codes = new Map<string, number>();
    for (const address of denied) codes.set(address, await client.permit(address));
    // 403 Forbidden
    expect([...codes]).toEqual(denied.map((address) => [address, 403]));
  });

  test('gives one client no more allocations than its quota', async () => {
    const codes: number[] = [];
    for (let count = 0; count < 33; count++) codes.push(await (await connect()).allocate());
    // 486 Allocation Quota Reached; one was taken by the test before, or none.
    expect(codes.filter((code) => code === 0).length).toBeLessThanOrEqual(32);
    expect(codes.at(-1)).toBe(486);
  });

  test('gives all clients no more allocations than it has ports', async () => {
    const lines = `${readFileSync(CONFIGURATION, 'utf8')}\nmin-port=61010\nmax-port=61013\n`;
    const small = await startTurnServer([SECRET], lines);
    try {
      const codes: number[] = [];
      for (let count = 0; count < 5; count++) {
        const client = await TurnClient.connect(small.port, SECRET);
        clients.push(client);
        codes.push(await client.allocate());
      }
      // 508 Insufficient Capacity
      expect(codes).toEqual([0, 0, 0, 0, 508]);
    } finally {
      await small.stop();
    }
  }, 60_000);

  test('refuses a credential of another secret', async () => {
    const stranger = await TurnClient.connect(server.port, 'a-secret-that-nobody-knows');
    clients.push(stranger);
    expect(await stranger.allocate()).toBe(401);
  });
});
