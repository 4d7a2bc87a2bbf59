// The TCP port: who a client is by token or by pre-shared key, and what broken, hostile and slow clients get.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { joinRecords, RecordReader } from '../../src/protocol/records.js';
import { proofOf } from '../../src/session/challenge.js';
import { freePort } from '../free-port.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

const KEY = 'device-key_0123456789abcdefABCDEF~4';
const folder = mkdtempSync(join(tmpdir(), 'signalbox-psk-'));
let gateway: GatewayProcess;
let port: number;

/** Records by hand. */
class RawTcp {
  readonly records: string[] = [];
  closedWith: number | null = null;
  ended = false;
  readonly socket: Socket;

  constructor() {
    this.socket = createConnection(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.ended = true));
    const reader = new RecordReader(1e6, {
      record: (bytes) => this.records.push(Buffer.from(bytes).toString('utf8')),
      close: (number) => (this.closedWith = number),
      tooBig: () => undefined,
    });
    this.socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
    });
  }

  say(...records: (string | Uint8Array)[]): void {
    this.socket.write(joinRecords(records.map((record) => Buffer.from(record))));
  }

  async close(): Promise<number | null> {
    await until(() => this.ended);
    return this.closedWith;
  }
}

beforeAll(async () => {
  const keysFile = join(folder, 'keys.json');
  writeFileSync(keysFile, JSON.stringify({ 'device-7': { key: KEY, perm: { send: ['*'] } } }));
  port = await freePort();
  gateway = await startGateway({
    TCP_PORT: String(port),
    TCP_KEYS_FILE: keysFile,
    HELLO_TIMEOUT_MS: '1500',
    FRAME_LIMIT_BYTES: '65536',
    CRASH_LOOP_LIMIT: '3',
  });
});
afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect(await gateway.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

const HELLO = JSON.stringify([0, 1, null, null, null]);

describe('a client with a token', () => {
  test('is let in by it before hello or in it, in both codecs, and by pieces of one byte', async () => {
    const inHello = JSON.stringify([0, 1, tokenOf('alice'), null, null]);
    const packed = msgpackCodec.encodeClient({
      ...{ type: 'hello', version: 1, token: tokenOf('alice'), resume: null, agent: null },
    });
    const before = [`bearer ${tokenOf('alice')}`, HELLO];
    for (const records of [[inHello], before, [packed]]) {
      const client = new RawTcp();
      for (const byte of joinRecords(records.map((record) => Buffer.from(record))))
        client.socket.write(Buffer.from([byte]));
      await until(() => client.records.length > 0);
      expect(client.records[0]).toContain('alice');
      client.say(typeof records[0] === 'string' ? '[9]' : msgpackCodec.encodeClient({ type: 'bye' }));
      expect(await client.close()).toBe(1000);
    }
  });

  test.each([
    ['a bad token', [`bearer x.y.z`, HELLO], 4501],
    ['no token', [HELLO], 4501],
    ['a frame that is not hello', ['[9]'], 4500],
    ['a word that is none', ['hello there'], 4500],
    ['two tokens', ['bearer a', 'bearer b'], 4500],
    ['broken MessagePack', [new Uint8Array([0x92, 0xc1, 0])], 4500],
    ['a hello of another version', ['[0,9,"x"]'], 4506],
  ])('is refused for %s', async (_, records, code) => {
    const client = new RawTcp();
    client.say(...records);
    expect(await client.close()).toBe(code);
  });

  test('is refused with 1009 for the length of a record alone, before and after hello', async () => {
    const before = new RawTcp();
    before.socket.write(Buffer.from([0, 1, 0, 1, 0x5b]));
    expect(await before.close()).toBe(1009);
    const after = new RawTcp();
    after.say(`bearer ${tokenOf('alice')}`, HELLO);
    await until(() => after.records.length > 0);
    after.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    expect(await after.close()).toBe(1009);
  });

  test('is sent away with 4011 when it is silent, drips, or stops in the middle of a record', async () => {
    const [silent, half, drip] = [new RawTcp(), new RawTcp(), new RawTcp()];
    half.socket.write(joinRecords([Buffer.from(HELLO)]).subarray(0, 10));
    let at = 0;
    const timer = setInterval(
      () => drip.socket.write(Buffer.from(`\0\0\0\x20${'['.repeat(32)}`).subarray(at, ++at)),
      100,
    );
    expect(await Promise.all([silent, half, drip].map((client) => client.close()))).toEqual([
      4011, 4011, 4011,
    ]);
    clearInterval(timer);
  });
});

describe('a client with a pre-shared key', () => {
  const NONCE = 'n'.repeat(32);
  /** Answers the challenge as `prove` says; resolves with the gateway's words after it. */
  async function challenged(client: string, prove: (gatewayNonce: string) => string): Promise<RawTcp> {
    const raw = new RawTcp();
    raw.say(`psk1 ${client} ${NONCE}`);
    const [word, gatewayNonce = ''] = (await until(() => raw.records[0])).split(' ');
    expect(word).toBe('psk1');
    raw.say(`psk1 ${prove(gatewayNonce)}`);
    return raw;
  }
  const nonces = (client: string, gatewayNonce: string) => ({ client, clientNonce: NONCE, gatewayNonce });

  test('proves that it has the key, hears the gateway prove it too, and has the permissions of its entry', async () => {
    let seen = '';
    const raw = await challenged('device-7', (nonce) =>
      proofOf(KEY, 'client', nonces('device-7', (seen = nonce))),
    );
    const answer = await until(() => raw.records[1]);
    expect(answer).toBe(`psk1 ${proofOf(KEY, 'gateway', nonces('device-7', seen))}`);
    raw.say(HELLO, '[32,1,"lobby",null]');
    await until(() => raw.records.length === 4);
    expect(raw.records[2]).toContain('"client":"device-7"');
    expect(raw.records[3]).toContain('forbidden');
    raw.say('[9]');
    expect(await raw.close()).toBe(1000);
  });

  test.each([
    ['a wrong key', 'device-7', (nonce: string) => proofOf(`${KEY}x`, 'client', nonces('device-7', nonce))],
    ['an unknown client', 'device-8', (nonce: string) => proofOf(KEY, 'client', nonces('device-8', nonce))],
    [
      "the gateway's own proof",
      'device-7',
      (nonce: string) => proofOf(KEY, 'gateway', nonces('device-7', nonce)),
    ],
    ['an old nonce', 'device-7', () => proofOf(KEY, 'client', nonces('device-7', 'o'.repeat(32)))],
    ['nothing', 'device-7', () => ''],
  ])('is refused with 4501 for %s', async (_, client, prove) => {
    expect(await (await challenged(client, prove)).close()).toBe(4501);
  });

  test('is refused when it says hello before its proof, a short nonce, or no client id', async () => {
    const early = new RawTcp();
    early.say(`psk1 device-7 ${NONCE}`, HELLO);
    expect(await early.close()).toBe(4500);
    for (const words of ['device-7 short', `no,id ${NONCE}`, `device-7 ${NONCE} more`, '']) {
      const raw = new RawTcp();
      raw.say(`psk1 ${words}`);
      expect(await raw.close()).toBe(4500);
    }
  });

  test('of the SDK connects by it, and does not trust a gateway that does not know it', async () => {
    const device = new Client(`tcp://device-7@127.0.0.1:${port}`, { token: KEY });
    await device.connect();
    expect(device.id).toBe('device-7');
    await device.close();
    const wrong = new Client(`tcp://device-7@127.0.0.1:${port}`, { token: `${KEY}-other` });
    await expect(wrong.connect()).rejects.toMatchObject({ code: 'invalid_token' });
  });
});
