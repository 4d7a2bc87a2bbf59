// Group H and N of the catalogue of bad input: requests that are no good WebSocket handshake.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import {
  HELLO_PROTOCOL,
  JSON_PROTOCOL,
  MSGPACK_PROTOCOL,
  RawWebSocket,
  ask,
  handshake,
} from './raw-websocket.js';

let gateway: GatewayProcess;
let pids: number[];

beforeAll(async () => {
  gateway = await startGateway({ HEADERS_TIMEOUT_MS: '1000', ORIGINS: 'https://good.com' });
  pids = (await gateway.workers()).map(({ pid }) => pid);
});

afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  expect(await gateway.stop()).toBe(0);
});

describe('a handshake', () => {
  test('is completed when it is right', async () => {
    const { status, headers } = await ask(gateway.port, handshake());
    expect(status).toBe(101);
    expect(headers['sec-websocket-protocol']).toBe(JSON_PROTOCOL);
  });

  const key = Buffer.alloc(16, 7).toString('base64');
  const refused: [string, string, number][] = [
    ['H1 is a POST', handshake({}, 'POST /v1/connect HTTP/1.1'), 405],
    ['H2 is HTTP/1.0', handshake({}, 'GET /v1/connect HTTP/1.0'), 400],
    ['H3 says HTTP/2.0', handshake({}, 'GET /v1/connect HTTP/2.0'), 400],
    ['H4 has no Host', handshake({ Host: null }), 400],
    ['H4 has an empty Host', handshake({ Host: '' }), 400],
    ['H4 has two Hosts', handshake().replace('\r\n', '\r\nHost: evil\r\n'), 400],
    ['H6 has another path', handshake({}, 'GET /v1/other HTTP/1.1'), 404],
    ['H6 has dots in its path', handshake({}, 'GET /v1/../v1/connect HTTP/1.1'), 404],
    ['H6 has an absolute form', handshake({}, 'GET http://localhost/v1/connect HTTP/1.1'), 404],
    ['H7 has no Upgrade', handshake({ Upgrade: null }), 426],
    ['H7 has no Connection: Upgrade', handshake({ Connection: 'close' }), 426],
    ['H8 upgrades to something else', handshake({ Upgrade: 'foo' }), 400],
    ['H8 upgrades to two protocols', handshake({ Upgrade: 'websocket, foo' }), 400],
    ['H9 has no key', handshake({ 'Sec-WebSocket-Key': null }), 400],
    ['H9 has a short key', handshake({ 'Sec-WebSocket-Key': 'AAAA' }), 400],
    ['H9 has two keys', handshake().replace('\r\n', `\r\nSec-WebSocket-Key: ${key}\r\n`), 400],
    [
      'H13 has Content-Length and Transfer-Encoding',
      handshake({ 'Content-Length': '1', 'Transfer-Encoding': 'chunked' }),
      400,
    ],
    ['H13 has a body', `${handshake({ 'Content-Length': '3' })}abc`, 400],
    ['H14 has a header of more than 16 KiB', handshake({ Cookie: 'a'.repeat(20_000) }), 431],
    [
      'H15 has 1,500 header fields',
      handshake(Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`a${String(i)}`, '']))),
      431,
    ],
    ['H16 begins with garbage', 'garbage\r\n\r\n', 400],
    ['H19 comes from a foreign origin', handshake({ Origin: 'https://evil.example' }), 403],
    ['H19 comes from the origin null', handshake({ Origin: 'null' }), 403],
    [
      'H19 comes from an origin that begins like a good one',
      handshake({ Origin: 'https://good.com.evil.com' }),
      403,
    ],
    ['H19 comes from a good origin in upper case', handshake({ Origin: 'https://GOOD.com' }), 403],
    ['H19 comes from a good origin with a dot at its end', handshake({ Origin: 'https://good.com.' }), 403],
    ['H19 comes from another port of a good origin', handshake({ Origin: 'https://good.com:8443' }), 403],
    ['H19 comes from another scheme of a good origin', handshake({ Origin: 'http://good.com' }), 403],
    [
      'H19 has two origins',
      handshake({ Origin: 'https://good.com' }).replace('\r\n', '\r\nOrigin: https://evil.example\r\n'),
      403,
    ],
    ['H20 has a token in its URL', handshake({}, `GET /v1/connect?token=${tokenOf('alice')} HTTP/1.1`), 400],
    ['H20 has an access_token in its URL', handshake({}, `GET /v1/connect?a=1&access_token=x HTTP/1.1`), 400],
    // The table says "destroy": the gateway answers before it does.
    ['H22 brings a second request with it', handshake() + handshake(), 400],
    ['H25 asks for /metrics', handshake({}, 'GET /metrics HTTP/1.1'), 404],
    ['H25 asks for /admin', handshake({}, 'GET /admin HTTP/1.1'), 404],
    ['N1 offers no subprotocol', handshake({ 'Sec-WebSocket-Protocol': null }), 400],
    [
      'N3 offers a subprotocol twice',
      handshake({ 'Sec-WebSocket-Protocol': `${JSON_PROTOCOL}, ${JSON_PROTOCOL}` }),
      400,
    ],
    ['N3 offers an empty element', handshake({ 'Sec-WebSocket-Protocol': `${JSON_PROTOCOL},,` }), 400],
    ['N3 offers an illegal token', handshake({ 'Sec-WebSocket-Protocol': `${JSON_PROTOCOL}, gw@v1` }), 400],
  ];
  test.each(refused)('is refused when it %s', async (_name, request, status) => {
    expect((await ask(gateway.port, request)).status).toBe(status);
  });

  test('H7 is told what to upgrade to when it is a plain GET', async () => {
    const { headers } = await ask(gateway.port, handshake({ Upgrade: null, Connection: 'close' }));
    expect(headers.upgrade).toBe('websocket');
  });

  test.each([null, '8', '12', '13, 13', ''])(
    'H10 H11 is told version 13 when it says %j',
    async (version) => {
      const { status, headers } = await ask(gateway.port, handshake({ 'Sec-WebSocket-Version': version }));
      expect(status).toBe(426);
      expect(headers['sec-websocket-version']).toBe('13');
    },
  );

  test('H16 is refused and counted when it is a TLS hello', async () => {
    const before = await gateway.metric('handshakes_total', { outcome: 'bad_request' });
    const hello = Buffer.concat([Buffer.from('16030100f8010000f40303', 'hex'), Buffer.alloc(237, 0x55)]);
    expect((await ask(gateway.port, hello)).status).toBe(400);
    await until(async () => (await gateway.metric('handshakes_total', { outcome: 'bad_request' })) > before);
  });

  test('H17 is refused with 408 when its header never ends', async () => {
    expect((await ask(gateway.port, 'GET /v1/connect HTTP/1.1\r\nHost: local')).status).toBe(408);
  });

  test('H18 is completed when there is no Origin, which only programs leave out', async () => {
    expect((await ask(gateway.port, handshake({ Origin: null }))).status).toBe(101);
    expect((await ask(gateway.port, handshake({ Origin: 'https://good.com' }))).status).toBe(101);
  });

  // H21: design.md completes the handshake, because a script in a browser cannot see a 401.
  test('H21 is completed without a token, which hello may bring, and closed with 4501 when it does not', async () => {
    const client = await RawWebSocket.open(gateway.port);
    client.say([0, 1, null, null, null]);
    expect((await client.ended).code).toBe(4501);
  });

  test('H22 is no second one on the same socket', async () => {
    const client = await RawWebSocket.open(gateway.port);
    client.write(Buffer.from(handshake()));
    expect((await client.ended).code).toBe(1002);
  });

  test.each([
    ['is refused', handshake({ Upgrade: 'foo' })],
    ['cannot be parsed', 'garbage\r\n\r\n'],
    ['is too large to parse', handshake({ Cookie: 'a'.repeat(20_000) })],
  ])('leaves no socket behind when it %s and the client keeps its side open', async (_name, request) => {
    const socket = createConnection({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(request);
    // A socket that is gone answers what is still written to it with a reset.
    const timer = setInterval(() => socket.write('x'), 20);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(timer);
  });
});

