// Formats and types of an application's own: what is refused at once, what travels, and what is told where it cannot.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Payload } from '../../src/protocol/frame.js';
import { encodeMsgpack } from '../../src/protocol/msgpack-values.js';
import { type Serializer, Serializers } from '../../src/protocol/serializers.js';

class Vector {
  constructor(
    readonly x: unknown,
    readonly y: unknown,
  ) {}
}
class Mark extends Uint8Array {}

const reversed: Serializer = {
  name: 'reversed',
  codec: 9,
  encode: (value) =>
    value instanceof Date ? undefined : new TextEncoder().encode(JSON.stringify(value)).reverse(),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes.reverse())) as unknown,
};
const withVectors = () =>
  new Serializers()
    .extend(5, Vector, {
      encode: ({ x, y }, pack) => pack([x, y]),
      decode(bytes, unpack) {
        const [x, y] = unpack(bytes) as unknown[];
        return new Vector(x, y);
      },
    })
    .extend(6, Mark, { encode: (mark) => new Uint8Array(mark), decode: (bytes) => new Mark(bytes) });

const write = (serializers: Serializers, data: unknown, event = 'n', serializer?: string): Payload =>
  serializers.encode(data, event, { serializer });
const read = (serializers: Serializers, payload: Payload): unknown => serializers.decode(payload, null, 'n');
const both = (serializers: Serializers, data: unknown): unknown =>
  read(serializers, write(serializers, data));
function failureOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

describe('register', () => {
  test.each([
    ['a codec below 8', { codec: 7 }],
    ['a codec above 15', { codec: 16 }],
    ['a codec that is no integer', { codec: 8.5 }],
    ['a codec that is no number', { codec: '9' }],
    ['no name', { name: '' }],
    ['a name that is too long', { name: 'n'.repeat(129) }],
    ['a name that is no text', { name: 9 }],
    ['the name of a built-in codec', { name: 'msgpack' }],
    ['the name of bytes', { name: 'bytes' }],
    ['no encode', { encode: undefined }],
    ['a decode that is no function', { decode: 'decode' }],
    ['events that are a text', { events: 'person' }],
    ['events that are no list', { events: { length: 0 } }],
    ['an event that is no text', { events: ['person', 9] }],
  ])('throws a TypeError for %s', (_what, wrong) => {
    const serializer = { ...reversed, ...wrong } as Serializer;
    expect(() => new Serializers().register(serializer)).toThrow(TypeError);
  });

  test('throws a TypeError for a name, a codec or an event that another one has', () => {
    const serializers = new Serializers().register({ ...reversed, events: ['a'] });
    for (const taken of [{ codec: 10 }, { name: 'other' }, { name: 'other', codec: 10, events: ['b', 'a'] }])
      expect(() => serializers.register({ ...reversed, ...taken })).toThrow(TypeError);
    // What was refused left nothing behind.
    serializers.register({ ...reversed, name: 'other', codec: 10, events: ['b'] });
  });

  test('chooses by the call, then by the event, then by what the client prefers', () => {
    const serializers = new Serializers()
      .register({ ...reversed, events: ['mine'] })
      .register({ ...reversed, name: 'all', codec: 10 })
      .prefer('all')
      .prefer('json', 'text');
    const codecs = ['n', 'mine', 'text', '~pair/mine', '~pair', '~rtc', '~pair/~'].map(
      (event) => write(serializers, { a: 1 }, event).encoding,
    );
    expect(codecs).toEqual([10, 9, 2, 9, 10, 1, 1]);
    expect(write(serializers, 1, 'mine', 'msgpack').encoding).toBe(1);
    expect(write(serializers, 1, '~rtc', 'all').encoding).toBe(10);
    expect(serializers.encode(1, '~pair', { reply: true }).encoding).toBe(1);
  });

  test('throws for a preference that is unknown or already there', () => {
    const serializers = new Serializers().prefer('json', 'a');
    expect(() => serializers.prefer('reversed')).toThrow(TypeError);
    expect(() => serializers.prefer('json', 'a')).toThrow(TypeError);
    expect(failureOf(() => write(serializers, 1, 'n', 'reversed'))).toMatchObject({ code: 'bad_parameter' });
  });
});

