// The handshake that is read without an HTTP parser: what Node's parser makes of the same bytes, or nothing.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readPlainHandshake } from '../../src/transport/plain-handshake.js';
import { HEADER_COUNT_LIMIT } from '../../src/transport/upgrade-check.js';

const LIMIT_BYTES = 16_384;

function request(lines: string[], first = 'GET /v1/connect HTTP/1.1'): string {
  return [first, ...lines, '', ''].join('\r\n');
}

const NEEDED = [
  'Host: gateway.example:8080',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Protocol: signalbox.v1.msgpack, bearer.a.b.c',
];

const fields = (count: number): string[] =>
  Array.from({ length: count }, (_field, index) => `X-${String(index)}: a`);

const read = (text: string, limit = LIMIT_BYTES) =>
  readPlainHandshake(Buffer.from(text, 'latin1'), new Socket(), limit);

describe('a plain handshake', () => {
  let server: Server;

  beforeAll(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.close();
  });

  async function asNodeReadsIt(text: string): Promise<IncomingMessage> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write(text, 'latin1');
    const [read, other] = (await once(server, 'upgrade')) as [IncomingMessage, Socket];
    other.destroy();
    socket.destroy();
    return read;
  }

  const plain: [string, string][] = [
    ['our SDK in Node', request(NEEDED)],
    [
      'Chromium',
      request([
        'Host: gateway.example',
        'Connection: Upgrade',
        'Pragma: no-cache',
        'Cache-Control: no-cache',
        'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36',
        'Upgrade: websocket',
        'Origin: https://app.example',
        'Sec-WebSocket-Version: 13',
        'Accept-Encoding: gzip, deflate, br, zstd',
        'Accept-Language: en-GB,en;q=0.9',
        'Cookie: a=b; c="d"',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
        'Sec-WebSocket-Protocol: signalbox.v1.msgpack, bearer.a.b.c',
      ]),
    ],
    ['Firefox', request([...NEEDED.slice(0, 2), 'Connection: keep-alive, Upgrade', ...NEEDED.slice(3)])],
    [
      'nginx',
      request([...NEEDED.slice(0, 2), 'Connection: upgrade', 'X-Forwarded-For: 203.0.113.7, 10.0.0.1']),
    ],
    [
      'a client that is generous with blanks',
      request(['Host:  a ', 'Upgrade:websocket', 'Connection:   Upgrade ']),
    ],
    ['a client with an empty field', request([...NEEDED, 'Origin:', 'X-Empty:  '])],
    ['a client with names that objects have', request([...NEEDED, 'constructor: a', 'toString: b'])],
    ['a client with a question', request(NEEDED, 'GET /v1/connect?region=eu&a=%20 HTTP/1.1')],
    ['another path that begins so', request(NEEDED, 'GET /v1/connected HTTP/1.1')],
  ];

  test.each(plain)('of %s is read as Node reads it', async (_who, text) => {
    const ours = read(text);
    const nodes = await asNodeReadsIt(text);
    for (const name of ['method', 'url', 'httpVersion', 'rawHeaders', 'headers'] as const)
      expect({ [name]: ours?.[name] }).toEqual({ [name]: nodes[name] });
  });
});

describe('all else is left to Node', () => {
  const other: [string, string][] = [
    ['nothing', ''],
    ['the beginning of one', request(NEEDED).slice(0, -2)],
    ['one with a byte behind it', `${request(NEEDED)}a`],
    ['two of them', request(NEEDED) + request(NEEDED)],
    ['another method', request(NEEDED, 'POST /v1/connect HTTP/1.1')],
    ['another version', request(NEEDED, 'GET /v1/connect HTTP/1.0')],
    ['another path', request(NEEDED, 'GET /v1/poll HTTP/1.1')],
    ['an absolute form', request(NEEDED, 'GET http://a/v1/connect HTTP/1.1')],
    ['a blank in the path', request(NEEDED, 'GET /v1/connect?a b HTTP/1.1')],
    ['no field at all', request([])],
    ['no Upgrade', request(NEEDED.filter((line) => !line.startsWith('Upgrade')))],
    ['no Connection', request(NEEDED.filter((line) => !line.startsWith('Connection')))],
    ['Connection: close', request([...NEEDED.slice(0, 2), 'Connection: close'])],
    ['a field that stands in it twice', request([...NEEDED, 'host: other'])],
    ['a tab, which Node does not take for a blank in Connection', request([...NEEDED, 'X-A: b\t'])],
    ['an empty Upgrade', request(NEEDED.map((line) => line.replace(/^Upgrade:.*/, 'Upgrade:  ')))],
    ['a field that Node makes a list of', request([...NEEDED, 'Set-Cookie: a=b'])],
    ['more fields than may be', request([...NEEDED, ...fields(HEADER_COUNT_LIMIT + 1 - NEEDED.length)])],
    ['Content-Length', request([...NEEDED, 'Content-Length: 0'])],
    ['Transfer-Encoding', request([...NEEDED, 'Transfer-Encoding: chunked'])],
    ['Expect', request([...NEEDED, 'Expect: 100-continue'])],
    ['a folded line', request([...NEEDED, 'X-A: b', ' c'])],
    ['a line without a colon', request([...NEEDED, 'X-A'])],
    ['a blank before a colon', request([...NEEDED, 'X-A : b'])],
    ['a name with a blank', request([...NEEDED, 'X A: b'])],
    ['no name', request([...NEEDED, ': b'])],
    ['a name that is no token', request([...NEEDED, '__proto__: b'])],
    ['a bare line feed', request(NEEDED).replace('\r\nUpgrade', '\nUpgrade')],
    ['a bare line feed in a value', request([...NEEDED, 'X-A: b\nX-C: d'])],
    ['a bare carriage return in a value', request([...NEEDED, 'X-A: b\rc'])],
    ['a zero byte in a value', request([...NEEDED, 'X-A: b\0c'])],
    ['a byte outside of ASCII', request([...NEEDED, 'X-A: \xe4'])],
    ['an end without carriage returns', request(NEEDED).replace(/\r\n\r\n$/, '\n\n')],
  ];

  test.each(other)('%s', (_what, text) => {
    expect(read(text)).toBeNull();
  });

  test('with one field less it is ours', () => {
    expect(read(request([...NEEDED, ...fields(HEADER_COUNT_LIMIT - NEEDED.length)]))).not.toBeNull();
  });

  test('one that is longer than headers may be', () => {
    const text = request(NEEDED);
    expect(read(text, text.length)).not.toBeNull();
    expect(read(text, text.length - 1)).toBeNull();
  });
});
