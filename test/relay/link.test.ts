// Links over real Unix sockets: whole messages come out, however the bytes are cut.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { connectLink, LINK_MESSAGE_LIMIT_BYTES, listenLinks, type Link } from '../../src/relay/link.js';
import { until } from '../gateway-process.js';

describe('a link', () => {
  let directory: string;
  let path: string;
  let servers: Server[];
  let sockets: Socket[];
  let links: Link[];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'signalbox-link-'));
    path = join(directory, 'a.sock');
    [servers, sockets, links] = [[], [], []];
  });
  afterEach(async () => {
    for (const link of links) link.close();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    await rm(directory, { recursive: true });
  });

  /** Listens; what arrives is collected, and `echo` sends it back. */
  async function listen(echo = false) {
    const got: Buffer[] = [];
    let closed = 0;
    const server = await listenLinks(path, (link) => ({
      message: (bytes) => {
        got.push(Buffer.from(bytes));
        if (echo) link().send(bytes);
      },
      close: () => closed++,
    }));
    servers.push(server);
    return { got, closed: () => closed };
  }

  function connect() {
    const got: Buffer[] = [];
    let closed = 0;
    let lost = 0;
    const link = connectLink(path, {
      message: (bytes) => got.push(Buffer.from(bytes)),
      close: (messages) => {
        closed++;
        lost += messages;
      },
    });
    links.push(link);
    return { link, got, closed: () => closed, lost: () => lost };
  }

  async function raw(): Promise<Socket> {
    const socket = createConnection(path);
    sockets.push(socket);
    socket.setNoDelay(true);
    await once(socket, 'connect');
    return socket;
  }

  test('carries small, empty and large messages in their order, both ways', async () => {
    const there = await listen(true);
    const { link, got } = connect();
    const sizes = [5, 0, 65_531, 65_532, 65_533, 1, 3_000_000, 70_000, 12, 12, 40_000, 40_000];
    const messages = sizes.map((size, at) => Buffer.alloc(size, at + 1));
    for (const message of messages) expect(link.send(message)).toBe(true);
    await until(() => got.length === messages.length);
    expect(there.got.every((bytes, at) => messages[at]?.equals(bytes))).toBe(true);
    expect(got.every((bytes, at) => messages[at]?.equals(bytes))).toBe(true);
  });

  test('keeps what the kernel has not taken yet, tick after tick', async () => {
    let reader: Socket | null = null;
    const server = createServer((socket) => {
      reader = socket.pause();
    });
    servers.push(server.listen(path));
    await once(server, 'listening');
    const { link } = connect();
    await until(() => reader !== null);
    // Far more than a socket's buffer holds.
    for (let n = 0; n < 3000; n++) {
      expect(link.send(Buffer.alloc(1000, n % 251))).toBe(true);
      if (n % 7 === 0) await new Promise(setImmediate);
    }
    const got: Buffer[] = [];
    const socket = reader as unknown as Socket;
    sockets.push(socket);
    socket.on('data', (bytes: Buffer) => got.push(bytes)).resume();
    await until(() => got.reduce((sum, { length }) => sum + length, 0) === 3000 * 1004);
    const bytes = Buffer.concat(got);
    for (let n = 0; n < 3000; n++)
      expect(bytes.subarray(n * 1004 + 4, (n + 1) * 1004).every((byte) => byte === n % 251)).toBe(true);
  });

  test('joins the parts of a message, and copies a small one at once', async () => {
    const { got } = await listen();
    const { link } = connect();
    const part = Buffer.from('world');
    link.send(Buffer.from('hello '), part);
    part.fill('x');
    await until(() => got.length === 1);
    expect(got[0]?.toString()).toBe('hello world');
  });

  test('gives out a message whole when its bytes come one by one, and several when they come at once', async () => {
    const { got } = await listen();
    const socket = await raw();
    const framed = (text: string) => {
      const header = Buffer.alloc(4);
      header.writeUInt32LE(Buffer.byteLength(text));
      return Buffer.concat([header, Buffer.from(text)]);
    };
    for (const byte of framed('slow')) {
      expect(got).toEqual([]);
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
      await new Promise(setImmediate);
    }
    const next = framed('three');
    socket.write(Buffer.concat([framed('one'), framed(''), framed('two'), next.subarray(0, 2)]));
    await until(() => got.length === 4);
    socket.write(next.subarray(2));
    await until(() => got.length === 5);
    expect(got.map(String)).toEqual(['slow', 'one', '', 'two', 'three']);
  });

  test('copies nothing of a large message but what stands before its last part, and keeps the order', async () => {
    const there = await listen();
    const { link } = connect();
    const body = Buffer.alloc(40_000, 2);
    const scratch = Buffer.from('head');
    link.send(Buffer.from('before'));
    link.send(scratch, body);
    scratch.fill('x');
    link.send(Buffer.from('after'));
    // Not copied: what is written in the same tick is what its caller sees.
    body.fill(3);
    link.send(scratch, body, Buffer.from('tail'));
    await until(() => there.got.length === 4);
    expect(there.got.map((bytes) => bytes.toString('latin1', 0, 6))).toEqual([
      'before',
      'head\u0003\u0003',
      'after',
      'xxxx\u0003\u0003',
    ]);
    expect(there.got.map(({ length }) => length)).toEqual([6, 40_004, 5, 40_008]);
  });

  test('what was written whole leaves before the link closes', async () => {
    const there = await listen();
    const { link } = connect();
    link.send(Buffer.alloc(100_000, 7));
    link.send(Buffer.from('last'));
    link.close();
    await until(() => there.got.length === 2);
    expect(there.got[0]?.equals(Buffer.alloc(100_000, 7))).toBe(true);
  });

  test('copies no piece of a large message twice', async () => {
    const there = await listen();
    const { link } = connect();
    const concat = jest.spyOn(Buffer, 'concat');
    const copied: number[] = [];
    concat.mockImplementation((list) => {
      const joined = new Uint8Array(list.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const each of list) {
        joined.set(each, at);
        at += each.length;
      }
      copied.push(joined.length);
      return Buffer.from(joined.buffer);
    });
    try {
      const large = Buffer.alloc(LINK_MESSAGE_LIMIT_BYTES, 7);
      expect(link.send(large)).toBe(true);
      expect(link.send(Buffer.alloc(10, 8))).toBe(true);
      await until(() => there.got.length === 2);
      expect(there.got[0]?.equals(large)).toBe(true);
      expect(there.got[1]).toEqual(Buffer.alloc(10, 8));
      // The sender writes it as it is, and the reader copies each piece to its place; it may join a header that came in two.
      expect(copied.filter((bytes) => bytes > 1_000_000)).toEqual([]);
    } finally {
      concat.mockRestore();
    }
  });

  test('is cut off when a header announces more than the limit', async () => {
    const { got, closed } = await listen();
    const socket = await raw();
    socket.on('error', () => undefined);
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    await until(() => closed() === 1);
    expect(got).toEqual([]);
  });

  test('refuses a message over the limit, and takes the next', async () => {
    const { got } = await listen();
    const { link } = connect();
    expect(link.send(Buffer.alloc(LINK_MESSAGE_LIMIT_BYTES + 1))).toBe(false);
    expect(link.send(Buffer.from('after'))).toBe(true);
    await until(() => got.length === 1);
    expect(String(got[0])).toBe('after');
  });

  test('refuses messages when the other side does not read', async () => {
    const server = createServer((socket) => {
      sockets.push(socket.pause());
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const { link } = connect();
    const message = Buffer.alloc(LINK_MESSAGE_LIMIT_BYTES);
    const sent = [1, 2, 3, 4, 5, 6, 7, 8].map(() => link.send(message));
    expect(sent[0]).toBe(true);
    expect(sent.at(-1)).toBe(false);
    expect(link.send(Buffer.from('small'))).toBe(false);
  });

  test('tells both sides once when one closes, and refuses from then on', async () => {
    const there = await listen();
    const here = connect();
    here.link.send(Buffer.from('last words'));
    here.link.close();
    await until(() => here.closed() === 1 && there.closed() === 1);
    expect(there.got.map(String)).toEqual(['last words']);
    expect(here.link.send(Buffer.from('too late'))).toBe(false);
  });

  test('tells of its end when nobody listens', async () => {
    const { link, closed } = connect();
    expect(link.send(Buffer.from('to nobody'))).toBe(true);
    await until(() => closed() === 1);
    expect(link.send(Buffer.from('to nobody'))).toBe(false);
  });

  test('says at its end how many messages the kernel never took', async () => {
    let accepted: Socket | null = null;
    const server = createServer((socket) => {
      // It never reads: what does not fit into the kernel's buffers waits in the link.
      socket.pause();
      accepted = socket;
    }).listen(path);
    servers.push(server);
    const { link, lost, closed } = connect();
    const socket = await until(() => accepted);
    sockets.push(socket);
    for (let i = 0; i < 50; i++) expect(link.send(Buffer.alloc(100_000))).toBe(true);
    for (let i = 0; i < 7; i++) expect(link.send(Buffer.from('small'))).toBe(true);
    socket.destroy();
    await until(() => closed() === 1);
    expect(lost()).toBeGreaterThan(7);
    expect(lost()).toBeLessThanOrEqual(57);
    expect(link.send(Buffer.from('late'))).toBe(false);
  });

  test('has lost nothing at its end when everything was read', async () => {
    const { got } = await listen();
    const { link, lost, closed } = connect();
    for (let i = 0; i < 20; i++) link.send(Buffer.alloc(10_000, i));
    await until(() => got.length === 20);
    link.close();
    await until(() => closed() === 1);
    expect(lost()).toBe(0);
  });
});