describe('the choice of a subprotocol', () => {
  test('N2 answers 400 with the list of versions when nothing of ours is offered', async () => {
    const { status, body } = await ask(gateway.port, handshake({ 'Sec-WebSocket-Protocol': 'gw.v9' }));
    expect(status).toBe(400);
    expect(JSON.parse(body)).toEqual({
      code: 'unsupported_version',
      subprotocols: [MSGPACK_PROTOCOL, JSON_PROTOCOL],
    });
  });

  test('N2 completes and closes with 4506 when only other versions of ours are offered', async () => {
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': 'signalbox.v9.json' });
    expect(client.answer.headers['sec-websocket-protocol']).toBe('signalbox.v9.json');
    expect((await client.ended).code).toBe(4506);
  });

  test.each([
    (token: string) => `${JSON_PROTOCOL}, bearer.${token}`,
    (token: string) => `bearer.${token}, ${JSON_PROTOCOL}`,
  ])('N4 takes the token beside it, and never echoes or logs it (%#)', async (offer) => {
    const token = tokenOf('alice');
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': offer(token) });
    expect(client.answer.headers['sec-websocket-protocol']).toBe(JSON_PROTOCOL);
    client.say([0, 1, null, null, null]);
    expect((await client.next())[0]).toBe(1);
    expect(gateway.output()).not.toContain(token);
    await client.destroy();
  });

  const offer = (frame: unknown, protocol = JSON_PROTOCOL): string =>
    `${protocol}, bearer.${tokenOf('alice')}, ${HELLO_PROTOCOL}, hello.${Buffer.from(JSON.stringify(frame)).join('.')}`;

  test('takes the hello beside it, and answers the handshake and the hello in one piece', async () => {
    const socket = createConnection(gateway.port, '127.0.0.1');
    socket.write(handshake({ 'Sec-WebSocket-Protocol': offer([0, 1, null, null, null]) }));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString('latin1')).toMatch(
      /^HTTP\/1\.1 101 [^]*Sec-WebSocket-Protocol: signalbox\.v1\.hello\r\n\r\n[^]{2,4}\[1,\{/,
    );
    socket.destroy();
  });

  test.each<[string, string, number]>([
    ['a hello with a bad token', offer([0, 1, 'a.b.c', null, null]), 4501],
    ['a hello of another version', offer([0, 2, null, null, null]), 4506],
    ['a frame that is none', offer('x'), 4500],
    ['another frame than hello', offer([9]), 4500],
    ['a hello of nothing', `${JSON_PROTOCOL}, ${HELLO_PROTOCOL}, hello.x`, 4500],
    ['a hello that is not there', `${JSON_PROTOCOL}, ${HELLO_PROTOCOL}`, 4500],
    ['a hello in the other codec', offer([0, 1, null, null, null], MSGPACK_PROTOCOL), 4500],
    ['a hello that is too long', offer([0, 1, null, null, 'a'.repeat(2100)]), 4500],
  ])('completes the handshake to refuse %s', async (_name, protocols, code) => {
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': protocols });
    expect((await client.ended).code).toBe(code);
  });

  test('reads no hello where the client could not know that it did', async () => {
    const protocols = `${JSON_PROTOCOL}, bearer.${tokenOf('alice')}, hello.91.48.44.49.93`;
    const client = await RawWebSocket.open(gateway.port, { 'Sec-WebSocket-Protocol': protocols });
    expect(client.answer.headers['sec-websocket-protocol']).toBe(JSON_PROTOCOL);
    client.say([0, 1, null, null, null]);
    expect((await client.next())[0]).toBe(1);
    await client.destroy();
  });

  test('takes a hello once', async () => {
    const client = await RawWebSocket.open(gateway.port, {
      'Sec-WebSocket-Protocol': offer([0, 1, null, null, null]),
    });
    expect((await client.next())[0]).toBe(1);
    client.say([0, 1, null, null, null]);
    expect((await client.ended).code).toBe(4500);
  });

  test('takes the token of Authorization when there is no other', async () => {
    const client = await RawWebSocket.open(gateway.port, { Authorization: `Bearer ${tokenOf('alice')}` });
    client.say([0, 1, null, null, null]);
    expect((await client.next())[0]).toBe(1);
    await client.destroy();
  });

  test.each([
    // N6: RFC 7692 wants offers that cannot be accepted declined, and all of them are declined here.
    ['N6 permessage-deflate with a bad parameter', 'permessage-deflate; server_max_window_bits=99'],
    ['N6 permessage-deflate with a repeated parameter', 'permessage-deflate; a; a'],
    ['N7 an unknown extension', 'x-unknown; q=1'],
    ['N8 permessage-deflate', 'permessage-deflate'],
  ])('declines %s', async (_name, extensions) => {
    const { status, headers } = await ask(
      gateway.port,
      handshake({ 'Sec-WebSocket-Extensions': extensions }),
    );
    expect(status).toBe(101);
    expect(headers['sec-websocket-extensions']).toBeUndefined();
  });
});

describe('a plain request', () => {
  test.each(['PUT', 'DELETE', 'TRACE', 'POST'])('gets 405 with Allow when it is a %s', async (method) => {
    const { status, headers } = await ask(
      gateway.port,
      `${method} /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    expect(status).toBe(405);
    expect(headers.allow).toBe('GET, HEAD');
  });

  test('gets no playground when the gateway is not in development mode', async () => {
    expect((await ask(gateway.port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')).status).toBe(404);
  });
});
