// Serializers between two clients of a real gateway: every verb, with either codec of the frames, and who lacks one is told.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/client.js';
import type { ClientOptions } from '../../src/client/options.js';
import { type SerializerContext, Serializers } from '../../src/protocol/serializers.js';
import { ADMIN_KEY, type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { freePort } from '../free-port.js';

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({ TCP_PORT: String(await freePort()) });
}, 60_000);
afterAll(() => gateway.stop(), 30_000);

const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function connect(name: string, options: Partial<ClientOptions>): Promise<Client> {
  const client = make(name, options);
  await client.connect();
  return client;
}
function make(name: string, options: Partial<ClientOptions>): Client {
  const client = new Client(gateway.url, { token: tokenOf(name), ...options });
  clients.push(client);
  return client;
}

/** Web Streams are iterable in Node, which the types of browsers do not know. */
async function* chunksOf(readable: ReadableStream<unknown>): AsyncGenerator {
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

class Point {
  readonly #x: number;
  constructor(x: number) {
    this.#x = x;
  }
  get x(): number {
    return this.#x;
  }
}
/** Of which a copy, property by property, would have nothing. */
const isPoint = (value: unknown, x: number): boolean => value instanceof Point && value.x === x;

const contexts: SerializerContext[] = [];
/** Points as their number; other data as MessagePack. */
const points = () =>
  new Serializers()
    .register<Point>({
      name: 'points',
      codec: 9,
      encode: (value) => (value instanceof Point ? new TextEncoder().encode(String(value.x)) : undefined),
      decode(bytes, context) {
        contexts.push(context);
        return new Point(Number(new TextDecoder().decode(bytes)));
      },
    })
    .prefer('points');
/** The same as an extension of MessagePack. */
const extended = () =>
  new Serializers().extend(1, Point, {
    encode: ({ x }, pack) => pack(x),
    decode: (bytes, unpack) => new Point(Number(unpack(bytes))),
  });

const CODECS = [
  ['msgpack', 'json'],
  ['json', 'msgpack'],
] as const;

describe.each([
  ['a serializer', points],
  ['an extension', extended],
])('%s', (_kind, serializers) => {
  test.each(CODECS)('carries the data of every verb from %s frames to %s frames', async (mine, theirs) => {
    const alice = await connect(`alice-${mine}`, { codec: mine, serializers: serializers() });
    const bob = await connect(`bob-${theirs}`, { codec: theirs, serializers: serializers() });
    const to = `bob-${theirs}`;
    const errors: unknown[] = [];
    for (const client of [alice, bob]) client.on('error', (error) => errors.push(error));
    const heard: unknown[] = [];
    bob.onMessage('*', (data) => heard.push(data));
    const room = bob.room('lobby');
    room.onMessage('*', (data) => heard.push(data));
    await room.join();

    await alice.send(to, 'n', new Point(1), { delivered: true });
    await alice.send([to], 'n', new Point(2));
    await alice.send(to, 'n', new Point(3), { volatile: true });
    await alice.broadcast('n', new Point(4));
    await alice.room('lobby').publish('n', new Point(5));
    await until(() => heard.length === 5);
    expect([1, 2, 3, 4, 5].filter((x) => !heard.some((data) => isPoint(data, x)))).toEqual([]);

    bob.onRequest('twice', (data: Point) => new Point(2 * data.x));
    expect(isPoint(await alice.request(to, 'twice', new Point(6)), 12)).toBe(true);
    await bob.provide('thrice', (data: Point) => new Point(3 * data.x));
    expect(isPoint(await alice.call('thrice', new Point(7)), 21)).toBe(true);

    const topic = alice.topic('thrice', 'all');
    const topical = new Promise((resolve) => void topic.onMessage('n', resolve));
    await topic.join();
    await bob.topic('thrice', 'all').publish('n', new Point(8));
    expect(isPoint(await topical, 8)).toBe(true);

    const paired: unknown[] = [];
    await bob.onPair((_from, meta) => {
      paired.push(meta);
      return (pair) => {
        pair.onMessage('n', (data) => paired.push(data));
        pair.onRequest('twice', (data) => new Point(2 * (data as Point).x));
      };
    });
    const pair = await alice.pair(to, { meta: new Point(9) });
    await pair.send('n', new Point(10), { delivered: true });
    expect([isPoint(paired[0], 9), isPoint(paired[1], 10)]).toEqual([true, true]);
    expect(isPoint(await pair.request('twice', new Point(11)), 22)).toBe(true);
    await pair.close();

    const streamed: unknown[] = [];
    bob.onStream('points', async (stream, _from, meta) => {
      streamed.push(meta);
      for await (const chunk of chunksOf(stream.readable)) streamed.push(chunk);
      return new Point(15);
    });
    const stream = await alice.openStream(to, 'points', { meta: new Point(12) });
    const writer = stream.writable.getWriter();
    await writer.write(new Point(13));
    await writer.write(new Uint8Array([1, 2]));
    await writer.close();
    expect(isPoint(await stream.reply, 15)).toBe(true);
    expect([isPoint(streamed[0], 12), isPoint(streamed[1], 13), streamed[2]]).toEqual([
      true,
      true,
      new Uint8Array([1, 2]),
    ]);
    const shared = await alice.room('lobby').openStream('points', { meta: new Point(16) });
    await shared.writable.close();
    expect((await shared.reply).map(({ code, data }) => [code, isPoint(data, 15)])).toEqual([
      ['normal', true],
    ]);
    expect(errors).toEqual([]);
  });
});

test.each(CODECS)('every transport carries it, compressed too (%s to %s)', async (mine, theirs) => {
  const alice = await connect('alice', { codec: mine, serializers: extended(), compressAboveBytes: 100 });
  for (const way of ['sse', 'poll', 'tcp'] as const) {
    const url = way === 'tcp' ? gateway.tcpUrl : gateway.url;
    const other = {
      token: tokenOf(way),
      codec: theirs,
      serializers: points(),
      ...(way === 'tcp' ? {} : { transports: [way] }),
    };
    const bob = new Client(url, other);
    clients.push(bob);
    await bob.connect();
    const long = 'x'.repeat(500);
    bob.onRequest('long', (data) => (data === 9 ? new Point(10) : data));
    expect(await alice.request(way, 'long', long)).toBe(long);
    await expect(alice.request(way, 'long', 9)).rejects.toMatchObject({
      code: 'unknown_encoding',
      codec: 9,
      data: new Uint8Array(Buffer.from('10')),
    });
  }
});

test('a server gets number and bytes of an answer that it cannot read', async () => {
  const bob = await connect('bob', { serializers: points() });
  bob.onRequest('where', () => new Point(12));
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/api/v1/request`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${ADMIN_KEY}` },
    body: JSON.stringify({ to: 'bob', event: 'where' }),
  });
  expect([response.status, await response.json()]).toEqual([
    200,
    { codec: 'app9', data: Buffer.from('12').toString('base64') },
  ]);
});

