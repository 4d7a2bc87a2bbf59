// Appends, answers and entries on the link to the embedded store come out as they went in; what is cut short is refused.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SessionId } from '../../src/protocol/ids.js';
import { writeAsJson, writeWithBytes } from '../../src/relay/link-value.js';
import { Names } from '../../src/relay/names.js';
import { type EntryEvent, readStoreMessage, StoreMessageWriter } from '../../src/relay/store-message.js';
import type { AppendRequest, AppendResult, Channel } from '../../src/session/store/store.js';
import { inbox, roomLog } from '../session/store/fixture.js';

const writer = new StoreMessageWriter();
const names = new Names();
const read = (bytes: Buffer) => readStoreMessage(bytes, names);
// Names are ASCII by the protocol; whatever else comes must not be mangled either.
const name = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._~@:/+-]{1,128}$/),
  fc.string({ minLength: 1, unit: 'grapheme' }),
);
const channel: fc.Arbitrary<Channel> = fc.oneof(name.map(inbox), name.map(roomLog));
const session = name.map((text) => text as SessionId);
const position = fc.option(name, { nil: null });
const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const request: fc.Arbitrary<AppendRequest> = fc.record({
  channel,
  sender: fc.record({ client: name, session, generation: count }) as fc.Arbitrary<AppendRequest['sender']>,
  seq: fc.option(count, { nil: null }),
  first: fc.option(count, { nil: null }),
  ttlMs: fc.option(count, { nil: null }),
  keep: fc.boolean(),
  only: fc.option(session, { nil: null }),
  skip: fc.array(name, { maxLength: 5 }),
  body,
});
const result: fc.Arbitrary<AppendResult> = fc.oneof(
  fc.tuple(position, count).map(([id, readers]) => ({ status: 'accepted' as const, id, readers })),
  fc
    .constantFrom('duplicate' as const, 'superseded' as const, 'absent' as const)
    .map((status) => ({ status })),
  count.map((expected) => ({ status: 'out_of_order' as const, expected })),
);
const event: fc.Arbitrary<EntryEvent> = fc.record({
  type: fc.constant('entry' as const),
  channel,
  entry: fc.record({
    id: position,
    after: position,
    only: fc.option(session, { nil: null }),
    skip: fc.array(name, { maxLength: 5 }),
    body,
  }),
});

describe('a message between a worker and the embedded store', () => {
  test('is an append, its answer or an entry, and comes out as it went in', () => {
    fc.assert(
      fc.property(count, request, result, event, (id, asked, answer, told) => {
        const append = Buffer.concat([writer.append(id, asked), asked.body]);
        expect(read(append)).toEqual({ kind: 'append', id, request: asked });
        expect(read(writer.appended(id, answer))).toEqual({
          kind: 'appended',
          id,
          result: answer,
        });
        const entry = Buffer.concat([writer.entry(told), told.entry.body]);
        expect(read(entry)).toEqual({ kind: 'entry', event: told });
      }),
    );
  });

  test('is refused where it is cut short', () => {
    fc.assert(
      fc.property(request, event, (asked, told) => {
        const duplicate = writer.appended.bind(writer, 1, { status: 'duplicate' });
        for (const write of [() => writer.append(1, asked), () => writer.entry(told), duplicate]) {
          const bytes = Buffer.from(write());
          for (let length = 1; length < bytes.length; length++)
            expect(() => read(bytes.subarray(0, length))).toThrow();
        }
      }),
      { numRuns: 20 },
    );
  });

  test('with a result that does not exist is refused', () => {
    const bytes = Buffer.from(writer.appended(1, { status: 'duplicate' }));
    bytes[1] = 9;
    expect(() => read(bytes)).toThrow();
  });

  test('is never taken for another form of the link, nor another form for it', () => {
    for (const bytes of [
      writeAsJson({ id: 1 }),
      writeWithBytes({ body: new Uint8Array(1) }),
      Buffer.alloc(0),
    ])
      expect(read(Buffer.from(bytes))).toBeNull();
  });
});
