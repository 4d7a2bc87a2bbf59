// Asks one URL of a TURN server whether it lives: a STUN binding request (RFC 8489), which TURN servers answer unless told not to, over UDP, TCP or TLS.
import { randomBytes } from 'node:crypto';
import { createSocket, type SocketOptions } from 'node:dgram';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TurnUrl } from '../turn-settings.js';

const BINDING_REQUEST = 0x0001;
/** Of a message's type: it answers a request, well or with an error. */
const RESPONSE_BIT = 0x0100;
const MAGIC_COOKIE = 0x2112a442;
/** Of an answer that must be read; attributes follow. */
const HEAD_BYTES = 20;

export interface StunProbe {
  /** Gives up the request before, if that has no answer yet. */
  ask(): void;
  close(): void;
}

/**
 * Null for DTLS, which Node.js does not speak.
 * @param lookup of host names, over UDP; tests bring their own
 */
export function createProbe(
  host: string,
  { port, transport }: TurnUrl,
  onAnswer: () => void,
  lookup?: SocketOptions['lookup'],
): StunProbe | null {
  const bare = host.replace(/^\[|\]$/g, '');
  switch (transport) {
    case 'udp':
      return createUdpProbe(bare, port, onAnswer, lookup);
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

/** A socket has one family, and a name may have addresses of either: it is asked by both. Those of streams try all addresses by themselves. */
function createUdpProbe(
  host: string,
  port: number,
  onAnswer: () => void,
  lookup: SocketOptions['lookup'],
): StunProbe {
  let transaction = Buffer.alloc(0);
  const types = { 0: ['udp4', 'udp6'], 4: ['udp4'], 6: ['udp6'] } as const;
  const sockets = types[isIP(host) as keyof typeof types].map((type) => {
    const socket = createSocket({ type, lookup });
    socket.unref();
    // A host that is unknown or unreachable does not answer: that is all there is to know.
    socket.on('error', () => {});
    socket.on('message', (bytes) => {
      if (isAnswer(bytes, transaction)) onAnswer();
    });
    return socket;
  });
  return {
    ask: () => {
      transaction = randomBytes(12);
      for (const socket of sockets) socket.send(requestOf(transaction), port, host, () => {});
    },
    close: () => {
      for (const socket of sockets) socket.close();
    },
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

/** A refusal is one, too: coturn with `secure-stun` says 401. */
function isAnswer(bytes: Buffer, transaction: Buffer): boolean {
  return (
    bytes.length >= HEAD_BYTES &&
    (bytes.readUInt16BE(0) & RESPONSE_BIT) !== 0 &&
    bytes.subarray(8, HEAD_BYTES).equals(transaction)
  );
}