test('a serializer hears of the event and of answers on both sides', async () => {
  const [alice, bob] = await Promise.all([
    connect('alice', { serializers: points() }),
    connect('bob', { serializers: points(), codec: 'json' }),
  ]);
  bob.onRequest('twice', (data: Point) => new Point(2 * data.x));
  contexts.length = 0;
  await alice.request('bob', 'twice', new Point(1));
  expect(contexts).toEqual([
    { event: 'twice', reply: false },
    { event: 'twice', reply: true },
  ]);
});

test('data are written as they were when the call was made, before there is a connection', async () => {
  const bob = await connect('bob', { serializers: extended() });
  const heard: unknown[] = [];
  bob.onMessage('early', (data) => heard.push(data));
  const alice = make('alice', { serializers: extended() });
  const data = { point: new Point(1), n: 1 };
  const sent = alice.send('bob', 'early', data);
  const wrong = alice.send('bob', 'early', () => {}).catch((error: unknown) => error);
  const nameless = alice.send('bob', 'early', 1, { serializer: 'x' }).catch((error: unknown) => error);
  data.n = 2;
  data.point = new Point(2);
  await alice.connect();
  await sent;
  await until(() => heard.length === 1);
  expect(heard[0]).toMatchObject({ n: 1 });
  expect(isPoint((heard[0] as typeof data).point, 1)).toBe(true);
  expect([await wrong, await nameless]).toMatchObject([{ code: 'bad_payload' }, { code: 'bad_parameter' }]);
});

test.each(CODECS)('the serializer of a call goes before all others (%s to %s)', async (mine, theirs) => {
  const alice = await connect('alice', { codec: mine, serializers: points() });
  const bob = await connect('bob', { codec: theirs });
  const heard: unknown[] = [];
  bob.onMessage('n', (data) => heard.push(data));
  await alice.send('bob', 'n', { a: 1 }, { serializer: 'json' });
  await alice.send('bob', 'n', { a: 2 }, { serializer: 'msgpack' });
  await until(() => heard.length === 2);
  expect(heard).toEqual([{ a: 1 }, { a: 2 }]);
  await expect(bob.send('alice', 'n', 1, { serializer: 'points' })).rejects.toMatchObject({
    code: 'bad_parameter',
  });
  await expect(bob.openStream('alice', 'n', { serializer: 'points' })).rejects.toMatchObject({
    code: 'bad_parameter',
  });
});

