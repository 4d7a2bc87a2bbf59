// The codec that is in a worker: data are the same on the other side of the way, or do not take it; and what becomes of them when the worker goes.
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { Decodings, Encodings, type EncodeTask } from '../../../src/client/offload-codec.js';
import { formOf, MIN_VALUES, pack, type Parcel, unpack } from '../../../src/client/offload-forms.js';
import type { Payload } from '../../../src/protocol/frame.js';
import { decodePayload, encodePayload } from '../../../src/protocol/payload.js';
import { CARRIED, ENCODED_HERE, filled, REFUSED } from './values.js';

const valueOf = (source: string): unknown => (0, eval)(`(${source})`);
/** As `postMessage` passes it. */
const passed = ([text, data]: Parcel): Parcel =>
  text === null ? [null, atHome(structuredClone(data))] : [text];

/** Node clones into the realm that is around that of the test; test/browser/offload-codec.test.ts has the real thing. */
function atHome(value: unknown): unknown {
  switch (Object.prototype.toString.call(value)) {
    case '[object Array]':
      return Object.assign([], value, { length: (value as unknown[]).length }, atHomeIn(value));
    case '[object Object]':
      return Object.fromEntries(Object.entries(atHomeIn(value)));
    case '[object Map]':
      return new Map([...(value as Map<unknown, unknown>)].map(([key, item]) => [atHome(key), atHome(item)]));
    case '[object Date]':
      return new Date(Number(value));
    case '[object Uint8Array]':
      return new Uint8Array(value as Uint8Array);
    case '[object ArrayBuffer]':
      return new Uint8Array(new Uint8Array(value as ArrayBuffer)).buffer;
    default:
      return value;
  }
}

function atHomeIn(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, atHome(item)]));
}

