// Values of every kind, as texts of JavaScript: to be made on both sides of a way and compared.

/** What payloads can carry. */
export const CARRIED: Record<string, string> = {
  'small integers': '[0, 1, -1, 127, 128, -32, -33, 65536, -2147483649]',
  'integers of 53 bits': '[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, 2 ** 64, 1e300]',
  fractions: '[0.1, 1.5, Math.PI, 5e-324, Number.MAX_VALUE]',
  'negative zero': '-0',
  'NaN and infinities': '[NaN, Infinity, -Infinity]',
  'big integers': '[0n, 1n, -1n, 2n ** 53n, 2n ** 64n - 1n, -(2n ** 63n)]',
  booleans: '[true, false]',
  null: 'null',
  'undefined in an array': '[undefined, 1]',
  'undefined as a property': '({ a: undefined, b: 1 })',
  holes: '[, 1, , 2]',
  strings: '["", "a", "ä€😀", "\\u2028\\0\\"\\\\", "x".repeat(70000)]',
  'half a pair of surrogates': '["\\ud800", "\\udc00x"]',
  'a byte order mark': '"\\ufeffx"',
  dates: '[new Date(0), new Date(-1), new Date(1e12 + 1), new Date(2 ** 34 * 1000), new Date(8.64e15)]',
  'a map': 'new Map([[1, "a"], ["b", new Date(5)], [null, new Map()]])',
  'a map of strings': 'new Map([["a", 1]])',
  bytes: '[new Uint8Array([1, 2, 3]), new Uint8Array(0), new Uint8Array(70000)]',
  'a view of a larger buffer': 'new Uint8Array([1, 2, 3, 4]).subarray(1, 3)',
  'a buffer': 'new Uint8Array([1, 2]).buffer',
  'nested objects': '({ a: { b: [{ c: {} }, []] }, 10: 1, 2: 2, "": 3 })',
  'an object without a prototype': 'Object.assign(Object.create(null), { a: 1 })',
  'an object of a class': 'new (class Point { x = 1; get y() { return 2; } })()',
  'an object with a getter': '({ get a() { return 1; } })',
  'an object with toJSON': '({ secret: 1, toJSON() { return { shown: [new Date(5)] }; } })',
  'an object of a class with toJSON': 'new (class { secret = 1; toJSON() { return "shown"; } })()',
  'an object whose toJSON gives dates': 'new (class { toJSON() { return [new Date(5)]; } })()',
  'dates beside an object with toJSON':
    '[new Date(5), new (class { secret = 1; toJSON() { return "shown"; } })()]',
  'an array with toJSON': 'Object.assign([1, 2], { toJSON: () => "not asked" })',
  'an array with a property': 'Object.assign([1, 2], { a: 1 })',
  'a proxy': 'new Proxy({ a: 1 }, {})',
  'the same object twice': '((shared) => [shared, shared])({ a: new Date(5) })',
  'a symbol as a key': '({ [Symbol.iterator]: 1, a: 2 })',
  'a map of a subclass':
    'new (class extends Map { *[Symbol.iterator]() { yield ["other", 1]; } })([["a", 1]])',
  'a date of a subclass': 'new (class extends Date { getTime() { return 7; } })(5)',
  'a deep value': '((value) => { for (let n = 0; n < 60; n++) value = [value]; return value; })(1)',
};

/** Those that the page encodes: they would be others, or far larger, on the way to a worker. */
export const ENCODED_HERE = [
  'a view of a larger buffer',
  'an object with toJSON',
  'an object of a class with toJSON',
  'an object whose toJSON gives dates',
  'dates beside an object with toJSON',
  'an array with toJSON',
  'a map of a subclass',
  'a date of a subclass',
];

/** What no payload can carry. */
export const REFUSED: Record<string, string> = {
  'a function': '() => 1',
  'a symbol': 'Symbol.iterator',
  'a set': 'new Set([1])',
  'an error': 'new TypeError("no")',
  'a promise': 'Promise.resolve(1)',
  'a regular expression': '/a/',
  'a typed array of other numbers': 'new Float64Array(2)',
  'a view of data': 'new DataView(new ArrayBuffer(2))',
  'a boxed number': 'new Number(1)',
  'an integer beyond 64 bits': '2n ** 64n',
  'an invalid date': 'new Date(NaN)',
  'the key __proto__': 'JSON.parse(\'{ "__proto__": 1 }\')',
  'a map with the key __proto__': 'new Map([["__proto__", 1]])',
  'a circular value': '((value) => { value.own = value; return value; })({})',
  'a value that is too deep':
    '((value) => { for (let n = 0; n < 65; n++) value = [value]; return value; })(1)',
  'a getter that throws': '({ get a() { throw new Error("no"); } })',
  'an object with a tag': '({ [Symbol.toStringTag]: "Tagged" })',
};

/** Enough to go to a worker. */
export const filled = (value: string): string => `[...Array(600).fill(1), ${value}]`;
