// The SDK with a real gateway of two workers, while connections are cut on both sides.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../src/client/client.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await startGateway();
}, 30_000);

afterAll(async () => {
  await gateway.stop();
}, 30_000);

/** A client, and what cuts its present connection as a cable that is pulled. */
function cuttable(name: string): {
  client: Client;
  cut(): void;
  protocols(): string[];
} {
  const sockets: WebSocket[] = [];
  class Remembered extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const client = new Client(gateway.url, {
    token: tokenOf(name),
    WebSocket: Remembered,
    backoff: { minMs: 20, maxMs: 100 },
  });
  return {
    client,
    cut: () => sockets.at(-1)?.terminate(),
    protocols: () => sockets.map(({ protocol }) => protocol),
  };
}

test('a hello goes with the handshake, on a resume too, and a long one by itself', async () => {
  const { client, cut, protocols } = cuttable('alice');
  try {
    await client.connect();
    const { sessionId } = client;
    cut();
    await until(() => protocols().length === 2 && client.state === 'connected');
    expect(client.sessionId).toBe(sessionId);
    expect(protocols()).toEqual(['signalbox.v1.hello', 'signalbox.v1.hello']);
    // The cursor of each room goes with it.
    for (let i = 0; i < 20; i++) {
      const room = client.room(`a-room-with-a-long-name-${String(i)}`);
      await room.join();
      await room.publish('e', i);
    }
    cut();
    await until(() => protocols().length === 3 && client.state === 'connected');
    expect(client.sessionId).toBe(sessionId);
    expect(protocols()[2]).toBe('signalbox.v1.msgpack');
  } finally {
    await client.close();
  }
}, 30_000);

test('every accepted message comes once and in order, however often both sides are cut off', async () => {
  const [alice, bob] = [cuttable('alice'), cuttable('bob')];
  try {
    await Promise.all([alice.client.connect(), bob.client.connect()]);
    const heard: Record<string, unknown[]> = { inbox: [], bob: [], alice: [] };
    const gaps: unknown[] = [];
    for (const { client } of [alice, bob]) client.on('gap', (gap) => gaps.push(gap));
    bob.client.onMessage('confirmed', () => {});
    bob.client.onMessage('n', (data) => heard.inbox?.push(data));
    bob.client.room('lobby').onMessage('n', (data) => heard.bob?.push(data));
    alice.client.room('lobby').onMessage('n', (data) => heard.alice?.push(data));
    await Promise.all([alice.client.room('lobby').join(), bob.client.room('lobby').join()]);

    const sent: Promise<unknown>[] = [];
    let count = 0;
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 25; i++, count++) {
        sent.push(alice.client.send('bob', 'n', count), alice.client.room('lobby').publish('n', count));
      }
      sent.push(alice.client.send('bob', 'confirmed', round, { delivered: true }));
      // At another moment of the exchange each time: some frames written, some read, some answered.
      const seen = heard.inbox?.length ?? 0;
      if (round % 3 === 0) await until(() => (heard.inbox?.length ?? 0) > seen);
      const side = round % 2 === 0 ? alice : bob;
      if (side.client.state === 'connected') side.cut();
      if (round % 4 === 3) await until(() => side.client.state === 'connected');
    }
    await Promise.all(sent);
    const all = Array.from({ length: count }, (_, i) => i);
    await until(() => Object.values(heard).every((list) => list.length >= count));
    expect(heard).toEqual({ inbox: all, bob: all, alice: all });
    expect(gaps).toEqual([]);
  } finally {
    await Promise.all([alice.client.close(), bob.client.close()]);
  }
}, 60_000);
