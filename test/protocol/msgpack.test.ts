// Our MessagePack against literal bytes, against msgpack5 both ways, and against what nobody should send.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import msgpack5 from 'msgpack5';
import { GatewayError, ProtocolError } from '../../src/protocol/errors.js';
import { decodeMsgpack, type ReadLimits } from '../../src/protocol/msgpack-reader.js';
import { encodeMsgpack, writeValue } from '../../src/protocol/msgpack-values.js';
import { Writer } from '../../src/protocol/msgpack-writer.js';

const LIMITS: ReadLimits = { fault: 'bad_payload', depth: 64, items: 1_000_000 };
const theirs = msgpack5();
const plain = (bytes: Uint8Array) => Uint8Array.from(bytes);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => plain(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const decode = (input: Uint8Array, limits: Partial<ReadLimits> = {}) =>
  decodeMsgpack(input, { ...LIMITS, ...limits });

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof GatewayError) return error.code;
    throw error;
  }
  return 'no fault';
}

// Edges and everything between; strings of all planes; -0 and the range where msgpack5 errs are tested by themselves.
const int32Quirk = (value: number) => value <= -214748365 && value >= -2147483648;
const integer = fc
  .oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -40_000, max: 70_000 }))
  .filter((value) => !int32Quirk(value));
const number = fc
  .oneof(integer, fc.double(), fc.float())
  .filter((value) => !Object.is(value, -0) && !int32Quirk(value));
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', minLength: 20, maxLength: 90 }),
  fc.integer({ min: 0, max: 70_000 }).map((length) => 'é'.repeat(length % 300) + 'x'.repeat(length)),
);
const key = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => value !== '__proto__');
// msgpack5 rounds where it should cut in the minutes before second 2^32 (the year 2106): compared up to 2100.
const date = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') });
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.constant(null),
      fc.boolean(),
      number,
      text,
      date,
      fc.uint8Array({ maxLength: 300 }).map(plain),
    ),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true }),
  ),
}));

