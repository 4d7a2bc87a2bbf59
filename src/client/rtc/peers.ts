// All peers of one client: those that it calls, those that call it, and what of the client they share.
import { GatewayError } from '../../protocol/errors.js';
import type { Caller } from '../caller.js';
import { REAL_ENVIRONMENT } from '../environment.js';
import { Lazy } from '../lazy.js';
import { type GatewayClient, GatewaySignaling } from './gateway-signaling.js';
import { PeerReporter, type ReportPort } from './peer-report.js';
import { type Rate, RateLimit } from './rate-limit.js';
import { type PeerOptions, RTCSignalingPeer } from './signaling-peer.js';
import { SpareConnection } from './spare-connection.js';
import type { TakenEnd } from './standing.js';
import type { StandingOffer } from './standing-offer.js';

/** Options of `client.peer()` and `client.onPeer()`. */
export interface PeerCallOptions extends Omit<PeerOptions, 'signaling' | 'connection' | 'crossing'> {
  /**
   * Calls in one trip. Of `onPeer`: an offer with this page's addresses stands with the gateway, for whoever may send to this client and calls
   * it, before it is answered. Of `peer`: the one of whom it calls is asked for; default as `onPeer` of this client has it. See docs/webrtc.md.
   */
  standing?: boolean;

  /** Tell the gateway, for its metrics, how long the set-up took, over what kind of candidates, round trip and loss, and why it ended. Default true. */
  reports?: boolean;

  /** Of `peer`: gives up waiting for the gateway, with `aborted`. */
  signal?: AbortSignal;
}

interface Sender {
  client: string;
  session: string;
}

/** What peers have of their client beside what it shows. */
export type PeersPort = ReportPort & Pick<Caller, 'call' | 'report'>;

interface Acceptor {
  handler: PeerHandler;
  configuration: RTCConfiguration;
  options: PeerCallOptions;
}

/**
 * Most calls that this page has taken and that never connected, of one client and of all: each is a connection, of which Chromium gives a page 500,
 * and a caller that says hello and goes says nothing more. The oldest is closed.
 */
const UNCONNECTED_OF_ONE_LIMIT_CALLS = 16;
const UNCONNECTED_LIMIT_CALLS = 100;

/**
 * Calls that are taken: browsers count connections that are closed, too, until they clear away what is not used any more. All parts of a page, each
 * under its own name, call at once, and once more after a reload.
 */
const CALLS: Rate = { limit: 100, withinMs: 10_000, ofOneLimit: 30 };

/** After a call began; by then it has usually connected, ms. */
const SPARE_AFTER_MS = 1_000;

/** Called for each peer that another client makes; what it adds at once goes with the first answer. */
export type PeerHandler = (peer: RTCSignalingPeer, from: Sender) => unknown;

/** The peers of one client; `client.peer` and `client.onPeer` are its methods. */
export class Peers {
  readonly #client: GatewayClient;
  readonly #signaling: GatewaySignaling;
  #port: PeersPort | undefined;
  readonly #peers = new Set<RTCSignalingPeer>();
  /** Those that others made, and that never were connected. */
  readonly #unconnected = new Set<RTCSignalingPeer>();
  readonly #rate = new RateLimit(CALLS);
  /** For peers of one name each. */
  readonly #named = new Map<string, (from: Sender) => void>();
  /** By the name of the calls that they take; `''`: all others. */
  readonly #acceptors = new Map<string, Acceptor>();
  readonly #spare = new SpareConnection();
  #isSpareDue = false;
  #isWarm = false;
  #standing: StandingOffer | null = null;
  readonly #standingCode = new Lazy(() => import('./standing-calls.js'));

