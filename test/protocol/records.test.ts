// Records in a stream of bytes: however they are cut, each comes out once, in order, and as it went in.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { closeRecord, joinRecords, RecordReader, splitRecords } from '../../src/protocol/records.js';

const LIMIT_BYTES = 3000;

function reader(limitBytes = LIMIT_BYTES): { found: (string | number)[]; push: (bytes: Uint8Array) => void } {
  const found: (string | number)[] = [];
  const records = new RecordReader(limitBytes, {
    record: (bytes) => {
      found.push(Buffer.from(bytes).toString('hex'));
    },
    close: (number) => {
      found.push(number);
    },
    tooBig: () => {
      found.push('too big');
    },
  });
  return {
    found,
    push: (bytes) => {
      records.push(bytes);
    },
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('records come out as they went in, however the bytes are cut', () => {
  const frame = fc.uint8Array({ minLength: 1, maxLength: LIMIT_BYTES });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1 }),
      (frames, cuts) => {
        const bytes = joinRecords(frames);
        expect(splitRecords(bytes)?.map(hex)).toEqual(frames.map(hex));
        const { found, push } = reader();
        const all = Buffer.concat([bytes, closeRecord(4001)]);
        for (let at = 0, i = 0; at < all.length; i++) {
          const end = at + (cuts[i % cuts.length] ?? 1);
          push(all.subarray(at, end));
          at = end;
        }
        expect(found).toEqual([...frames.map(hex), 4001]);
      },
    ),
    { numRuns: 200 },
  );
});

test.each([1, 3, 4, 5, 6, 7, 100])(
  'a record over the limit is refused from its header on, in pieces of %i bytes',
  (size) => {
    const { found, push } = reader(8);
    const all = Buffer.concat([
      joinRecords([new Uint8Array(8)]),
      Buffer.from([0, 0, 0, 9]),
      Buffer.alloc(20),
    ]);
    for (let at = 0; at < all.length; at += size) push(all.subarray(at, at + size));
    expect(found).toEqual(['00'.repeat(8), 'too big']);
  },
);

test('a length of 2 GiB and more is a large number, not a negative one', () => {
  const { found, push } = reader();
  push(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
  expect(found).toEqual(['too big']);
});

test('nothing is handed over behind an end, or after stop()', () => {
  const { found, push } = reader();
  push(Buffer.concat([closeRecord(1000), joinRecords([new Uint8Array(1)])]));
  expect(found).toEqual([1000]);
  const got: number[] = [];
  const stopping = new RecordReader(LIMIT_BYTES, {
    record: (bytes) => {
      got.push(bytes.length);
      stopping.stop();
    },
    close: () => undefined,
    tooBig: () => undefined,
  });
  stopping.push(joinRecords([new Uint8Array(1), new Uint8Array(2)]));
  stopping.push(joinRecords([new Uint8Array(3)]));
  expect(got).toEqual([1]);
});
