// Asks the TURN servers over UDP whether they live: a STUN binding request (RFC 8489), which every TURN server answers.
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { TurnHealth } from '../session/turn-broker.js';
import type { TurnServer } from '../turn-settings.js';

/** Requests without an answer after which a server counts as dead. */
const SILENCE_LIMIT = 2;
const BINDING_REQUEST = 0x0001;
const BINDING_RESPONSE = 0x0101;
const MAGIC_COOKIE = 0x2112a442;

export class TurnCheck implements TurnHealth {
  readonly #servers: readonly TurnServer[];
  /** Requests since the last answer. */
  readonly #silent = new Map<TurnServer, number>();
  readonly #sockets: Socket[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** @param everyMs 0 for never */
  constructor(servers: readonly TurnServer[], everyMs: number) {
    this.#servers = servers.filter(({ isUdp }) => isUdp);
    if (everyMs === 0 || this.#servers.length === 0) return;
    const ask = this.#servers.map((server) => this.#asker(server));
    const askAll = (): void => {
      for (const run of ask) run();
    };
    this.#timer = setInterval(askAll, everyMs);
    this.#timer.unref();
    askAll();
  }

  isAlive(server: TurnServer): boolean {
    return (this.#silent.get(server) ?? 0) <= SILENCE_LIMIT;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  #asker(server: TurnServer): () => void {
    const host = server.host.replace(/^\[|\]$/g, '');
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    this.#sockets.push(socket);
    socket.unref();
    let transaction = Buffer.alloc(0);
    // A host that is unknown or unreachable does not answer: that is all there is to know.
    socket.on('error', () => {});
    socket.on('message', (bytes) => {
      const isAnswer = bytes.length >= 20 && bytes.readUInt16BE(0) === BINDING_RESPONSE;
      if (isAnswer && bytes.subarray(8, 20).equals(transaction)) this.#silent.set(server, 0);
    });
    return () => {
      this.#silent.set(server, (this.#silent.get(server) ?? 0) + 1);
      transaction = randomBytes(12);
      const head = Buffer.alloc(8);
      head.writeUInt16BE(BINDING_REQUEST, 0);
      head.writeUInt32BE(MAGIC_COOKIE, 4);
      socket.send(Buffer.concat([head, transaction]), server.port, host, () => {});
    };
  }
}