  constructor(client: GatewayClient) {
    this.#client = client;
    this.#signaling = new GatewaySignaling(client);
    this.#signaling.onStranger((from, name) => {
      const named = this.#named.get(name);
      if (named !== undefined) return named(from);
      // Names that begin with `~` are the SDK's own.
      if (!name.startsWith('~')) this.#accept(from, name, null);
    });
    client.on('state', (state) => {
      if (state === 'connected') {
        for (const peer of this.#peers) peer.networkChanged(false);
        // What could not be loaded may be now.
        if (this.#standing === null) this.#stand();
        this.#warmUp();
      }
      if (state === 'closed') this.#spare.close();
    });
  }

  /** Peers that are made from now on say there how they do. */
  reportTo(port: PeersPort): void {
    this.#port = port;
  }

  /** See `Client.peer`. @throws TypeError where that can be nobody, or the name is none */
  async peer(
    remoteId: string,
    configuration: RTCConfiguration = {},
    options: PeerCallOptions = {},
  ): Promise<RTCSignalingPeer> {
    const { name = '', signal } = options;
    if (typeof remoteId !== 'string' || remoteId === '')
      throw new TypeError('client.peer takes the id of a client, or of one session of it.');
    assertName(name);
    // As every call: who is closed is not connected again by it.
    this.#assertOpen();
    await this.#client.connect(signal && { signal });
    // Where its code cannot be had, the call is an ordinary one.
    if (options.standing === true) await this.#standingCode.load().catch(() => {});
    this.#assertOpen();
    for (const peer of this.#peers) {
      if (peer.remoteId !== remoteId || peer.name !== name) continue;
      peer.callAgain();
      return peer;
    }
    return this.make(remoteId, configuration, options);
  }

  /**
   * See `Client.onPeer`.
   * @throws TypeError where that is no handler, where there is one for that name, where `standing` is wanted for one, or where the name is the SDK's own
   */
  onPeer(
    handler: PeerHandler,
    configuration: RTCConfiguration = {},
    options: PeerCallOptions = {},
  ): () => void {
    const { name = '', standing = false } = options;
    if (typeof handler !== 'function') throw new TypeError('client.onPeer takes a function.');
    assertName(name);
    if (standing && name !== '') throw new TypeError('Standing offers are for calls without a name.');
    if (this.#acceptors.has(name))
      throw new TypeError(`There is a handler for ${name === '' ? 'peers' : `peers named ${name}`} already.`);
    const acceptor = { handler, configuration, options };
    this.#acceptors.set(name, acceptor);
    this.#prepareIn(0);
    this.#stand();
    this.#warmUp();
    return () => {
      if (this.#acceptors.get(name) !== acceptor) return;
      this.#acceptors.delete(name);
      this.#spare.close();
      this.#prepareIn(0);
      if (name !== '') return;
      this.#standing?.close();
      this.#standing = null;
    };
  }

  /** Who calls under that name is told to `handler`; the peer that it makes at once takes the call. @throws TypeError where somebody has the name */
  accept(name: string, handler: (from: Sender) => void): () => void {
    if (this.#named.has(name)) throw new TypeError(`There is a handler for ${name} already.`);
    this.#named.set(name, handler);
    return () => this.#named.delete(name);
  }

  /** Ends all, also those that the application made itself: each tells its other side. */
  hangUp(): void {
    for (const { receiver } of [...this.#signaling.exchange.lines]) receiver.onEnded();
  }

  /** A new one, whatever there is. */
  make(remoteId: string, configuration: RTCConfiguration, options: PeerCallOptions): RTCSignalingPeer {
    return this.#make(remoteId, configuration, options, null);
  }

  #make(
    remoteId: string,
    configuration: RTCConfiguration,
    options: PeerCallOptions,
    end: TakenEnd | null,
  ): RTCSignalingPeer {
    const client = this.#client;
    const iceServers = this.#iceServersOf(configuration, options);
    const servers = this.#withServers(configuration, options);
    const { reports = true, standing = this.#acceptors.get('')?.options.standing, ...own } = options;
    const isSpare = own.RTCPeerConnection === undefined && end === null;
    // Nobody leaves an offer for calls under a name: who takes those has a configuration of its own.
    const asks = standing === true && (own.name ?? '') === '';
    const peer = new RTCSignalingPeer(client.id ?? '', remoteId, servers, {
      ...own,
      connection: isSpare ? this.#spare.take(servers) : null,
      signaling: this.#signaling,
      ...(iceServers && { iceServers }),
      ...(end ?? (asks && this.#standingCode.loaded?.asking(this.#signaling, own.environment))),
    });
    this.#peers.add(peer);
    if (reports && this.#port !== undefined) new PeerReporter(peer, this.#port, own.environment);
    peer.on('close', () => this.#peers.delete(peer));
    // The relay that it went by may be dead: what is not connected need not wait for its next try.
    if (configuration.iceServers === undefined && options.iceServers === undefined)
      peer.on(
        'close',
        client.on('iceServers', () => peer.networkChanged(false)),
      );
    this.#prepareIn(SPARE_AFTER_MS);
    end?.begin();
    return peer;
  }

  /** Somebody calls, with that end of a standing offer. */
  #accept(from: Sender, name: string, end: TakenEnd | null): void {
    const acceptor = this.#acceptors.get(name) ?? this.#acceptors.get('');
    if (acceptor === undefined) return;
    const { handler, configuration, options } = acceptor;
    const { environment = REAL_ENVIRONMENT } = options;
    if (!this.#rate.admits(from.client, environment.now())) return end?.connection.close();
    this.#endOldest(from.client);
    const peer = this.#make(from.client, configuration, { ...options, name }, end);
    this.#expect(peer);
    try {
      const result = handler(peer, from);
      if (result instanceof Promise) result.catch((error: unknown) => this.#report(error));
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** It is called, and counts until it is connected. */
  #expect(peer: RTCSignalingPeer): void {
    this.#unconnected.add(peer);
    const forget = (): unknown => this.#unconnected.delete(peer);
    peer.on('state', (state) => state === 'connected' && forget());
    peer.on('close', forget);
  }

  /** Where that client, or all together, have called so often that one call more is too many. */
  #endOldest(client: string): void {
    const all = [...this.#unconnected];
    const own = all.filter(({ remoteId }) => remoteId === client);
    if (own.length >= UNCONNECTED_OF_ONE_LIMIT_CALLS) own[0]?.close();
    else if (all.length >= UNCONNECTED_LIMIT_CALLS) all[0]?.close();
  }

  #report(error: unknown): void {
    if (this.#port === undefined) console.error('signalbox:', error);
    else this.#port.report(error);
  }

  #assertOpen(): void {
    if (this.#client.state === 'closed') throw new GatewayError('closed');
  }

  /** Where its code cannot be had, calls are ordinary until the next connection. */
  #stand(): void {
    const acceptor = this.#acceptors.get('');
    if (acceptor === undefined) return;
    const { configuration, options } = acceptor;
    const { environment = REAL_ENVIRONMENT, standing = false, RTCPeerConnection } = options;
    const calls = this.#port;
    if (!standing || calls === undefined || RTCPeerConnection !== undefined) return;
    this.#standingCode.use(
      (code) => {
        if (this.#acceptors.get('') !== acceptor || this.#standing !== null) return;
        this.#standing = code.holdOffers({
          client: this.#client,
          signaling: this.#signaling,
          peers: { all: this.#peers, accept: (from, end) => this.#accept(from, '', end) },
          calls,
          environment,
          configuration: () => this.#withServers(configuration, options),
        });
      },
      () => {},
    );
  }

  /** The first description would wait for the code that compresses it. Where it cannot be had now, the next connection asks again. */
  #warmUp(): void {
    if (this.#isWarm || this.#acceptors.size === 0 || this.#client.state !== 'connected') return;
    this.#isWarm = true;
    this.#port
      ?.call({ whenOffline: 'fail' }, async (verbs) => verbs.warmUp())
      .catch(() => {
        this.#isWarm = false;
      });
  }

  /** What is asked for servers before each ICE restart; undefined where those of the configuration are all there are. */
  #iceServersOf(
    { iceServers }: RTCConfiguration,
    options: PeerCallOptions,
  ): (() => RTCIceServer[]) | undefined {
    return options.iceServers ?? (iceServers === undefined ? () => this.#client.iceServers : undefined);
  }

  #withServers(configuration: RTCConfiguration, options: PeerCallOptions): RTCConfiguration {
    const iceServers = configuration.iceServers ?? this.#iceServersOf(configuration, options)?.() ?? [];
    return { ...configuration, iceServers };
  }

  /** Who takes calls has a connection ready for the next one. */
  #prepareIn(ms: number): void {
    const [acceptor] = this.#acceptors.values();
    if (acceptor === undefined || this.#isSpareDue) return;
    this.#isSpareDue = true;
    const { environment = REAL_ENVIRONMENT } = acceptor.options;
    environment.after(ms, () => {
      this.#isSpareDue = false;
      const [next] = this.#acceptors.values();
      if (next === undefined || this.#client.state === 'closed') return;
      const { configuration, options } = next;
      if (options.RTCPeerConnection === undefined)
        this.#spare.prepare(this.#withServers(configuration, options));
    });
  }
}

// Not a field of the client: that would be part of what every page loads.
const PEERS = new WeakMap<GatewayClient, Peers>();

function assertName(name: unknown): void {
  if (typeof name !== 'string') throw new TypeError('The name of a peer is a string.');
  if (name.startsWith('~')) throw new TypeError('Names that begin with ~ are the SDK’s own.');
}

/** The one object for the peers of that client. @throws TypeError where it shares its session: each tab would take the signals of all */
export function peersOf(client: GatewayClient, port?: PeersPort): Peers {
  if (client.isShared) throw new TypeError('Peers need a client without shareTabs.');
  let peers = PEERS.get(client);
  if (peers === undefined) PEERS.set(client, (peers = new Peers(client)));
  if (port !== undefined) peers.reportTo(port);
  return peers;
}

/** That client is about to close. @internal */
export function hangUp(client: GatewayClient): void {
  PEERS.get(client)?.hangUp();
}
