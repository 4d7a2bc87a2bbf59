// Records of a tick: small ones in one piece of memory, the bytes of large payloads as they are, all in order.
import { expect, test } from '@jest/globals';
import { splitRecords } from '../../src/protocol/records.js';
import { recordBytes, recordChunks } from '../../src/transport/tcp-records.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('small records are one piece of memory', () => {
  expect(recordChunks([bytes(1), bytes(2, 3)])).toEqual([Buffer.from([0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 3])]);
  expect(recordChunks([])).toEqual([]);
});

test('records in two pieces stand between the others in order, and their bodies are not copied', () => {
  const [body, other] = [new Uint8Array(70_000).fill(5), new Uint8Array(20_000).fill(6)];
  const records = [
    bytes(1),
    bytes(2),
    { head: bytes(3, 4), body },
    { head: bytes(7), body: other },
    bytes(8),
  ];
  const chunks = recordChunks(records);
  expect(chunks).toContain(body);
  expect(chunks).toContain(other);
  const all = Buffer.concat(chunks);
  expect(all.length).toBe(records.reduce((sum, each) => sum + recordBytes(each), 0));
  expect(splitRecords(all)?.map((record) => Buffer.from(record))).toEqual(
    records.map((each) =>
      each instanceof Uint8Array ? Buffer.from(each) : Buffer.concat([each.head, each.body]),
    ),
  );
});
