// deploy/turnserver.conf in a real coturn: what it refuses to relay to, and how much one client gets.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TurnClient } from '../turn-client.js';
import { startTurnServer, type TurnProcess } from '../turn-server.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const CONFIGURATION = new URL('../../deploy/turnserver.conf', import.meta.url);
let server: TurnProcess;
const clients: TurnClient[] = [];

async function connect(): Promise<TurnClient> {
  const client = await TurnClient.connect(server.port, SECRET);
  clients.push(client);
  return client;
}

beforeAll(async () => {
  server = await startTurnServer([SECRET], readFileSync(CONFIGURATION, 'utf8'));
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

  test('gives one client no more allocations than its quota', async () => {
    const codes: number[] = [];
    for (let count = 0; count < 9; count++) codes.push(await (await connect()).allocate());
    // 486 Allocation Quota Reached; one was taken by the test before, or none.
    expect(codes.filter((code) => code === 0).length).toBeLessThanOrEqual(8);
    expect(codes.at(-1)).toBe(486);
  });

  test('refuses a credential of another secret', async () => {
    const stranger = await TurnClient.connect(server.port, 'a-secret-that-nobody-knows');
    clients.push(stranger);
    expect(await stranger.allocate()).toBe(401);
  });
});