/** Buffers to what they hold, so that values compare whoever decoded them. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return plain(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item)]));
  }
  return value;
}

describe('msgpack5', () => {
  test('reads what we write as the same value', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(normal(theirs.decode(encodeMsgpack(value)))).toEqual(value);
      }),
    );
  });

  test('writes what we read as the same value', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decode(plain(theirs.encode(value)))).toEqual(value);
      }),
    );
  });

  test('writes the same bytes as we do', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(hex(encodeMsgpack(value))).toBe(hex(theirs.encode(value)));
      }),
    );
  });

  test('writes integers from -2147483648 to -214748365 in 64 bits, where we need 32, and both read both', () => {
    for (const value of [-2147483648, -214748365]) {
      expect(encodeMsgpack(value)).toHaveLength(5);
      expect(theirs.encode(value)).toHaveLength(9);
      expect(theirs.decode(encodeMsgpack(value))).toBe(value);
      expect(decode(plain(theirs.encode(value)))).toBe(value);
    }
  });

  test('writes dates near second 2^32 a multiple of 2^32 seconds late, where we write them rightly', () => {
    const value = new Date('2106-02-07T06:11:12.537Z');
    expect(theirs.decode(encodeMsgpack(value))).toEqual(value);
    expect(theirs.decode(theirs.encode(value))).not.toEqual(value);
  });

  test('loses the sign of -0, which we keep', () => {
    expect(theirs.decode(theirs.encode(-0))).toBe(0);
    expect(decode(encodeMsgpack(-0))).toBe(-0);
    expect(theirs.decode(encodeMsgpack(-0))).toBe(-0);
  });
});

describe('encodeMsgpack', () => {
  test.each<[unknown, string]>([
    [null, 'c0'],
    [true, 'c3'],
    [127, '7f'],
    [128, 'cc80'],
    [65536, 'ce00010000'],
    [4294967296, 'cf0000000100000000'],
    [Number.MAX_SAFE_INTEGER, 'cf001fffffffffffff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-2147483648, 'd280000000'],
    [Number.MIN_SAFE_INTEGER, 'd3ffe0000000000001'],
    [2 ** 53, 'cb4340000000000000'],
    [0.5, 'ca3f000000'],
    [0.1, 'cb3fb999999999999a'],
    [18446744073709551615n, 'cfffffffffffffffff'],
    [-9223372036854775808n, 'd38000000000000000'],
    [7n, '07'],
    ['', 'a0'],
    ['grüß', 'a66772c3bcc39f'],
    ['\ud800', 'a3efbfbd'],
    [new Uint8Array([1, 2]), 'c4020102'],
    [new Uint8Array([1, 2]).buffer, 'c4020102'],
    [[], '90'],
    [[undefined, 1], '92c001'],
    [{ a: undefined, b: 1 }, '81a16201'],
    [new Map([[1, 'a']]), '8101a161'],
    [new Date(0), 'd6ff00000000'],
    [new Date(1), 'd7ff003d090000000000'],
    [new Date(-1), 'c70cff3b8b87c0ffffffffffffffff'],
    [new Date(2 ** 34 * 1000), 'c70cff000000000000000400000000'],
  ])('writes %p in its shortest form', (value, expected) => {
    expect(hex(encodeMsgpack(value))).toBe(expected);
  });

  test.each([15, 16, 31, 32, 255, 256, 65535, 65536])(
    'gives the shortest header to %d of each kind',
    (length) => {
      const values = [
        'x'.repeat(length),
        'é'.repeat(length),
        new Uint8Array(length),
        Array.from({ length }, () => 0),
      ];
      for (const value of values) {
        expect(hex(encodeMsgpack(value)).slice(0, 12)).toBe(hex(theirs.encode(value)).slice(0, 12));
        expect(decode(encodeMsgpack(value))).toEqual(value);
      }
      const object = Object.fromEntries(Array.from({ length }, (_, at) => [`k${at}`, at]));
      expect(hex(encodeMsgpack(object))).toBe(hex(theirs.encode(object)));
    },
  );

  test('calls toJSON where an object has it, as RTCSessionDescription does', () => {
    class Description {
      toJSON() {
        return { type: 'offer', sdp: 'v=0' };
      }
    }
    expect(decode(encodeMsgpack(new Description()))).toEqual({ type: 'offer', sdp: 'v=0' });
  });

  const circular: unknown[] = [];
  circular.push(circular);
  test.each<[string, unknown]>([
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a function inside', { run: () => 1 }],
    ['a circular value', circular],
    ['an integer beyond 64 bits', 1n << 64n],
    ['a negative integer beyond 64 bits', -(1n << 63n) - 1n],
    ['an invalid Date', new Date(NaN)],
    ['a Set', new Set([1])],
    ['an Error', new Error('x')],
    ['floats in a typed array', new Float32Array(2)],
    ['the key __proto__', JSON.parse('{"__proto__":1}')],
  ])('refuses %s with bad_payload', (_, value) => {
    expect(faultOf(() => encodeMsgpack(value))).toBe('bad_payload');
  });
});

describe('Writer', () => {
  test('keeps what it handed out whole when more is written', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 9000 }), { maxLength: 12 }), (lengths) => {
        const writer = new Writer();
        const parts = lengths.map((length, at) => {
          writer.reset().raw(new Uint8Array(length).fill(at));
          return writer.take();
        });
        parts.forEach((part, at) => expect(hex(part)).toBe(hex(new Uint8Array(lengths[at] ?? 0).fill(at))));
      }),
      { numRuns: 30 },
    );
  });

  test('leaves nothing of a value that it refused when it is reset', () => {
    const writer = new Writer();
    expect(faultOf(() => writeValue(writer, [1, 2, () => 3]))).toBe('bad_payload');
    writer.reset().text('next');
    expect(hex(writer.take())).toBe('a46e657874');
  });

  test('writes the fields of frames as it writes the same values of an application', () => {
    const ends = [0, 0x7f, 0xff, 0xffff, 0xffffffff, 2 ** 52, Number.MAX_SAFE_INTEGER];
    const integers = ends.flatMap((end) => [end, end + 1, -end, -end - 1]).filter(Number.isSafeInteger);
    const field = [
      null,
      true,
      false,
      'ä',
      'x'.repeat(300),
      integers.filter((value) => !Object.is(value, -0)),
      { a: [{ b: 1 }] },
    ];
    const writer = new Writer();
    writer.field(field);
    expect(hex(writer.take())).toBe(hex(encodeMsgpack(field)));
  });

  test.each([1.5, -0, NaN, 2 ** 53, undefined, 1n, () => {}, [undefined], { a: 0.1 }])(
    'refuses %p as a field of a frame with bad_parameter',
    (field) => {
      expect(faultOf(() => new Writer().field(field))).toBe('bad_parameter');
    },
  );

  test('does not keep the memory of one large frame under small ones', () => {
    const writer = new Writer();
    writer.raw(new Uint8Array(100_000));
    writer.take();
    writer.byte(1);
    expect(writer.take().buffer.byteLength).toBeLessThan(10_000);
  });
});

describe('decodeMsgpack', () => {
  test('leaves the bytes unchanged', () => {
    const negative = bytes('d3ffffffffffffff00');
    expect(decode(negative)).toBe(-256);
    expect(hex(negative)).toBe('d3ffffffffffffff00');
  });

  test('reads integers beyond 2^53 as bigint', () => {
    expect(decode(bytes('cfffffffffffffffff'))).toBe(18446744073709551615n);
    expect(decode(bytes('d38000000000000000'))).toBe(-9223372036854775808n);
  });

  test('makes a Map of a map whose keys are not all strings', () => {
    expect(decode(bytes('83 a161 01 02 a162 a163 03'))).toEqual(
      new Map<unknown, unknown>([
        ['a', 1],
        [2, 'b'],
        ['c', 3],
      ]),
    );
  });

  test('takes keys of Object.prototype as plain data', () => {
    const read = decode(encodeMsgpack({ constructor: 1, toString: 2, then: 3, hasOwnProperty: 4 }));
    expect(read).toEqual({ constructor: 1, toString: 2, then: 3, hasOwnProperty: 4 });
    expect(Reflect.get({}, 'then')).toBeUndefined();
  });

  test('lets the last of equal keys win', () => {
    expect(decode(bytes('82 a161 01 a161 02'))).toEqual({ a: 2 });
  });

  test('gives bytes that do not share memory with the input', () => {
    const input = bytes('c4020102');
    const read = decode(input);
    input.fill(0);
    expect(read).toEqual(new Uint8Array([1, 2]));
  });

  test('reads from a view in the middle of a buffer', () => {
    const whole = bytes('ffff cb3fb999999999999a ffff');
    expect(decode(whole.subarray(2, 11))).toBe(0.1);
  });

  test.each([
    ['nothing', ''],
    ['a cut integer', 'cd01'],
    ['an array32 that claims 4 billion', 'ddffffffff'],
    ['a map32 that claims 4 billion', 'dfffffffff'],
    ['a bin32 that claims 4 GB', 'c6ffffffff00'],
    ['a str32 that claims 4 GB', 'dbffffffff61'],
    ['an ext32 that claims 4 GB', 'c9ffffffff05'],
    ['bytes after the value', '0101'],
    ['0xc1', 'c1'],
    ['nesting of 65', '91'.repeat(65) + 'c0'],
    ['maps nested 65 deep', '81a161'.repeat(65) + 'c0'],
    ['the key __proto__', '81a95f5f70726f746f5f5f80'],
    ['an unknown ext type', 'd40500'],
    ['a timestamp of 2 bytes', 'd5ff0000'],
    ['a timestamp without bytes', 'c700ff'],
    ['a timestamp beyond Date', 'c70cff000000007fffffffffffffff'],
    ['a timestamp with 2^30 ns - 1', 'd7fffffffffc00000000'],
    ['a short string that is not UTF-8', 'a2c328'],
    ['a string that is not UTF-8', 'b5' + '61'.repeat(20) + 'ff'],
    ['an overlong encoding', 'a2c0af'],
    ['a surrogate in UTF-8', 'a3eda080'],
  ])('refuses %s', (_, input) => {
    expect(faultOf(() => decode(bytes(input)))).toBe('bad_payload');
    expect(faultOf(() => decode(bytes(input), { fault: 'bad_frame' }))).toBe('bad_frame');
  });

  test('refuses more values than the limit', () => {
    const maps = plain(Buffer.concat([bytes('ddea60'.replace('dd', 'dc')), Buffer.alloc(60_000, 0x80)]));
    expect(decode(maps)).toHaveLength(60_000);
    expect(faultOf(() => decode(maps, { items: 1024 }))).toBe('bad_payload');
    expect(faultOf(() => decode(bytes('92 92 01 02 91 03'), { items: 5 }))).toBe('bad_payload');
    expect(decode(bytes('92 92 01 02 91 03'), { items: 6 })).toEqual([[1, 2], [3]]);
  });

  test('throws nothing but ProtocolError on any bytes, and what it reads it can read again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        let value: unknown;
        try {
          value = decode(plain(input));
        } catch (error) {
          if (error instanceof ProtocolError) return;
          throw error;
        }
        expect(decode(encodeMsgpack(value))).toEqual(value);
      }),
      { numRuns: 2000 },
    );
  });

  test('refuses every value that is cut at any place', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), (value, at) => {
        const whole = encodeMsgpack(value);
        expect(faultOf(() => decode(whole.subarray(0, at % whole.length)))).toBe('bad_payload');
      }),
    );
  });
});
