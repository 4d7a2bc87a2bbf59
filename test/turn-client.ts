// As much of a TURN client (RFC 8656) as asks a server for what it must refuse, or must not: an allocation, permissions for peers,
// and data to and from them.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const MAGIC_COOKIE = 0x2112a442;
const METHOD = { allocate: 0x003, createPermission: 0x008 } as const;
const INDICATION = { send: 0x016, data: 0x017 } as const;
const ATTRIBUTE = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  realm: 0x0014,
  nonce: 0x0015,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  requestedTransport: 0x0019,
} as const;

type Attributes = [type: number, value: Buffer][];

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function message(method: number, transaction: Buffer, body: Buffer, extraLength = 0): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(method, 0);
  head.writeUInt16BE(body.length + extraLength, 2);
  head.writeUInt32BE(MAGIC_COOKIE, 4);
  return Buffer.concat([head, transaction, body]);
}

function readAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 20; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2);
    found.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return found;
}

/** Of an IPv4 or IPv6 address in its usual form, as the attribute XOR-PEER-ADDRESS (RFC 8656 §18.3). */
function xorAddress(address: string, transaction: Buffer, port = 9): Buffer {
  const isV6 = address.includes(':');
  const plain = isV6 ? bytesOfV6(address) : Buffer.from(address.split('.').map(Number));
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(MAGIC_COOKIE, 0);
  transaction.copy(mask, 4);
  const head = Buffer.from([0, isV6 ? 2 : 1, 0, 0]);
  head.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2);
  return Buffer.concat([head, plain.map((byte, i) => byte ^ (mask[i] ?? 0))]);
}

/** The other way, of IPv4. */
function readXorAddress(value: Buffer): Peer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((value.readUInt32BE(4) ^ MAGIC_COOKIE) >>> 0);
  return { address: bytes.join('.'), port: value.readUInt16BE(2) ^ (MAGIC_COOKIE >>> 16) };
}

function bytesOfV6(address: string): Buffer {
  // The URL parser writes 127.0.0.1 behind colons as hexadecimal digits, too.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const wordsOf = (text = ''): number[] =>
    text === '' ? [] : text.split(':').map((word) => parseInt(word, 16));
  const [front, back] = [wordsOf(head), wordsOf(tail)];
  const words = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** 0 for success. */
function codeOf(attributes: Map<number, Buffer>): number {
  const error = attributes.get(ATTRIBUTE.errorCode);
  return error === undefined ? 0 : error.readUInt8(2) * 100 + error.readUInt8(3);
}

interface Credentials {
  username: string;
  password: string;
}

export interface Peer {
  address: string;
  port: number;
}

export class TurnClient {
  /** What peers send to, of an allocation over IPv4. */
  relayed: Peer | null = null;
  #nonce = Buffer.alloc(0);
  #realm = '';

  private constructor(
    private readonly socket: Socket,
    private readonly credentials: Credentials,
  ) {}

  /** @param credentials of one client, or the secret of the TURN REST scheme to make some with */
  static async connect(
    port: number,
    credentials: Credentials | string,
    host = '127.0.0.1',
  ): Promise<TurnClient> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.connect(port, host);
    await once(socket, 'connect');
    if (typeof credentials !== 'string') return new TurnClient(socket, credentials);
    const username = `${String(Math.floor(Date.now() / 1000) + 600)}:alice`;
    const password = createHmac('sha1', credentials).update(username).digest('base64');
    return new TurnClient(socket, { username, password });
  }

  /** STUN error code of the answer, 0 for success. */
  async allocate(family: 4 | 6 = 4): Promise<number> {
    const transport: Attributes = [
      [ATTRIBUTE.requestedTransport, Buffer.from([17, 0, 0, 0])],
      // Who asks for none gets IPv4.
      ...(family === 6
        ? [[ATTRIBUTE.requestedAddressFamily, Buffer.from([2, 0, 0, 0])] as Attributes[0]]
        : []),
    ];
    const first = await this.#ask(METHOD.allocate, transport, false);
    this.#realm = first.get(ATTRIBUTE.realm)?.toString() ?? '';
    this.#nonce = Buffer.from(first.get(ATTRIBUTE.nonce) ?? []);
    const answer = await this.#ask(METHOD.allocate, transport, true);
    const relayed = answer.get(ATTRIBUTE.xorRelayedAddress);
    if (relayed !== undefined && family === 4) this.relayed = readXorAddress(relayed);
    return codeOf(answer);
  }

  /** The same for a permission to send to an address, of the family of the allocation. */
  async permit(address: string): Promise<number> {
    const transaction = randomBytes(12);
    const peer: Attributes = [[ATTRIBUTE.xorPeerAddress, xorAddress(address, transaction)]];
    return codeOf(await this.#ask(METHOD.createPermission, peer, true, transaction));
  }

  /** To a peer over IPv4 that has a permission; nobody is told whether it arrives. */
  send({ address, port }: Peer, text: string): void {
    const transaction = randomBytes(12);
    const attributes: Attributes = [
      [ATTRIBUTE.xorPeerAddress, xorAddress(address, transaction, port)],
      [ATTRIBUTE.data, Buffer.from(text)],
    ];
    const body = Buffer.concat(attributes.map(([type, value]) => attribute(type, value)));
    this.socket.send(message(INDICATION.send, transaction, body));
  }

  /** The next that a peer over IPv4 sends. */
  async receive(): Promise<{ from: Peer; text: string }> {
    for (;;) {
      const [bytes] = (await once(this.socket, 'message')) as [Buffer];
      const found = readAttributes(bytes);
      const [peer, data] = [found.get(ATTRIBUTE.xorPeerAddress), found.get(ATTRIBUTE.data)];
      if (bytes.readUInt16BE(0) === INDICATION.data && peer !== undefined && data !== undefined)
        return { from: readXorAddress(peer), text: data.toString() };
    }
  }

  close(): void {
    this.socket.close();
  }

  async #ask(
    method: number,
    attributes: Attributes,
    isSigned: boolean,
    transaction = randomBytes(12),
  ): Promise<Map<number, Buffer>> {
    const own: Attributes = isSigned
      ? [
          [ATTRIBUTE.username, Buffer.from(this.credentials.username)],
          [ATTRIBUTE.realm, Buffer.from(this.#realm)],
          [ATTRIBUTE.nonce, this.#nonce],
        ]
      : [];
    const body = Buffer.concat([...attributes, ...own].map(([type, value]) => attribute(type, value)));
    this.socket.send(isSigned ? this.#sign(method, transaction, body) : message(method, transaction, body));
    for (;;) {
      const [bytes] = (await once(this.socket, 'message')) as [Buffer];
      if (bytes.subarray(8, 20).equals(transaction)) return readAttributes(bytes);
    }
  }

  #sign(method: number, transaction: Buffer, body: Buffer): Buffer {
    const { username, password } = this.credentials;
    const key = createHash('md5').update(`${username}:${this.#realm}:${password}`).digest();
    // The length counts the signature before it is there.
    const unsigned = message(method, transaction, body, 24);
    const digest = createHmac('sha1', key).update(unsigned).digest();
    return Buffer.concat([unsigned, attribute(ATTRIBUTE.messageIntegrity, digest)]);
  }
}
