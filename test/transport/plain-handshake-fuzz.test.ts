// Random handshakes near the edges of the grammar: whatever is read without Node's parser, Node's parser reads the same.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { readPlainHandshake } from '../../src/transport/plain-handshake.js';

const LIMIT_BYTES = 1_024;
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 4_000);
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_122);
/** Fewer would not show that the interesting ones are reached. */
const LEAST_READ = ROUNDS / 10;

/** Of jest's context: each look-up of a global costs a microsecond there. */
const { imul, floor } = Math;

/** mulberry32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const random = randomOf(SEED);
const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
const some = (all: readonly string[], most: number): string =>
  Array.from({ length: random(most + 1) }, () => pick(all)).join('');

const BLANKS = [...Array<string>(40).fill(' '), ...Array<string>(40).fill(''), '  ', '\t', ' \t', '\t '];
const BYTES = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
const PRINTABLE = BYTES.slice(0x21, 0x7f);
const TEXT = BYTES.slice(0x20, 0x7f);
const TEXT_AND_ODD = [...TEXT, '\t', '\x7f', '\x80', '\xff'];
const TOKENS = ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive', 'close', 'Upgrad', 'Upgrade2', 'x', ''];
const JOINTS = [',', ', ', ',', ', ', ' ,', ' , ', ' ,  ', ',,', ' ', ';', '\t,', ',\t', '\t', '\v', ' \t,'];
const NAMES = [
  'X-A', 'x-a', 'X', '1', '-', 'Cookie', 'Set-Cookie', 'Origin', 'Accept', 'Authorization', 'User-Agent', 'Age', 'ETag',
  'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'X-Forwarded-For',
  'Proxy-Connection', 'Keep-Alive', 'Expect', 'TE', 'Trailer', 'Content-Length', 'Transfer-Encoding', 'Transfer-Encodin',
  'Content-Lengt', 'Connectio', 'Connection-', 'Upgrad', 'Upgrades', 'HTTP2-Settings', 'constructor', 'toString',
  'hasOwnProperty', '__proto__', 'X_A', 'X A', 'X-A ', ' X-A', '', "!#$%&'*+.^_`|~", 'X\u00e4', 'X(', 'X"', 'x-\0',
]; // prettier-ignore
const FRAMING_NAMES = ['Content-Length', 'Transfer-Encoding', 'Set-Cookie'];
const USUAL_NAMES = NAMES.slice(0, 18).filter((name) => name !== 'Set-Cookie');
const LINE_ENDS = [...Array<string>(600).fill('\r\n'), '\n', '\r', '\r\n ', '\r\n\t', '\r\r\n', '\n\r', ''];

function connectionValue(): string {
  const first = pick(random(6) === 0 ? TOKENS : ['Upgrade', 'upgrade', 'keep-alive, Upgrade']);
  return Array.from({ length: random(2) * random(4) }, () => pick(JOINTS) + pick(TOKENS)).reduce(
    (all, next) => all + next,
    first,
  );
}

function value(name: string): string {
  switch (name.toLowerCase()) {
    case 'connection':
    case 'proxy-connection':
      return connectionValue();
    case 'upgrade':
      return pick([
        'websocket',
        'WebSocket',
        'websocket',
        'websocket',
        'websocket',
        'h2c',
        'websocket, h2c',
        '',
        'a b',
        'TLS/1.0',
      ]);
    case 'content-length':
      return pick(['0', '1', '+1', '-1', '', 'a', '0, 0']);
    case 'transfer-encoding':
      return pick(['chunked', 'identity', '', 'gzip, chunked']);
    default:
      return random(3) === 0
        ? some(random(30) === 0 ? BYTES : random(10) === 0 ? TEXT_AND_ODD : TEXT, 12)
        : pick(['', 'a', '13', 'a, b']);
  }
}

function field(name: string): string {
  return `${name}${random(200) === 0 ? pick([' ', '\t', '', ';']) : ''}${random(300) === 0 ? '' : ':'}${pick(BLANKS)}${value(name)}${pick(BLANKS)}`;
}

function target(): string {
  const path = pick(['/v1/connect', '/v1/connect', '/v1/connect', '/v1/connected', '/v1/connect/']);
  return (
    path +
    (random(3) === 0
      ? pick(['?', '#', '??', '?a=', '#?', '%', '//', '\\']) + some(random(8) === 0 ? BYTES : PRINTABLE, 8)
      : '')
  );
}

function handshake(): string {
  const names = ['Connection', 'Upgrade'].filter(() => random(40) > 0);
  if (random(8) > 0) names.push(pick(['Host', 'host', 'HOST']));
  if (random(20) === 0) names.push(pick(['Host', 'Connection', 'Upgrade']));
  for (let i = random(5); i > 0; i--)
    names.push(pick(random(6) === 0 ? NAMES : random(12) === 0 ? FRAMING_NAMES : USUAL_NAMES));
  if (random(500) === 0) for (let i = 0; i < 130; i++) names.push(`a${String(i)}`);
  names.sort(() => random(3) - 1);
  const version =
    random(20) === 0
      ? pick(['HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'HTTP/1.', 'HTTP/1.2'])
      : 'HTTP/1.1';
  const method = random(20) === 0 ? pick(['POST', 'get', 'GET ', 'HEAD', '\r\nGET', 'CONNECT']) : 'GET';
  const lines = [`${method} ${target()} ${version}`, ...names.map(field)];
  const text =
    lines.map((line) => line + pick(LINE_ENDS)).join('') +
    (random(50) === 0 ? pick(['', '\n', '\r', '\r\n\r\n', '\r\nx']) : '\r\n');
  if (random(10) > 0) return text;
  // And a byte of it is another, or gone, or one more.
  const at = random(text.length);
  return (
    text.slice(0, at) + pick([pick(BYTES), pick(PRINTABLE), '', '\r', '\n', ' ']) + text.slice(at + random(2))
  );
}

/** The other side of a connection, without one. */
class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

