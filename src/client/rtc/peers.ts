// All peers of one client: those that it calls, those that call it, and what of the client they share.
import { REAL_ENVIRONMENT } from '../environment.js';
import { type GatewayClient, GatewaySignaling } from './gateway-signaling.js';
import { PeerReporter, type ReportPort } from './peer-report.js';
import { type PeerOptions, RTCSignalingPeer } from './signaling-peer.js';
import { SpareConnection } from './spare-connection.js';

/** Options of `client.peer()` and `client.onPeer()`. */
export interface PeerCallOptions extends Omit<PeerOptions, 'signaling' | 'connection'> {
  /** Tell the gateway, for its metrics, how long the set-up took, over what kind of candidates, round trip and loss, and why it ended. Default true. */
  reports?: boolean;
}

interface Caller {
  client: string;
  session: string;
}

/** After a call began; by then it has usually connected, ms. */
const SPARE_AFTER_MS = 1_000;

/** Called for each peer that another client makes; what it adds at once goes with the first answer. */
export type PeerHandler = (peer: RTCSignalingPeer, from: Caller) => unknown;

/** The peers of one client; `client.peer` and `client.onPeer` are its methods. */
export class Peers {
  readonly #client: GatewayClient;
  readonly #signaling: GatewaySignaling;
  #port: ReportPort | undefined;
  readonly #peers = new Set<RTCSignalingPeer>();
  /** For peers of one name each. */
  readonly #named = new Map<string, (from: Caller) => void>();
  #acceptor: { handler: PeerHandler; configuration: RTCConfiguration; options: PeerCallOptions } | null =
    null;
  readonly #spare = new SpareConnection();
  #isSpareDue = false;

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
      if (state === 'closed') this.#spare.close();
    });
  }

  /** Peers that are made from now on say there how they do. */
  reportTo(port: ReportPort): void {
    this.#port = port;
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
    this.#prepareIn(0);
    return () => {
      if (this.#acceptor !== acceptor) return;
      this.#acceptor = null;
      this.#spare.close();
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
    const servers = this.#withServers(configuration);
    const { reports = true, ...own } = options;
    const peer = new RTCSignalingPeer(client.id ?? '', remoteId, servers, {
      ...own,
      connection: own.RTCPeerConnection === undefined ? this.#spare.take(servers) : null,
      signaling: this.#signaling,
      ...(isOwn ? {} : { iceServers: () => client.iceServers }),
    });
    this.#peers.add(peer);
    if (reports && this.#port !== undefined) new PeerReporter(peer, this.#port, own.environment);
    peer.on('close', () => this.#peers.delete(peer));
    this.#prepareIn(SPARE_AFTER_MS);
    return peer;
  }

  #withServers(configuration: RTCConfiguration): RTCConfiguration {
    return configuration.iceServers === undefined
      ? { ...configuration, iceServers: this.#client.iceServers }
      : configuration;
  }

  /** Who takes calls has a connection ready for the next one. */
  #prepareIn(ms: number): void {
    if (this.#acceptor === null || this.#isSpareDue) return;
    this.#isSpareDue = true;
    const { environment = REAL_ENVIRONMENT } = this.#acceptor.options;
    environment.after(ms, () => {
      this.#isSpareDue = false;
      if (this.#acceptor === null || this.#client.state === 'closed') return;
      const { configuration, options } = this.#acceptor;
      if (options.RTCPeerConnection === undefined) this.#spare.prepare(this.#withServers(configuration));
    });
  }
}

// Not a field of the client: that would be part of what every page loads.
const PEERS = new WeakMap<GatewayClient, Peers>();

/** The one object for the peers of that client. @throws TypeError where it shares its session: each tab would take the signals of all */
export function peersOf(client: GatewayClient, port?: ReportPort): Peers {
  if (client.isShared) throw new TypeError('Peers need a client without shareTabs.');
  let peers = PEERS.get(client);
  if (peers === undefined) PEERS.set(client, (peers = new Peers(client)));
  if (port !== undefined) peers.reportTo(port);
  return peers;
}
