// Sessions that plugins make: the SDK's clients, connected in memory to the worker that they live in.
import type { Client } from '../client/index.js';
import type { ClientId } from '../protocol/ids.js';
import type { Identity } from '../session/authenticator.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import { parsePermissions } from '../session/permissions.js';
import { memorySocketClass } from './memory-socket.js';

/** Of one worker: each is an SDK client, some 20 KiB. */
const SESSIONS_LIMIT = 1_000;
/** After this a session has to show who it is once more, which here it just does, ms. */
const LIFE_MS = 24 * 3_600_000;

export class VirtualSessions {
  private readonly clients = new Set<Client>();

  constructor(private readonly accept: (connection: Connection, identity: Identity) => ConnectionHandlers) {}

  async open(client: ClientId, perm: unknown): Promise<Client> {
    if (this.clients.size >= SESSIONS_LIMIT)
      throw new RangeError(`Plugins have at most ${String(SESSIONS_LIMIT)} sessions in a worker.`);
    const { Client } = await import('../client/index.js');
    const permissions = parsePermissions(perm);
    const made = new Client('ws://plugin', {
      // Never looked at: who it is, the connection says itself.
      token: () => 'plugin',
      agent: 'signalbox-plugin',
      WebSocket: memorySocketClass((connection) =>
        this.accept(connection, {
          client,
          expiresAtMs: Date.now() + LIFE_MS,
          issuedAtMs: Date.now(),
          tokenId: null,
          permissions,
        }),
      ),
    });
    this.clients.add(made);
    made.on('state', (state) => {
      if (state === 'closed') this.clients.delete(made);
    });
    return made;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.clients].map((client) => client.close()));
  }
}