/** What Node's server makes of it: an upgrade and what follows it, or something else. */
function asNodeReadsIt(server: Server, text: string): { request: IncomingMessage; head: Buffer } | string {
  let seen: { request: IncomingMessage; head: Buffer } | string = 'nothing';
  server.removeAllListeners('upgrade').removeAllListeners('request').removeAllListeners('clientError');
  server.on(
    'upgrade',
    (request: IncomingMessage, _socket: Duplex, head: Buffer) => (seen = { request, head }),
  );
  server.on('request', () => (seen = 'a request that is no upgrade'));
  server.on('clientError', (error: NodeJS.ErrnoException) => (seen = String(error.code)));
  const wire = new Wire();
  server.emit('connection', wire);
  wire.emit('data', Buffer.from(text, 'latin1'));
  wire.destroy();
  return seen;
}

test('whatever is read without Node is read as Node reads it', () => {
  const server = createServer({ maxHeaderSize: LIMIT_BYTES, requireHostHeader: false });
  server.maxHeadersCount = 0;
  const socket = new Socket();
  let read = 0;
  const wrong: Record<string, unknown>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const text = handshake();
    const ours = readPlainHandshake(Buffer.from(text, 'latin1'), socket, LIMIT_BYTES);
    if (ours === null) continue;
    read++;
    const nodes = asNodeReadsIt(server, text);
    const parts = (request: IncomingMessage) => {
      const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders, headers, complete } =
        request;
      return {
        method,
        url,
        httpVersion,
        httpVersionMajor,
        httpVersionMinor,
        rawHeaders,
        headers: { ...headers },
        complete,
      };
    };
    if (typeof nodes === 'string' || nodes.head.length > 0)
      wrong.push({ text, nodes: typeof nodes === 'string' ? nodes : 'bytes behind it' });
    else {
      const [a, b] = [parts(ours), parts(nodes.request)];
      if (JSON.stringify(a) !== JSON.stringify(b)) wrong.push({ text, ours: a, nodes: b });
    }
  }
  if (process.env.FUZZ_OUT) console.log(read, wrong.length, JSON.stringify(wrong.slice(0, 60), null, 1));
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(read).toBeGreaterThan(LEAST_READ);
});
