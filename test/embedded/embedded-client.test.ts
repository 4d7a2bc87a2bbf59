// The program as a client of a gateway that does not answer: nothing waits for longer than it was told to.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EmbeddedClient } from '../../src/embedded-client.js';

let client: EmbeddedClient;
beforeEach(async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  client = new EmbeddedClient({ url: () => `ws://127.0.0.1:${String(port)}`, token: () => 'token' });
});
afterEach(() => client.close());

test('can be closed while it connects, and tells those who wait', async () => {
  const waiting = client.get();
  const listening = client.onStream('file', () => undefined);
  const told = expect(Promise.allSettled([waiting, listening])).resolves.toMatchObject([
    { status: 'rejected', reason: { code: 'closed' } },
    { status: 'rejected', reason: { code: 'closed' } },
  ]);
  // In the middle of a try, or between two.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await client.close();
  await told;
  await expect(client.get()).rejects.toMatchObject({ code: 'closed' });
}, 5_000);

test('can be closed before it began to connect', async () => {
  const told = expect(client.get()).rejects.toMatchObject({ code: 'closed' });
  await client.close();
  await told;
}, 5_000);

test('connects for as long as the call may take', async () => {
  await expect(client.get({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'timeout' });
  const signal = AbortSignal.timeout(100);
  await expect(client.get({ signal })).rejects.toMatchObject({ code: 'aborted' });
  await expect(client.get({ signal })).rejects.toMatchObject({ code: 'aborted' });
}, 5_000);