describe('a serializer', () => {
  const serializers = new Serializers().register(reversed).prefer('reversed');

  test('gets all data but none at all, and leaves to MessagePack what it returns undefined for', () => {
    expect(write(serializers, { a: 1 }).encoding).toBe(9);
    expect(both(serializers, { a: ['ä', null] })).toEqual({ a: ['ä', null] });
    expect(write(serializers, new Date(5)).encoding).toBe(1);
    expect(both(serializers, new Date(5))).toEqual(new Date(5));
    expect(write(serializers, undefined)).toEqual({ encoding: 0, data: new Uint8Array() });
  });

  test('hears of the event, and whether it is an answer', () => {
    const heard: unknown[] = [];
    const listening = new Serializers().register({
      name: 'listening',
      codec: 8,
      encode: (_value, context) => void heard.push(context),
      decode: (_bytes, context) => heard.push(context),
    });
    listening.encode(1, '~pair/chat', { serializer: 'listening' });
    listening.decode({ encoding: 8, data: new Uint8Array(1) }, null, 'add', true);
    expect(heard).toEqual([
      { event: 'chat', reply: false },
      { event: 'add', reply: true },
    ]);
  });

  const failing = (part: Partial<Serializer>) => new Serializers().register({ ...reversed, ...part });
  const boom = () => {
    throw new Error('boom');
  };

  test.each([
    ['throws', boom],
    ['returns text', () => 'text' as never],
    ['returns a promise', () => Promise.reject(new Error('unheard')) as never],
    ['returns null', () => null as never],
  ])('that %s while it encodes is bad_payload', (_what, encode) => {
    const error = failureOf(() => write(failing({ encode }), 1, 'n', 'reversed'));
    expect(error).toMatchObject({ name: 'GatewayError', code: 'bad_payload' });
  });

  test.each([
    ['throws', boom],
    ['returns a promise that rejects', () => Promise.reject(new Error('unheard'))],
    ['returns a promise that hangs', () => new Promise(() => {})],
    ['returns what can be awaited', () => ({ then: () => {} })],
  ])('that %s while it decodes is bad_payload with the bytes', (_what, decode) => {
    const data = new Uint8Array([1, 2]);
    const error = failureOf(() => read(failing({ decode }), { encoding: 9, data }));
    expect(error).toMatchObject({ name: 'ProtocolError', code: 'bad_payload', codec: 9, data });
  });

  test('cannot change the bytes that are told, or that others have', () => {
    const data = new Uint8Array([1, 2]);
    const decode = (bytes: Uint8Array) => {
      bytes.fill(0);
      throw new Error('boom');
    };
    expect(failureOf(() => read(failing({ decode }), { encoding: 9, data }))).toMatchObject({
      data: new Uint8Array([1, 2]),
    });
    expect(data).toEqual(new Uint8Array([1, 2]));
  });

  test('that nobody has registered is told with codec and bytes', () => {
    const payload = { encoding: 12, data: new Uint8Array([1, 2]) };
    for (const known of [serializers, new Serializers(), withVectors()])
      expect(failureOf(() => read(known, payload))).toMatchObject({
        name: 'ProtocolError',
        code: 'unknown_encoding',
        codec: 12,
        data: new Uint8Array([1, 2]),
      });
  });
});