describe('a receiver without the serializer', () => {
  const bytes = (x: number) => new TextEncoder().encode(String(x));
  const unknown = (x: number) => ({
    name: 'ProtocolError',
    code: 'unknown_encoding',
    codec: 9,
    data: bytes(x),
  });

  test.each(CODECS)(
    'is told with the bytes, and nothing else is held up (%s to %s)',
    async (mine, theirs) => {
      const alice = await connect('alice', { codec: mine, serializers: points() });
      const bob = make('bob', { codec: theirs });
      const heard: unknown[] = [];
      const errors: unknown[] = [];
      bob.on('error', (error) => errors.push(error));
      bob.onMessage('*', (data) => heard.push(data));
      bob.onRequest('twice', (data) => heard.push(data));
      bob.onStream('points', (_stream, _from, meta) => heard.push(meta));
      // Kept while it is away: the gateway keeps them until what could not be read is passed, too.
      await alice.send('bob', 'n', new Point(1), { offline: 'keep' });
      await alice.send('bob', 'n', 'after it', { offline: 'keep' });
      await bob.connect();
      await until(() => heard.length === 1);
      expect(errors).toMatchObject([unknown(1)]);
      await bob.close();
      await bob.connect();

      await expect(
        alice.send('bob', 'n', new Point(2), { delivered: true, timeoutMs: 1000 }),
      ).rejects.toMatchObject({ code: 'timeout' });
      await expect(alice.request('bob', 'twice', new Point(3))).rejects.toMatchObject({
        code: 'unknown_encoding',
      });
      await bob.provide('thrice', (data) => heard.push(data));
      await expect(alice.call('thrice', new Point(4))).rejects.toMatchObject({ code: 'unknown_encoding' });
      const stream = await alice.openStream('bob', 'points', { meta: new Point(5) });
      await expect(stream.reply).rejects.toMatchObject({ code: 'unknown_encoding' });
      await alice.send('bob', 'n', 'still there', { delivered: true });
      expect(heard).toEqual(['after it', 'still there']);
      expect(errors).toMatchObject([1, 2, 3, 4, 5].map(unknown));
    },
  );

  test('gets the bytes of an answer by its call, and of a chunk by its stream', async () => {
    const alice = await connect('alice', {});
    const bob = await connect('bob', { serializers: points() });
    bob.onRequest('where', () => new Point(1));
    await expect(alice.request('bob', 'where', null)).rejects.toMatchObject(unknown(1));
    const aborted: unknown[] = [];
    bob.onStream('points', async (stream) => {
      stream.closed.catch((error: unknown) => aborted.push(error));
      await stream.writable.getWriter().write(new Point(2));
      return new Promise(() => {});
    });
    const stream = await alice.openStream('bob', 'points');
    await expect(stream.readable.getReader().read()).rejects.toMatchObject(unknown(2));
    await until(() => aborted.length === 1);
    expect(aborted).toMatchObject([{ code: 'unknown_encoding' }]);
  });

  test('is told where its decoder throws', async () => {
    const alice = await connect('alice', { serializers: points() });
    const broken = new Serializers().register({
      name: 'points',
      codec: 9,
      encode: () => undefined,
      decode() {
        throw new Error('boom');
      },
    });
    const bob = await connect('bob', { serializers: broken });
    const errors: unknown[] = [];
    bob.on('error', (error) => errors.push(error));
    await expect(alice.request('bob', 'twice', new Point(1))).rejects.toMatchObject({ code: 'bad_payload' });
    expect(errors).toMatchObject([{ ...unknown(1), code: 'bad_payload', cause: new Error('boom') }]);
  });
});

test('what cannot be written ends a stream for both sides, and rejects everything else before it is sent', async () => {
  const [alice, bob] = await Promise.all([connect('alice', {}), connect('bob', {})]);
  const heard: unknown[] = [];
  bob.onMessage('*', (data) => heard.push(data));
  const ended: unknown[] = [];
  bob.onStream('n', (stream) => {
    stream.closed.catch((error: unknown) => ended.push(error));
    return new Promise(() => {});
  });
  const circular: unknown[] = [];
  circular.push(circular);
  let deep: unknown = 0;
  for (let i = 0; i < 65; i++) deep = [deep];
  for (const data of [() => {}, Symbol('s'), circular, deep, { a: () => {} }])
    await expect(alice.send('bob', 'n', data)).rejects.toMatchObject({ code: 'bad_payload' });
  const stream = await alice.openStream('bob', 'n');
  await expect(stream.writable.getWriter().write(circular)).rejects.toMatchObject({ code: 'bad_payload' });
  await until(() => ended.length === 1);
  expect(ended).toMatchObject([{ code: 'bad_payload' }]);
  expect(heard).toEqual([]);
});

