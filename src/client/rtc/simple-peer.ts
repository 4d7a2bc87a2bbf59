// Signals of existing `simple-peer` code over a client: two lines instead of a signaling server of its own.
import type { GatewayClient } from './gateway-signaling.js';

/** As much of a `simple-peer` object as signaling needs. */
export interface SimplePeer {
  /** Its signals. */
  on(event: 'signal', listener: (data: unknown) => void): unknown;
  /** Its end. */
  once(event: 'close', listener: () => void): unknown;
  /** Takes a signal of the other side. */
  signal(data: unknown): void;
  /** Ends it. */
  destroy(error?: Error): unknown;
}

/** Options of `simplePeerSignaling`. */
export interface SimplePeerOptions {
  /** Tells several peers between the same two apart. */
  name?: string;
}

/**
 * Carries the signals of a `simple-peer` object to `remoteId` (a client, or one session: `bob#<session>`) and back, in order and once.
 * Returns a function that stops; the peer's own `close` does, too. A signal that cannot be sent destroys the peer with that error.
 */
export function simplePeerSignaling(
  client: GatewayClient,
  remoteId: string,
  peer: SimplePeer,
  { name = '' }: SimplePeerOptions = {},
): () => void {
  const event = `~simple-peer${name === '' ? '' : `/${name}`}`;
  const [remoteClient, remoteSession] = remoteId.split('#');
  // From the first answer on it is one session that is talked to: the others of that client did not take the call.
  let session = remoteSession;
  const stop = client.onMessage(event, (data, from) => {
    if (from.client !== remoteClient || (session !== undefined && from.session !== session)) return;
    session = from.session;
    peer.signal(data);
  });
  peer.on('signal', (data) => {
    const to = session === undefined ? remoteId : `${String(remoteClient)}#${session}`;
    client.send(to, event, data).catch((error: unknown) => {
      peer.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  peer.once('close', stop);
  return stop;
}
