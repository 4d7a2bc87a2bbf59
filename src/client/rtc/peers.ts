// All peers of one client: those that it calls, those that call it, and what of the client they share.
import { type GatewayClient, GatewaySignaling } from './gateway-signaling.js';
import { type PeerOptions, RTCSignalingPeer } from './signaling-peer.js';

/** Options of `client.peer()` and `client.onPeer()`. */
export type PeerCallOptions = Omit<PeerOptions, 'signaling'>;

interface Caller {
  client: string;
  session: string;
}

/** Called for each peer that another client makes; what it adds at once goes with the first answer. */
export type PeerHandler = (peer: RTCSignalingPeer, from: Caller) => unknown;

/** The peers of one client; `client.peer` and `client.onPeer` are its methods. */
export class Peers {
  readonly #client: GatewayClient;
  readonly #signaling: GatewaySignaling;
  readonly #peers = new Set<RTCSignalingPeer>();
  /** For peers of one name each. */
  readonly #named = new Map<string, (from: Caller) => void>();
  #acceptor: { handler: PeerHandler; configuration: RTCConfiguration; options: PeerCallOptions } | null =
    null;

  constructor(client: GatewayClient) {
    this.#client = client;
    this.#signaling = new GatewaySignaling(client);
    this.#signaling.onStranger((from, name) => {
      const named = this.#named.get(name);
      if (named !== undefined) return named(from);
      // Names that begin with `~` are the SDK's own.
      if (this.#acceptor === null || name.startsWith('~')) return;
      const { handler, configuration, options } = this.#acceptor;
      handler(this.make(from.client, configuration, { ...options, name }), from);
    });
    client.on('state', (state) => {
      if (state === 'connected') for (const peer of this.#peers) peer.networkChanged(false);
    });
  }

  /** See `Client.peer`. */
  async peer(
    remoteId: string,
    configuration: RTCConfiguration = {},
    options: PeerCallOptions = {},
  ): Promise<RTCSignalingPeer> {
    await this.#client.connect();
    const { name = '' } = options;
    for (const peer of this.#peers) if (peer.remoteId === remoteId && peer.name === name) return peer;
    return this.make(remoteId, configuration, options);
  }

  /** See `Client.onPeer`. */
  onPeer(
    handler: PeerHandler,
    configuration: RTCConfiguration = {},
    options: PeerCallOptions = {},
  ): () => void {
    if (this.#acceptor !== null) throw new TypeError('There is a handler for peers already.');
    const acceptor = { handler, configuration, options };
    this.#acceptor = acceptor;
    return () => {
      if (this.#acceptor === acceptor) this.#acceptor = null;
    };
  }

  /** Who calls under that name is told to `handler`; the peer that it makes at once takes the call. @throws TypeError where somebody has the name */
  accept(name: string, handler: (from: Caller) => void): () => void {
    if (this.#named.has(name)) throw new TypeError(`There is a handler for ${name} already.`);
    this.#named.set(name, handler);
    return () => this.#named.delete(name);
  }

  /** A new one, whatever there is. */
  make(remoteId: string, configuration: RTCConfiguration, options: PeerCallOptions): RTCSignalingPeer {
    const client = this.#client;
    const isOwn = configuration.iceServers !== undefined;
    const servers = isOwn ? configuration : { ...configuration, iceServers: client.iceServers };
    const peer = new RTCSignalingPeer(client.id ?? '', remoteId, servers, {
      ...options,
      signaling: this.#signaling,
      ...(isOwn ? {} : { iceServers: () => client.iceServers }),
    });
    this.#peers.add(peer);
    peer.on('close', () => this.#peers.delete(peer));
    return peer;
  }
}

// Not a field of the client: that would be part of what every page loads.
const PEERS = new WeakMap<GatewayClient, Peers>();

/** The one object for the peers of that client. */
export function peersOf(client: GatewayClient): Peers {
  let peers = PEERS.get(client);
  if (peers === undefined) PEERS.set(client, (peers = new Peers(client)));
  return peers;
}
