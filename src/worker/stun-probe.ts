// Asks one URL of a TURN server whether it lives: a STUN binding request (RFC 8489), which every TURN server answers, over UDP, TCP or TLS.
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TurnUrl } from '../turn-settings.js';

const BINDING_REQUEST = 0x0001;
const BINDING_RESPONSE = 0x0101;
const MAGIC_COOKIE = 0x2112a442;
/** Of an answer that must be read; attributes follow. */
const HEAD_BYTES = 20;

export interface StunProbe {
  /** Gives up the request before, if that has no answer yet. */
  ask(): void;
  close(): void;
}

/** Null for DTLS, which Node.js does not speak. */
export function createProbe(
  host: string,
  { port, transport }: TurnUrl,
  onAnswer: () => void,
): StunProbe | null {
  const bare = host.replace(/^\[|\]$/g, '');
  switch (transport) {
    case 'udp':
      return createUdpProbe(bare, port, onAnswer);
    case 'tcp':
      return createStreamProbe(() => connect({ host: bare, port }), onAnswer);
    case 'tls':
      // Whether its certificate is good is for clients to judge: they may trust others than this machine does.
      return createStreamProbe(
        () =>
          connectTls({
            host: bare,
            port,
            rejectUnauthorized: false,
            ...(isIP(bare) === 0 ? { servername: bare } : {}),
          }),
        onAnswer,
      );
    case 'dtls':
      return null;
  }
}

function createUdpProbe(host: string, port: number, onAnswer: () => void): StunProbe {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.unref();
  let transaction = Buffer.alloc(0);
  // A host that is unknown or unreachable does not answer: that is all there is to know.
  socket.on('error', () => {});
  socket.on('message', (bytes) => {
    if (isAnswer(bytes, transaction)) onAnswer();
  });
  return {
    ask: () => {
      transaction = randomBytes(12);
      socket.send(requestOf(transaction), port, host, () => {});
    },
    close: () => socket.close(),
  };
}

/** A connection for each request: a server that takes none any more is of no use to who comes. */
function createStreamProbe(open: () => Socket, onAnswer: () => void): StunProbe {
  let socket: Socket | null = null;
  const ask = (): void => {
    socket?.destroy();
    const own = (socket = open());
    own.unref();
    const transaction = randomBytes(12);
    let heard = Buffer.alloc(0);
    own.on('error', () => {});
    own.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      if (heard.length < HEAD_BYTES) return;
      own.destroy();
      if (isAnswer(heard, transaction)) onAnswer();
    });
    own.write(requestOf(transaction));
  };
  return { ask, close: () => socket?.destroy() };
}

function requestOf(transaction: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(BINDING_REQUEST, 0);
  head.writeUInt32BE(MAGIC_COOKIE, 4);
  return Buffer.concat([head, transaction]);
}

function isAnswer(bytes: Buffer, transaction: Buffer): boolean {
  return (
    bytes.length >= HEAD_BYTES &&
    bytes.readUInt16BE(0) === BINDING_RESPONSE &&
    bytes.subarray(8, HEAD_BYTES).equals(transaction)
  );
}
