// Scenario serialization: size and speed of ways to write signaling messages, each alone, as it would travel.
import { isDeepStrictEqual } from 'node:util';
import { createRequire } from 'node:module';
import { deflate, inflate } from 'pako';
import {
  decodePayload,
  deflatePayload,
  encodeMsgpack,
  encodePayload,
  inflateWith,
  PAYLOAD_CODECS,
  SDP_DICTIONARY,
} from '../../dist/protocol/index.js';
import { pakoCompressor } from '../../dist/client/pako-compressor.js';
import { groupedBars } from '../plot/bars.mjs';
import { decodeSignal, encodeSignal } from '../protobuf.mjs';
import { callSetup, candidates, descriptions } from '../samples.mjs';
import { fixed, times } from '../table.mjs';

const msgpack5 = createRequire(import.meta.url)('msgpack5')();
const text = { encode: new TextEncoder(), decode: new TextDecoder() };

const FORMATS = {
  JSON: {
    encode: (value) => text.encode.encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(text.decode.decode(bytes)),
  },
  msgpack5: {
    encode: (value) => msgpack5.encode(value).slice(),
    decode: (bytes) => msgpack5.decode(bytes),
  },
  'our msgpack': {
    encode: (value) => encodeMsgpack(value),
    decode: (data) => decodePayload({ encoding: PAYLOAD_CODECS.msgpack, data }),
  },
  protobuf: { encode: encodeSignal, decode: decodeSignal },
};

const WRAPPERS = {
  '': { wrap: (bytes) => bytes, unwrap: (bytes) => bytes },
  ' + deflate': { wrap: (bytes) => deflate(bytes), unwrap: (bytes) => inflate(bytes) },
  ' + dictionary': {
    wrap: (bytes) => deflate(bytes, { dictionary: SDP_DICTIONARY }),
    unwrap: (bytes) => inflate(bytes, { dictionary: SDP_DICTIONARY }),
  },
};

const AS_SHIPPED = 'as the SDK sends it';
const inflater = { inflate: inflateWith(pakoCompressor) };
/** A payload and its encoding byte; what is small, or would not become smaller, stays as it is. */
const shipped = {
  encode: (value) => deflatePayload(encodePayload(value), pakoCompressor),
  decode: (payload) => decodePayload(payload, inflater),
  size: (payload) => payload.data.length + 1,
};

function ways() {
  const list = Object.entries(FORMATS).flatMap(([name, { encode, decode }]) =>
    Object.entries(WRAPPERS).map(([suffix, { wrap, unwrap }]) => ({
      label: name + suffix,
      encode: (value) => wrap(encode(value)),
      decode: (bytes) => decode(unwrap(bytes)),
      size: (bytes) => bytes.length,
    })),
  );
  return [...list, { label: AS_SHIPPED, ...shipped }];
}

const SLICE_MICROS = 60_000;
const SLICES = 5;

/** µs of CPU time of one call, the fastest of some slices: what disturbs only ever makes it slower. */
function fastest(inputs, work) {
  let best = Infinity;
  for (let slice = 0; slice < SLICES; slice++) {
    const since = process.cpuUsage();
    let rounds = 0;
    let used = 0;
    while (used < SLICE_MICROS) {
      for (const input of inputs) work(input);
      rounds++;
      const { user, system } = process.cpuUsage(since);
      used = user + system;
    }
    best = Math.min(best, used / (rounds * inputs.length));
  }
  return best;
}

async function run({ way: { encode, decode, size } }) {
  const kinds = { descriptions: descriptions(), candidates: candidates() };
  const faults = [];
  for (const value of Object.values(kinds).flat()) {
    if (!isDeepStrictEqual(decode(encode(value)), value)) faults.push('decoded is not what was encoded');
  }
  const bytes = (values) => values.reduce((sum, value) => sum + size(encode(value)), 0);
  const result = { callBytes: bytes(callSetup()), faults };
  for (const [kind, values] of Object.entries(kinds)) {
    result[`${kind}Bytes`] = bytes(values) / values.length;
    result[`${kind}Encode`] = fastest(values, encode);
    result[`${kind}Decode`] = fastest(values.map(encode), decode);
  }
  return result;
}

export const serialization = {
  name: 'serialization',
  defaults: {},
  exact: true,
  cases: () => ways().map((way) => ({ label: way.label, way })),
  run,
  describe: (r) => `a call takes ${r.callBytes} bytes`,
  columns: [
    { head: 'offer + 10 candidates', text: fixed('callBytes', 0) },
    { head: 'JSON', text: times('callBytes', 'JSON') },
    { head: 'bytes/description', text: fixed('descriptionsBytes', 0) },
    { head: 'encode µs', text: fixed('descriptionsEncode', 1) },
    { head: 'decode µs', text: fixed('descriptionsDecode', 1) },
    { head: 'bytes/candidate', text: fixed('candidatesBytes', 0) },
    { head: 'encode µs', text: fixed('candidatesEncode', 1) },
    { head: 'decode µs', text: fixed('candidatesDecode', 1) },
  ],
  goals: [],
  plot: (rows) =>
    groupedBars({
      title: 'Ways to write signaling messages',
      subtitle:
        'real offers, answers and candidates of Chromium; each message compressed by itself, by pako as in browsers',
      groups: [
        ['callBytes', 'Size of an offer and ten candidates', 'bytes'],
        ['candidatesEncode', 'Encoding one candidate', 'µs'],
        ['descriptionsEncode', 'Encoding one offer or answer', 'µs '],
      ].map(([key, name, unit]) => ({
        name,
        unit,
        rows: rows.map((row) => ({
          label: row.label,
          value: row.figures[key],
          ours: row.label === AS_SHIPPED || row.label.startsWith('our'),
        })),
      })),
    }),
};
