// Event streams with POSTs, and polls, against a real HTTP server: what a long connection leaves behind.
import { getEventListeners, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { EventStreamSocket } from '../../src/client/event-stream-socket.js';

const POSTS = 200;

class Socket extends EventStreamSocket {
  get listeners(): number {
    return getEventListeners(this.signal, 'abort').length;
  }
}

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('requests leave nothing behind at the connection, and its end ends those under way', async () => {
  let posts = 0;
  let isHolding = false;
  let hold = (): void => undefined;
  const held = new Promise<void>((resolve) => (hold = resolve));
  let cut = (): void => undefined;
  const isCut = new Promise<void>((resolve) => (cut = resolve));
  server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: open\ndata: the-connection\n\n');
      return;
    }
    posts++;
    request.resume();
    if (!isHolding) response.end();
    else {
      response.on('close', cut);
      hold();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = new Socket(`ws://127.0.0.1:${String(port)}/v1/ws`, ['signalbox.v1.json']);
  await new Promise((resolve) => (socket.onopen = resolve));
  const listeners = socket.listeners;
  while (posts < POSTS) {
    const before = posts;
    socket.send('[1]');
    while (posts === before || socket.bufferedAmount > 0)
      await new Promise((resolve) => setImmediate(resolve));
  }
  expect(socket.listeners).toBe(listeners);
  isHolding = true;
  socket.send('[2]');
  await held;
  socket.close();
  await isCut;
});
