// The turnstile before a worker's server: order, pace, and what happens to those who do not get in.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Turnstile } from '../../src/worker/turnstile.js';
import { until } from '../gateway-process.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('enter', () => {
  let begun: Socket[];
  let overflows: number;
  let turnstile: Turnstile;

  beforeEach(() => {
    begun = [];
    overflows = 0;
    turnstile = new Turnstile({
      begin: (socket) => {
        begun.push(socket);
      },
      overflow: () => {
        overflows++;
      },
    });
  });

  afterEach(() => {
    turnstile.close();
  });

  function crowd(size: number): Socket[] {
    const sockets = Array.from({ length: size }, () => new Socket());
    for (const socket of sockets) turnstile.enter(socket);
    return sockets;
  }

  test('lets a connection in at once when nobody waits', () => {
    const sockets = crowd(1);
    expect(begun).toEqual(sockets);
  });

  test('lets a crowd in by and by, in the order in which it came', async () => {
    const sockets = crowd(100);
    expect(begun).toHaveLength(16);
    await turn();
    expect(begun.length).toBeLessThanOrEqual(32);
    // Who comes now is last.
    sockets.push(...crowd(1));
    await until(() => begun.length === 101);
    expect(begun).toEqual(sockets);
  });

  test('passes over those who have gone', async () => {
    const sockets = crowd(40);
    for (const socket of sockets.slice(16, 39)) socket.destroy(new Error('reset by the client'));
    await until(() => begun.length === 17);
    expect(begun.at(-1)).toBe(sockets[39]);
  });

  test('ends those who wait when it is closed', async () => {
    const sockets = crowd(17);
    turnstile.close();
    await turn();
    expect(begun).toEqual(sockets.slice(0, 16));
    expect(sockets.at(-1)?.destroyed).toBe(true);
  });

  test('resets one more than may wait', () => {
    const sockets = crowd(16 + 16_385);
    expect(overflows).toBe(1);
    expect(sockets.at(-1)?.destroyed).toBe(true);
    expect(sockets.at(-2)?.destroyed).toBe(false);
  });
});

describe('before', () => {
  let server: Server;

  afterEach(() => {
    server.close();
  });

  test('an HTTP server answers what was sent while the connection waited', async () => {
    server = createServer((request, response) => response.end(request.url));
    const overflow = jest.fn();
    Turnstile.before(server, { overflow });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'));
    const answers = sockets.map(async (socket, number) => {
      // In two pieces: one waits in the socket, the other still in the kernel.
      socket.write(`GET /${String(number)} HTTP/1.1\r\nHost: a\r\nConn`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write('ection: close\r\n\r\n');
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      return text.split('\r\n\r\n')[1];
    });
    expect(await Promise.all(answers)).toEqual(sockets.map((_, number) => `/${String(number)}`));
    expect(overflow).not.toHaveBeenCalled();
  });
});