describe('extend', () => {
  const codec = { encode: () => new Uint8Array(), decode: () => new Vector(0, 0) };

  test.each([-1, -128, 128, 1.5, NaN, '1'])('throws a TypeError for the code %p', (code) => {
    expect(() => new Serializers().extend(code as number, Vector, codec)).toThrow(TypeError);
  });

  test('throws a TypeError for what is no class, and for a code or a class that is taken', () => {
    const { method } = { method() {} };
    for (const type of [Object, Array, 'Vector', undefined, () => {}, method, Function.prototype])
      expect(() => new Serializers().extend(1, type as unknown as typeof Vector, codec)).toThrow(TypeError);
    expect(() => withVectors().extend(5, Date, { ...codec, decode: () => new Date() })).toThrow(TypeError);
    expect(() => withVectors().extend(7, Vector, codec)).toThrow(TypeError);
    expect(() => new Serializers().extend(7, Vector, {} as typeof codec)).toThrow(TypeError);
  });

  test('has objects of a class travel wherever they stand, also as bytes and in each other', () => {
    const data = { a: [new Vector(1, new Vector('x', new Date(5)))], b: new Map([[1, new Vector(0, 0)]]) };
    expect(both(withVectors(), data)).toEqual(data);
    expect(both(withVectors(), new Mark([1, 2]))).toEqual(new Mark([1, 2]));
    expect(write(withVectors(), new Uint8Array([1, 2])).encoding).toBe(3);
    // JSON would lose the class.
    expect(write(withVectors().prefer('json'), data).encoding).toBe(1);
    expect(write(withVectors().prefer('json'), { a: 1 }).encoding).toBe(2);
  });

  test.each([0, 1, 2, 3, 4, 8, 15, 16, 17, 255, 256, 65535, 65536])('carries %i bytes', (length) => {
    const mark = new Mark(length).fill(7);
    expect(both(withVectors(), mark)).toEqual(mark);
  });

  test('refuses what is circular or too deep when it is written, and too deep when it is read', () => {
    const loop: unknown[] = [];
    loop.push(new Vector(loop, 0));
    expect(failureOf(() => write(withVectors(), loop))).toMatchObject({ code: 'bad_payload' });
    let deep: unknown = 1;
    for (let i = 0; i < 32; i++) deep = new Vector(deep, 0);
    expect(both(withVectors(), deep)).toEqual(deep);
    expect(failureOf(() => write(withVectors(), [deep]))).toMatchObject({ code: 'bad_payload' });
    // Ext 8 in ext 8, each a level; made by hand because nobody here writes it.
    let nested = Buffer.from([0xc0]);
    for (let i = 0; i < 80; i++) {
      const { length } = nested;
      const head = length < 256 ? [0xc7, length, 8] : [0xc8, length >> 8, length & 255, 8];
      nested = Buffer.concat([Buffer.from(head), nested]);
    }
    class Box {
      constructor(readonly inner: unknown) {}
    }
    const boxes = new Serializers().extend(8, Box, {
      encode: () => new Uint8Array(),
      decode: (bytes, unpack) => new Box(unpack(bytes)),
    });
    const error = failureOf(() => read(boxes, { encoding: 1, data: new Uint8Array(nested) }));
    expect(error).toMatchObject({ code: 'bad_payload' });
  });

  test.each([
    ['returns no bytes', { encode: () => undefined as never }],
    ['throws', { encode: () => JSON.parse('{') as never }],
  ])('refuses an extension that %s when it is written', (_what, part) => {
    const serializers = new Serializers().extend(1, Vector, { ...codec, ...part });
    expect(failureOf(() => write(serializers, [new Vector(1, 2)]))).toMatchObject({ code: 'bad_payload' });
  });

  test.each([
    ['throws', { decode: () => JSON.parse('{') as never }],
    ['returns nothing', { decode: () => undefined as never }],
    ['returns a promise', { decode: () => Promise.resolve(1) as never }],
  ])('tells the bytes of the payload where an extension %s when it is read', (_what, part) => {
    const serializers = new Serializers().extend(1, Vector, { ...codec, ...part });
    const payload = write(serializers, [new Vector(1, 2)]);
    expect(failureOf(() => read(serializers, payload))).toMatchObject({
      code: 'bad_payload',
      codec: 1,
      data: payload.data,
    });
  });

  test('tells the bytes where an extension is not known, or a map has the key __proto__', () => {
    const unknown = { encoding: 1, data: new Uint8Array([0xd4, 9, 0]) };
    const polluting = encodeMsgpack({ proto: { polluted: true } });
    const at = Buffer.from(polluting).indexOf('proto') - 1;
    const data = new Uint8Array(
      Buffer.concat([
        polluting.subarray(0, at),
        Buffer.from('\xa9__proto__', 'latin1'),
        polluting.subarray(at + 6),
      ]),
    );
    for (const payload of [unknown, { encoding: 1, data }])
      expect(failureOf(() => read(withVectors(), payload))).toMatchObject({
        code: 'bad_payload',
        codec: 1,
        data: payload.data,
      });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

test('whatever is written is read as it was, with every serializer', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double({ noDefaultInfinity: false }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }).filter((n) => !Number.isSafeInteger(Number(n))),
    fc.date({ noInvalidDate: true }),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
        tie('value'),
        {
          maxKeys: 4,
          noNullPrototype: true,
        },
      ),
      fc.tuple(tie('value'), tie('value')).map(([x, y]) => new Vector(x, y)),
    ),
  }));
  const serializers = withVectors().register({
    name: 'wrapped',
    codec: 8,
    encode: (data) => encodeMsgpack([0, withVectors().encode([data], 'n', {}).data]),
    decode: (bytes) => {
      const inner = new Serializers().decode({ encoding: 1, data: bytes }, null, 'n') as [0, Uint8Array];
      return (withVectors().decode({ encoding: 1, data: inner[1] }, null, 'n') as unknown[])[0];
    },
  });
  fc.assert(
    fc.property(value, fc.constantFrom('msgpack', 'json', 'wrapped'), (data, name) => {
      expect(read(serializers, write(serializers, data, 'n', name))).toEqual(data);
    }),
    { numRuns: 150 },
  );
});

test('garbage is data or bad_payload, never anything else', () => {
  const serializers = withVectors().register(reversed);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 2, 9), (data, encoding) => {
      try {
        read(serializers, { encoding, data });
      } catch (error) {
        expect(error).toMatchObject({ name: 'ProtocolError', code: 'bad_payload', codec: encoding, data });
      }
    }),
    { numRuns: 300 },
  );
});
