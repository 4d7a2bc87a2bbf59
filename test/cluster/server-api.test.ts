// What servers do through the admin port of one node, seen by clients on another: real gateways, both stores.
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { JSON_SUBPROTOCOL } from '../../src/protocol/subprotocol.js';
import { Client } from '../../src/client/index.js';
import { ADMIN_KEY, tokenOf, until } from '../gateway-process.js';
import { type Deployment, deploy, lostBy } from './deployment.js';

describe.each(['embedded', 'redis'] as const)('with the %s store', (store) => {
  let deployment: Deployment;
  const clients: Client[] = [];
  beforeAll(async () => {
    deployment = await deploy(store, { CRASH_LOOP_LIMIT: '3' });
  }, 60_000);
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await deployment.stop();
  });

  const ask = async (method: string, path: string, body?: unknown, key?: string) => {
    const port = String(deployment.gateways[0]?.adminPort);
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${ADMIN_KEY}`,
        ...(key === undefined ? {} : { 'Idempotency-Key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  /** A client of the last node, and what it has heard. */
  const connect = async (name: string, room?: string) => {
    const client = new Client(deployment.gateways.at(-1)?.url ?? '', { token: tokenOf(name) });
    clients.push(client);
    client.on('error', () => undefined);
    const heard: unknown[] = [];
    client.onMessage('*', (data, from) => void heard.push([from.client, data]));
    await client.connect();
    if (room !== undefined) {
      const joined = client.room(room);
      joined.onMessage('*', (data, from) => void heard.push([from.client, data]));
      await joined.join();
    }
    return { client, heard };
  };
  const hears = (heard: unknown[], count: number) =>
    until(() => Promise.resolve(heard.length >= count || undefined));

  test('publish and send are kept, in order, from the client that the key stands for', async () => {
    const { heard } = await connect(`${store}-bob`, `${store}-room`);
    const publish = (data: unknown) => ask('POST', 'publish', { room: `${store}-room`, event: 'e', data });
    for (const data of [1, { two: 2 }]) {
      const { status, body } = await publish(data);
      expect([status, typeof body.id]).toEqual([200, 'string']);
    }
    await ask('POST', 'send', { to: `${store}-bob`, event: 'e', data: 'direct' });
    await hears(heard, 3);
    expect(heard).toEqual([
      ['admin', 1],
      ['admin', { two: 2 }],
      ['admin', 'direct'],
    ]);
  });

  test('the same idempotency key is the same message, however often it is sent and to whichever node', async () => {
    const { heard } = await connect(`${store}-once`);
    const send = (key: string) => ask('POST', 'send', { to: `${store}-once`, event: 'e', data: key }, key);
    const answers = [await send('k1'), await send('k1'), await send('k2'), await send('k1')];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const ids = answers.map(({ body }) => (body.accepted as { id: string | null }[])[0]?.id);
    expect(ids.map((id) => id === null)).toEqual([false, true, false, true]);
    await ask('POST', 'send', { to: `${store}-once`, event: 'e', data: 'last' });
    await hears(heard, 3);
    expect(heard.map((row) => (row as unknown[])[1])).toEqual(['k1', 'k2', 'last']);
  });

  test('a client that is not there is told of, and gets what is kept for it', async () => {
    const to = `${store}-later`;
    expect(await ask('POST', 'send', { to, event: 'e' })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
    expect((await ask('POST', 'send', { to, event: 'e', data: 'kept', offline: 'keep' })).status).toBe(200);
    const { heard } = await connect(to);
    await hears(heard, 1);
    expect(heard).toEqual([['admin', 'kept']]);
  });

  test('broadcast and volatile messages are accepted without a word on receivers', async () => {
    const { heard } = await connect(`${store}-all`, `${store}-loud`);
    expect((await ask('POST', 'broadcast', { event: 'e', data: 'all' })).status).toBe(202);
    await hears(heard, 1);
    expect(
      (await ask('POST', 'publish', { room: `${store}-loud`, event: 'e', data: 'v', volatile: true })).status,
    ).toBe(202);
    await hears(heard, 2);
    expect(
      (await ask('POST', 'send', { to: `${store}-all`, event: 'e', data: 'w', volatile: true })).status,
    ).toBe(202);
    await hears(heard, 3);
    expect(heard.map((row) => (row as unknown[])[1])).toEqual(['all', 'v', 'w']);
  });

  test('lists members and clients', async () => {
    await connect(`${store}-m1`, `${store}/full`);
    await connect(`${store}-m2`, `${store}/full`);
    const room = encodeURIComponent(`${store}/full`);
    const first = await ask('GET', `rooms/${room}/members?limit=1`);
    expect(first.body).toMatchObject({ members: [{ client: `${store}-m1`, sessions: 1 }], count: 2 });
    const second = await ask(
      'GET',
      `rooms/${room}/members?cursor=${encodeURIComponent(String(first.body.cursor))}`,
    );
    expect(second.body).toMatchObject({ members: [{ client: `${store}-m2` }] });
    const { body } = await ask('GET', `clients?prefix=${store}-m`);
    expect(body).toEqual({ clients: [`${store}-m1`, `${store}-m2`], cursor: null });
  });

  test('asks a client and passes its answer on, or why there is none', async () => {
    const to = `${store}-answers`;
    const { client } = await connect(to);
    client.onRequest('double', (data) => Number(data) * 2);
    client.onRequest('bytes', () => new Uint8Array([1, 2]));
    expect(await ask('POST', 'request', { to, event: 'double', data: 4 })).toEqual({
      status: 200,
      body: { codec: 'json', data: 8 },
    });
    const { body } = await ask('POST', 'request', { to, event: 'bytes' });
    expect(body).toEqual({ codec: 'bytes', data: 'AQI=' });
    expect(await ask('POST', 'request', { to, event: 'none' })).toMatchObject({
      status: 502,
      body: { code: 'no_handler' },
    });
    expect((await ask('POST', 'request', { to: `${store}-none`, event: 'e' })).status).toBe(404);
    client.onRequest('slow', () => new Promise(() => undefined));
    expect(await ask('POST', 'request', { to, event: 'slow', timeoutMs: 200 })).toMatchObject({
      status: 504,
      body: { code: 'timeout' },
    });
  });

  test('has a client join and leave rooms', async () => {
    const [name, room] = [`${store}-moved`, `${store}-there`];
    const { client, heard } = await connect(name);
    client.room(room).onMessage('*', (data) => void heard.push(data));
    const move = (how: 'join' | 'leave', body: object) => ask('POST', `clients/${name}/${how}`, body);
    expect(await move('join', { room })).toEqual({ status: 200, body: { sessions: 1 } });
    expect((await ask('GET', `rooms/${room}/members`)).body.members).toEqual([{ client: name, sessions: 1 }]);
    await ask('POST', 'publish', { room, event: 'e', data: 'in' });
    await hears(heard, 1);
    expect(heard).toEqual(['in']);
    expect((await move('leave', {})).body).toEqual({ sessions: 1 });
    expect((await ask('GET', `rooms/${room}/members`)).body.count).toBe(0);
    expect((await ask('POST', `clients/${store}-none/join`, { room })).status).toBe(404);
    const low = new Client(deployment.gateways[0]?.url ?? '', { token: tokenOf(`${name}-low`, {}) });
    clients.push(low);
    await low.connect();
    expect((await ask('POST', `clients/${name}-low/join`, { room })).body).toMatchObject({
      code: 'forbidden',
    });
  });

  test('a broadcast goes past those that it excepts', async () => {
    const [one, other] = [await connect(`${store}-hears`), await connect(`${store}-excepted`)];
    const body = { event: 'e', data: 'some', except: [`${store}-excepted`] };
    expect((await ask('POST', 'broadcast', body)).status).toBe(202);
    await hears(one.heard, 1);
    await ask('POST', 'send', { to: `${store}-excepted`, event: 'e', data: 'last' });
    await hears(other.heard, 1);
    expect(other.heard).toEqual([['admin', 'last']]);
  });

  test('disconnect ends sessions for good, or sends them round once', async () => {
    const name = `${store}-gone`;
    const { client } = await connect(name);
    const { sessionId } = client;
    const lost = lostBy(client);
    const round = await ask('POST', `clients/${name}/disconnect`, { comeBack: true });
    expect(round).toEqual({ status: 200, body: { sessions: 1 } });
    await lost;
    await until(() => Promise.resolve(client.state === 'connected' || undefined));
    expect(client.sessionId).toBe(sessionId);
    const other = { session: 'A'.repeat(22) };
    expect((await ask('POST', `clients/${name}/disconnect`, other)).status).toBe(404);
    expect((await ask('POST', `clients/${name}/disconnect`, {})).status).toBe(200);
    await until(() => Promise.resolve(client.state === 'closed' || undefined));
    expect((await ask('GET', `clients/${name}`)).body.sessions).toEqual([]);
  });

  test('a session that waits for its connection is over too', async () => {
    const name = `${store}-waiting`;
    const socket = new WebSocket(`${deployment.gateways[0]?.url ?? ''}/v1/connect`, [JSON_SUBPROTOCOL]);
    await once(socket, 'open');
    socket.send(JSON.stringify([0, 1, tokenOf(name), null, null]));
    await once(socket, 'message');
    socket.terminate();
    const sessions = async () =>
      (await ask('GET', `clients/${name}`)).body.sessions as { connected: boolean }[];
    await until(async () => (await sessions())[0]?.connected === false || undefined);
    expect((await ask('POST', `clients/${name}/disconnect`, {})).body).toEqual({ sessions: 1 });
    expect(await sessions()).toEqual([]);
  });
});