/** Rows of the table in docs/serializers.md: what is written, what arrives. */
const ROWS: [string, unknown, string, unknown][] = [
  ['undefined', undefined, 'undefined', undefined],
  ['null', null, 'null', null],
  ['true', true, 'true', true],
  ["'ä€𝄞'", 'ä€𝄞', "'ä€𝄞'", 'ä€𝄞'],
  ['-1.5', -1.5, '-1.5', -1.5],
  ['2 ** 53', 2 ** 53, '2 ** 53', 2 ** 53],
  ['-0', -0, '-0', -0],
  ['NaN', NaN, 'NaN', NaN],
  ['-Infinity', -Infinity, '-Infinity', -Infinity],
  ['5n', 5n, '5', 5],
  ['2n ** 63n', 2n ** 63n, '2n ** 63n', 2n ** 63n],
  ['new Uint8Array([1])', new Uint8Array([1]), 'new Uint8Array([1])', new Uint8Array([1])],
  ['Buffer.of(1)', Buffer.of(1), 'new Uint8Array([1])', new Uint8Array([1])],
  ['new ArrayBuffer(1)', new ArrayBuffer(1), 'new Uint8Array(1)', new Uint8Array(1)],
  ['{ a: [new Uint8Array([1])] }', { a: [new Uint8Array([1])] }, 'the same', { a: [new Uint8Array([1])] }],
  ['new Date(5)', new Date(5), 'new Date(5)', new Date(5)],
  ['new Date(-1)', new Date(-1), 'new Date(-1)', new Date(-1)],
  ["new Map([[1, 'a']])", new Map([[1, 'a']]), "new Map([[1, 'a']])", new Map([[1, 'a']])],
  ["new Map([['a', 1]])", new Map([['a', 1]]), '{ a: 1 }', { a: 1 }],
  ['{ a: undefined }', { a: undefined }, '{}', {}],
  ['[undefined]', [undefined], '[null]', [null]],
  [
    'an object of a class',
    new (class {
      a = 1;
    })(),
    'its own properties',
    { a: 1 },
  ],
  ['an object with `toJSON`', new URL('http://a/'), 'what `toJSON` returns', 'http://a/'],
];
const REFUSED: [string, unknown][] = [
  ['2n ** 64n', 2n ** 64n],
  ['new Date(NaN)', new Date(NaN)],
  ['new Set()', new Set()],
  ['new Float64Array(1)', new Float64Array(1)],
  ['new DataView(new ArrayBuffer(1))', new DataView(new ArrayBuffer(1))],
  ['new Error()', new Error()],
  ['/a/', /a/],
  ['() => {}', () => {}],
  ['Symbol()', Symbol('s')],
  ["{ ['__proto__']: 1 }", { ['__proto__']: 1 }],
];

test.each(CODECS)('values come out as the table says (%s to %s)', async (mine, theirs) => {
  const serializers = new Serializers();
  const alice = await connect('alice', { codec: mine, serializers });
  const bob = await connect('bob', { codec: theirs });
  const heard: unknown[] = [];
  bob.onMessage('n', (data) => heard.push(data));
  for (const serializer of ['msgpack', 'json']) {
    heard.length = 0;
    for (const [, data] of ROWS)
      alice.send('bob', 'n', data, { serializer }).catch((error: unknown) => heard.push(error));
    await until(() => heard.length === ROWS.length);
    expect(heard).toEqual(ROWS.map(([, , , expected]) => expected));
    for (const [name, data] of REFUSED) {
      const refused = alice.send('bob', 'n', data, { serializer }).then(() => name);
      await expect(refused).rejects.toMatchObject({ code: 'bad_payload' });
    }
  }
});

test('the table in the docs is this one', () => {
  const text = readFileSync(new URL('../../docs/serializers.md', import.meta.url), 'utf8');
  const code = (cell: string) => (/^(an|what|its|the) /.test(cell) ? cell : `\`${cell}\``);
  const rows = ROWS.map(([data, , arrives]) => `| ${code(data)} | ${code(arrives)} |`);
  expect(rows.filter((row) => !text.includes(row))).toEqual([]);
  expect(REFUSED.map(([data]) => `\`${data}\``).filter((cell) => !text.includes(cell))).toEqual([]);
});