/** What `encode` gives, or the code with which it refuses. */
function outcomeOf(encode: () => Payload): unknown {
  try {
    const { encoding, data } = encode();
    return [encoding, Array.from(data)];
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** What becomes of data that are sent. */
function encodedAway(data: unknown): Payload {
  const form = formOf(data);
  if (form === null) return encodePayload(data);
  let parcel: Parcel;
  try {
    parcel = passed(pack(data, form));
  } catch {
    return encodePayload(data);
  }
  return encodePayload(unpack(parcel));
}

test.each(Object.entries(CARRIED))('%s become the same bytes', (_name, source) => {
  const data = valueOf(source);
  expect(outcomeOf(() => encodedAway(data))).toEqual(outcomeOf(() => encodePayload(data)));
});

test.each(ENCODED_HERE)('%s: the page encodes it', (name) => {
  const post = jest.fn((task: EncodeTask) => void structuredClone(task));
  expect(encodingsWith(post).start(valueOf(filled(CARRIED[name] ?? '')))).toBeNull();
});

test.each(Object.entries(REFUSED))('%s: no worker is asked', (_name, source) => {
  const data = [valueOf(source)];
  const post = jest.fn();
  expect(encodingsWith(post).start([...Array<number>(MIN_VALUES), ...data])).toBeNull();
  expect(outcomeOf(() => encodePayload(data))).toBe('bad_payload');
});

test.each(Object.entries(CARRIED))('%s are decoded to the same data', (_name, source) => {
  const payload = encodePayload(valueOf(source));
  const data = decodePayload(payload);
  const form = formOf(data);
  expect(form).not.toBeNull();
  if (form !== null) expect(unpack(passed(pack(data, form)))).toStrictEqual(decodePayload(payload));
});

test('rows of plain data go as text, and one date among them makes it a clone', () => {
  const rows = valueOf('[{ a: 1, b: ["x", null, true] }]');
  expect(formOf(rows)).toMatchObject({ values: 7, isJson: true });
  expect(formOf([rows, new Date(5)])).toMatchObject({ values: 9, isJson: false });
});

test('the size is known before it is encoded, so that queues count as without a worker', () => {
  const rows = valueOf(
    "Array.from({ length: 500 }, (_, n) => ({ id: n - 250, at: 1e12 + n, price: n / 3, half: n / 2, name: 'x'.repeat(n), tags: ['a', null, true] }))",
  );
  const { length } = encodePayload(rows).data;
  const { bytes = 0 } = formOf(rows) ?? {};
  expect(Math.abs(bytes - length) / length).toBeLessThan(0.01);
});

test('whatever data: the same bytes or the same refusal, and the same data', () => {
  const options = {
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
    withNullPrototype: true,
    withObjectString: true,
    withBoxedValues: true,
  };
  fc.assert(
    fc.property(fc.anything(options), (data) => {
      const direct = outcomeOf(() => encodePayload([data]));
      expect(outcomeOf(() => encodedAway([data]))).toEqual(direct);
      if (typeof direct === 'string') return;
      const read = decodePayload(encodePayload([data]));
      const form = formOf(read);
      expect(form).not.toBeNull();
      if (form !== null) expect(unpack(passed(pack(read, form)))).toStrictEqual(read);
    }),
    { numRuns: 2_000 },
  );
});

/** What `post` is called with goes to the worker. */
function encodingsWith(post: (task: EncodeTask) => void = () => {}, isOpen = () => true): Encodings {
  return new Encodings({ post, isOpen });
}

describe('what a worker encodes', () => {
  const DATA = valueOf(filled('"x"'));

  function started(
    data: unknown = DATA,
  ): [encodings: Encodings, tasks: EncodeTask[], ready: Promise<Payload>] {
    const tasks: EncodeTask[] = [];
    const encodings = encodingsWith((task) => tasks.push(task));
    const loading = encodings.start(data);
    if (loading === null) throw new Error('not started');
    return [encodings, tasks, loading.ready];
  }

  test('is handed over once, and comes back as a payload', async () => {
    const [encodings, [task], ready] = started();
    expect(task).toEqual(['encode', 1, [JSON.stringify(DATA)]]);
    expect(encodings.isDone).toBe(false);
    encodings.take(['encoded', 1, 1, new Uint8Array([1, 2]).buffer]);
    expect(await ready).toEqual({ encoding: 1, data: new Uint8Array([1, 2]) });
    expect(encodings.isDone).toBe(true);
  });

  test('rejects with bad_payload where the worker cannot, and with unavailable where it is gone', async () => {
    const [encodings, , refused] = started();
    encodings.take(['unencodable', 1]);
    await expect(refused).rejects.toMatchObject({ code: 'bad_payload' });
    const lost = encodings.start(DATA);
    encodings.fail();
    await expect(lost?.ready).rejects.toMatchObject({ code: 'unavailable' });
    // Heard too late.
    encodings.take(['unencodable', 2]);
    expect(encodings.isDone).toBe(true);
  });

  test('stays with the page where it is small, or where the platform does not clone it', () => {
    const post = jest.fn(() => {
      throw new DOMException('no', 'DataCloneError');
    });
    expect(encodingsWith(post).start(Array(MIN_VALUES - 2).fill(1))).toBeNull();
    expect(post).not.toHaveBeenCalled();
    const encodings = encodingsWith(post);
    expect(encodings.start(DATA)).toBeNull();
    expect([post.mock.calls.length, encodings.isDone]).toEqual([1, true]);
  });

  test('is bounded: beyond 8 MiB the page encodes', () => {
    const megabyte = [...Array<number>(MIN_VALUES).fill(1), 'x'.repeat(1024 * 1024)];
    const [encodings, tasks] = started(megabyte);
    while (encodings.start(megabyte) !== null);
    expect(tasks.length).toBe(7);
    encodings.take(['encoded', 1, 1, new ArrayBuffer(1)]);
    expect(encodings.start(megabyte)).not.toBeNull();
  });

  test('is carried by a frame that is written while it is the last, and by no other', () => {
    let isOpen = true;
    const encodings = encodingsWith(undefined, () => isOpen);
    const [first, second] = [encodings.start(DATA), encodings.start(DATA)];
    expect([first?.isAtHand?.(), second?.isAtHand?.()]).toEqual([false, true]);
    const carried: unknown[] = [];
    second?.carry?.(() => carried.push(encodings.attached?.id));
    expect(() =>
      second?.carry?.(() => {
        throw new Error('not written');
      }),
    ).toThrow('not written');
    carried.push(encodings.attached);
    expect(carried).toEqual([2, null]);
    isOpen = false;
    expect(second?.isAtHand?.()).toBe(false);
  });
});

test('data that came decoded are read once, and the bytes after that', () => {
  const decodings = new Decodings();
  const read = decodings.reading(decodePayload);
  const payload = encodePayload('bytes');
  decodings.add(payload.data.buffer, [null, 'clone']);
  expect([read(payload, null, 'n'), read(payload, null, 'n')]).toEqual(['clone', 'bytes']);
});
