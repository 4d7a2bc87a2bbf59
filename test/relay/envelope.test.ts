// Envelopes: what one worker writes, another reads; anything else is none.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeEnvelope, EnvelopeEncoder } from '../../src/relay/envelope.js';
import { Names } from '../../src/relay/names.js';

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const list = fc.array(text, { maxLength: 20 });
const name = fc.stringMatching(/^[A-Za-z0-9._~@:/+-]{1,40}$/);
const names = fc.array(name, { maxLength: 20 });
const move = fc.record({
  kind: fc.constant('move'),
  handle: text,
  room: fc.option(name),
  joins: fc.boolean(),
});
const body = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));
const kind = <Kind extends string>(name: Kind) => fc.constant(name);
const envelope = fc.oneof(
  fc.record({ kind: kind('deliver'), origin: text, client: text, sessions: list, body }),
  fc.record({ kind: kind('missing'), client: text, handle: text }),
  fc.record({ kind: kind('request'), origin: text, handle: text, client: text, session: text, body }),
  fc.record({ kind: kind('response'), handle: text, session: text, code: text, text, body }),
  fc.record({ kind: kind('broadcast'), origin: text, patterns: list, except: name, skip: names, body }),
  fc.record({ kind: kind('letter'), origin: text, client: text, session: text, letter: move }),
  fc.record({
    kind: kind('serve'),
    origin: text,
    handle: text,
    session: text,
    service: text,
    timeoutMs: fc.nat(),
    again: fc.boolean(),
    body,
  }),
  fc.record({
    kind: kind('served'),
    handle: text,
    session: text,
    outcome: fc.constantFrom('answer', 'missing', 'busy'),
    load: fc.nat(),
    code: text,
    text,
    body,
  }),
);
type Encodable = Parameters<EnvelopeEncoder['encode']>[0];

describe('an envelope', () => {
  test('comes out as it went in, whatever the encoder wrote before', () => {
    const encoder = new EnvelopeEncoder();
    const names = new Names();
    fc.assert(
      fc.property(envelope, (given) => {
        const encodable = given as Encodable;
        const bytes = encoder.encode(encodable);
        expect(decodeEnvelope(bytes)).toEqual(given);
        expect(decodeEnvelope(bytes, names)).toEqual(given);
        if (encodable.kind !== 'deliver') return;
        const head = encoder.deliverHead(encodable);
        expect(Buffer.concat([head, encodable.body])).toEqual(bytes);
      }),
    );
  });

  test('keeps its bytes when the encoder writes the next one', () => {
    const encoder = new EnvelopeEncoder();
    fc.assert(
      fc.property(envelope, envelope, (first, second) => {
        const bytes = encoder.encode(first as Encodable);
        encoder.encode(second as Encodable);
        expect(decodeEnvelope(bytes)).toEqual(first);
      }),
    );
  });

  test('is null or an envelope for any bytes, and never an exception', () => {
    const kinds = ['deliver', 'missing', 'request', 'response', 'broadcast', 'letter'];
    const bytes = fc
      .tuple(fc.constantFrom(0, 1, 2, 255), fc.nat({ max: 7 }), fc.uint8Array({ maxLength: 60 }))
      .map(([version, type, rest]) => Buffer.from([version, type, ...rest]));
    fc.assert(
      fc.property(fc.oneof(bytes, body), (garbage) => {
        const decoded = decodeEnvelope(garbage);
        if (decoded !== null) expect(kinds).toContain(decoded.kind);
      }),
      { numRuns: 1000 },
    );
  });

  test('is null when it was cut off before its body, has another version or an unknown kind', () => {
    const whole = new EnvelopeEncoder().encode({
      kind: 'missing',
      client: 'alice',
      handle: 'n.1!7',
    } as Encodable);
    for (let length = 0; length < whole.length; length++) {
      expect(decodeEnvelope(whole.subarray(0, length))).toBeNull();
    }
    expect(decodeEnvelope(Buffer.concat([Buffer.from([2]), whole.subarray(1)]))).toBeNull();
    expect(decodeEnvelope(Buffer.concat([Buffer.from([1, 9]), whole.subarray(2)]))).toBeNull();
  });
});
