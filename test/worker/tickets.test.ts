// Readers without an SDK: a ticket for a room, of use once, and what its stream says.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { askHttp, RawStream } from '../bad-input/raw-http.js';
import { type Deployment, deploy } from '../cluster/deployment.js';
import { ADMIN_KEY, tokenOf, until } from '../gateway-process.js';

interface Event {
  name: string;
  id: string | null;
  data: unknown;
}
const eventsOf = (stream: RawStream): Event[] =>
  [...stream.text.matchAll(/^(?:id: (.*)\n)?event: (.*)\ndata: (.*)\n\n/gm)].map(
    ([, id, name = '', data = '']) => ({
      name,
      id: id ?? null,
      data: JSON.parse(data) as unknown,
    }),
  );
const messages = (stream: RawStream): unknown[] =>
  eventsOf(stream)
    .filter(({ name }) => name === 'message')
    .map(({ data }) => (data as { data: unknown }).data);

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  let ports: number[];
  let alice: Client;
  beforeAll(async () => {
    deployment = await deploy(store, { HTTP_SILENCE_LIMIT_MS: '600', CRASH_LOOP_LIMIT: '3' });
    ports = deployment.gateways.map(({ port }) => port);
    alice = new Client(deployment.gateways[0]?.url ?? '', { token: tokenOf('alice') });
    await alice.connect();
    await alice.room('lobby').join();
  }, 60_000);
  afterAll(async () => {
    await alice.close();
    await deployment.stop();
  });

  const order = (body: unknown, token: string | null = tokenOf('reader'), port = ports[0] ?? 0) =>
    askHttp(port, {
      method: 'POST',
      path: '/v1/tickets',
      headers: token === null ? {} : { Authorization: `Bearer ${token}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const ticketFor = async (body: unknown, token?: string): Promise<string> =>
    (JSON.parse((await order(body, token)).body) as { ticket: string }).ticket;

  test('a ticket reads its rooms, history first, each message as an event on one line', async () => {
    await alice.room('lobby').publish('chat', 'before');
    const ticket = await ticketFor({ rooms: ['lobby'], history: 1 });
    const stream = await RawStream.open(ports.at(-1) ?? 0, {}, `?ticket=${ticket}`);
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    await until(() => messages(stream).length === 1);
    await alice.room('lobby').publish('chat', { text: 'a\r\nb\n\ndata: forged\n\n', at: [1, null] });
    await alice.room('lobby').publish('bytes', new Uint8Array([1, 2, 3]));
    await alice.send('reader', 'inbox', 'not for a reader of rooms');
    await until(() => messages(stream).length === 3);
    const [open, ...rest] = eventsOf(stream);
    expect(open).toMatchObject({ name: 'open', data: { client: 'reader' } });
    expect(rest.map(({ data }) => data)).toMatchObject([
      { room: 'lobby', event: 'chat', from: { client: 'alice', session: alice.sessionId }, data: 'before' },
      { event: 'chat', data: { text: 'a\r\nb\n\ndata: forged\n\n', at: [1, null] } },
      { event: 'bytes', encoding: 'bytes', data: 'AQID' },
    ]);
    expect(rest.every(({ id, data }) => id === (data as { id: string }).id)).toBe(true);
    // Longer silent than a proxy of 600 ms would bear: comments come instead.
    await until(() => stream.text.split(':\n\n').length > 3);
    stream.destroy();
    await until(async () => !(await alice.isOnline('reader')) || null);
  });

  const lastId = (stream: RawStream): string => [...stream.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';

  test('a reader comes back to after the last event that it got, wherever and with several rooms', async () => {
    await alice.room('hall').join();
    const rooms = ['lobby', 'hall'];
    const first = await RawStream.open(ports[0] ?? 0, {}, `?ticket=${await ticketFor({ rooms })}`);
    await until(() => /^id: [^;\n]+;[^;\n]+$/m.test(first.text));
    await alice.room('hall').publish('n', 1);
    await until(() => messages(first).length === 1);
    first.destroy();
    for (const [room, n] of [
      ['hall', 2],
      ['lobby', 3],
      ['hall', 4],
    ] as const)
      await alice.room(room).publish('n', n);
    const headers = { 'Last-Event-ID': lastId(first) };
    const second = await RawStream.open(ports.at(-1) ?? 0, headers, `?ticket=${await ticketFor({ rooms })}`);
    await until(() => messages(second).length === 3);
    expect(messages(second).sort()).toEqual([2, 3, 4]);
    await alice.room('lobby').publish('n', 5);
    await until(() => messages(second).length === 4);
    second.destroy();
    // Who opens another EventSource can set no header.
    const query = `&last-event-id=${encodeURIComponent(lastId(second))}`;
    const third = await RawStream.open(ports[0] ?? 0, {}, `?ticket=${await ticketFor({ rooms })}${query}`);
    await alice.room('hall').publish('n', 6);
    await until(() => messages(third).length > 0);
    expect(messages(third)).toEqual([6]);
    third.destroy();
    await alice.room('hall').leave();
  });

  test('a reader that got nothing yet knows where it stands, and is told what cannot be had any more', async () => {
    const first = await RawStream.open(ports[0] ?? 0, {}, `?ticket=${await ticketFor({ rooms: ['lobby'] })}`);
    const id = await until(() => lastId(first) || null);
    first.destroy();
    await alice.room('lobby').publish('n', 'missed');
    const ticket = await ticketFor({ rooms: ['lobby'] });
    const second = await RawStream.open(ports[0] ?? 0, { 'Last-Event-ID': id }, `?ticket=${ticket}`);
    await until(() => messages(second).length === 1);
    expect(eventsOf(second).map(({ name }) => name)).toEqual(['open', 'message']);
    second.destroy();
    const lost = await RawStream.open(
      ports[0] ?? 0,
      { 'Last-Event-ID': 'of-another-log:7-1' },
      `?ticket=${await ticketFor({ rooms: ['lobby'] })}`,
    );
    await until(() => eventsOf(lost).length > 1);
    expect(eventsOf(lost)[1]).toMatchObject({ name: 'gap', data: { room: 'lobby', reason: 'lost' } });
    lost.destroy();
  });

  test.each(['x', ';', '00', 'a:1-1;b:1-1', 'a:0-1', 'a:1-1\u00e4', '['.repeat(3000)])(
    'a reader that says it last read %p is refused',
    async (id) => {
      const ticket = await ticketFor({ rooms: ['lobby'] });
      const answer = await askHttp(ports[0] ?? 0, {
        path: `/v1/events?ticket=${ticket}&last-event-id=${encodeURIComponent(id)}`,
      });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([400, { code: 'last_event_id' }]);
    },
  );

  test('JSON of a sender that has ends of lines between its tokens stays one event', async () => {
    const stream = await RawStream.open(
      ports[0] ?? 0,
      {},
      `?ticket=${await ticketFor({ rooms: ['lobby'] })}`,
    );
    await until(() => eventsOf(stream).length > 0);
    const { WireClient } = await import('../delivery/wire-client.js');
    const [gateway] = deployment.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const wire = await WireClient.connect(gateway, 'carol');
    wire.writeText('[35,1,null,{},"lobby","n","json",{"a":1,\n\r\n\n\n"b":2}]');
    await until(() => messages(stream).length === 1);
    expect(messages(stream)).toEqual([{ a: 1, b: 2 }]);
    expect(eventsOf(stream)).toHaveLength(2);
    stream.destroy();
    wire.close();
  });

  test('a ticket is good once, whichever worker is asked, and for nobody who guesses', async () => {
    const ticket = await ticketFor({ rooms: ['lobby'] });
    const streams = await Promise.all(
      [0, 1, 2, 3].map((i) => RawStream.open(ports[i % ports.length] ?? 0, {}, `?ticket=${ticket}`)),
    );
    const statuses = streams.map(({ response }) => response.statusCode);
    expect(statuses.sort()).toEqual([200, 401, 401, 401]);
    for (const stream of streams) stream.destroy();
    for (const guess of ['', 'x', 'A'.repeat(32), `${ticket}x`, encodeURIComponent('../../etc')]) {
      const answer = await askHttp(ports[0] ?? 0, { path: `/v1/events?ticket=${guess}` });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([401, { code: 'invalid_ticket' }]);
    }
  });

  test('a ticket is refused without a good token, for rooms that it does not permit, and for wrong requests', async () => {
    const codeOf = async (...asked: Parameters<typeof order>): Promise<unknown> => {
      const { status, body } = await order(...asked);
      return [status, (JSON.parse(body) as { code: string }).code];
    };
    expect(await codeOf({ rooms: ['lobby'] }, null)).toEqual([401, 'invalid_token']);
    expect(await codeOf({ rooms: ['lobby'] }, 'a.b.c')).toEqual([401, 'invalid_token']);
    const narrow = tokenOf('reader', { rooms: { join: ['lobby'] } });
    expect(await codeOf({ rooms: ['lobby', 'secret'] }, narrow)).toEqual([403, 'forbidden']);
    const wrong = [
      '',
      '[',
      'null',
      '[]',
      '{}',
      { rooms: [] },
      { rooms: 'lobby' },
      { rooms: ['a b'] },
      { rooms: ['lobby', 'lobby'] },
      { rooms: Array.from({ length: 33 }, (_, i) => `r${i}`) },
      { rooms: ['lobby'], history: -1 },
      { rooms: ['lobby'], history: '5' },
      { rooms: ['lobby'], history: 1001 },
      '{"__proto__":{"rooms":["lobby"]}}',
      '['.repeat(1000),
    ];
    for (const body of wrong) expect(await codeOf(body)).toEqual([400, 'bad_parameter']);
    expect((await order('x'.repeat(9000))).status).toBe(413);
  });

  test('a stream ends with 4504 when its client is revoked', async () => {
    const ticket = await ticketFor({ rooms: ['lobby'] }, tokenOf('mallory'));
    const stream = await RawStream.open(ports[0] ?? 0, {}, `?ticket=${ticket}`);
    await until(() => eventsOf(stream).length > 0);
    const adminPort = String(deployment.gateways[0]?.adminPort);
    await fetch(`http://127.0.0.1:${adminPort}/api/v1/revocations`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ADMIN_KEY}` },
      body: JSON.stringify({ client: 'mallory' }),
    });
    expect(await stream.close()).toBe(4504);
  });
});
