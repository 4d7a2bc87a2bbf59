// Better paths for the streams of one client: a data channel for each stream that may leave the gateway, as long as it lasts.
import { GatewayError } from '../../protocol/errors.js';
import type { Environment } from '../environment.js';
import type { StreamEnd } from '../streams/stream-end.js';
import { PATH_EVENT } from '../streams/paths.js';
import { ChannelPath } from './channel-path.js';
import type { GatewayClient } from './gateway-signaling.js';
import { type Peers, peersOf } from './peers.js';
import type { RTCSignalingPeer } from './signaling-peer.js';

/** The peers that carry streams; names that begin with `~` are the SDK's own. */
const PEER_NAME = '~streams';
/** A channel is labelled with this and the id of its stream. */
const LABEL = '~stream ';
const ASK_TIMEOUT_MS = 10_000;
/** How long two browsers may look for a way before the peer is thrown away and made anew, ms. */
const OPEN_TIMEOUT_MS = 20_000;
/** How long an open channel may take to bring the first word, ms. */
const PROBE_LIMIT_MS = 5_000;
/** Open channels of one stream at a time: its opener has one, and perhaps those that it gave up and that are not gone here yet. */
const PATHS_LIMIT = 4;
/** Between tries, ms: doubled while no path comes; one that came and lasted shorter than `LASTING_MS` is waited for a bit longer, too. */
const RETRY_MS = { first: 200, mostAfterPath: 2_000, most: 30_000 };
const LASTING_MS = 1_000;
/** How often it is looked whether a peer is wanted still, and by which candidates it goes, ms. */
const LOOK_MS = 2_000;

/** As much of a `Client` as a ladder needs. @internal */
export interface LadderClient extends GatewayClient {
  request(to: string, event: string, data: unknown, options: { timeoutMs: number }): Promise<unknown>;
}

/** The streams of the client, as far as the ladder looks at them. @internal */
export interface LadderStreams {
  find(id: string): StreamEnd | undefined;
  /** Of a connection with that session, by which a stream may leave the gateway; null where there is no such stream. */
  wayOut(peer: { client: string; session: string }): RTCConfiguration | null;
}

interface Rung {
  readonly with: { client: string; session: string };
  readonly peer: RTCSignalingPeer;
  readonly paths: Set<ChannelPath>;
}

/** @internal */
export class Ladder {
  readonly #client: LadderClient;
  readonly #streams: LadderStreams;
  readonly #environment: Environment;
  readonly #peers: Peers;
  /** By the address of the other session. */
  readonly #rungs = new Map<string, Rung>();
  /** Those that are open, by stream. */
  readonly #paths = new WeakMap<StreamEnd, Set<ChannelPath>>();
  #cancelLook: (() => void) | null = null;

  constructor(client: LadderClient, streams: LadderStreams, environment: Environment) {
    this.#client = client;
    this.#streams = streams;
    this.#environment = environment;
    this.#peers = peersOf(client);
    this.#peers.accept(PEER_NAME, (from) => {
      // Only with whom this client has a stream.
      const configuration = streams.wayOut(from);
      if (configuration !== null) this.#make(from, configuration);
    });
  }

  /** For the opener of a stream: finds it a path, and another one where that breaks, until the stream is over. */
  async climb(stream: StreamEnd): Promise<void> {
    for (let failures = 0; !stream.isOver;) {
      const outcome = await this.#tryToOpen(stream);
      if (outcome === 'hopeless') return;
      failures = outcome === 'lasted' ? 0 : failures + 1;
      const most = outcome === 'failed' ? RETRY_MS.most : RETRY_MS.mostAfterPath;
      const ms = Math.min(RETRY_MS.first * 2 ** failures, most) * (0.5 + this.#environment.random() / 2);
      await new Promise<void>((resolve) => this.#environment.after(ms, resolve));
    }
  }

  /** Resolves when the path that was found is gone, or there was none. */
  async #tryToOpen(stream: StreamEnd): Promise<'lasted' | 'broke' | 'failed' | 'hopeless'> {
    try {
      const rung = await this.#reach(stream);
      const options = { timeoutMs: OPEN_TIMEOUT_MS };
      const channel = await rung.peer
        .createDataChannel(LABEL + stream.id, {}, options)
        .catch((error: unknown) => {
          rung.peer.close();
          throw error;
        });
      const openedAt = this.#environment.now();
      const path = this.#use(rung, channel, stream);
      await path.over;
      if (!path.isHeard) return 'failed';
      return this.#environment.now() - openedAt >= LASTING_MS ? 'lasted' : 'broke';
    } catch (error) {
      return isHopeless(error) ? 'hopeless' : 'failed';
    }
  }

  /** The peer that there is, or a new one with the other side's consent. */
  async #reach({ id, peer: other, rtcConfiguration }: StreamEnd): Promise<Rung> {
    if (other === null) throw new GatewayError('not_found');
    const address = `${other.client}#${other.session}`;
    const known = this.#rungs.get(address);
    if (known !== undefined) return known;
    await this.#client.request(address, PATH_EVENT, { stream: id }, { timeoutMs: ASK_TIMEOUT_MS });
    return this.#rungs.get(address) ?? this.#make(other, rtcConfiguration ?? {});
  }

  #make(other: { client: string; session: string }, configuration: RTCConfiguration): Rung {
    const address = `${other.client}#${other.session}`;
    // One that the other side gave up before this one knew.
    this.#rungs.get(address)?.peer.close();
    const peer = this.#peers.make(address, configuration, { name: PEER_NAME });
    const rung: Rung = { with: other, peer, paths: new Set() };
    this.#rungs.set(address, rung);
    peer.on('datachannel', (channel) => this.#offered(rung, channel));
    peer.on('state', (state) => {
      // It may heal by itself, which takes seconds; the streams go on meanwhile.
      if (state === 'disconnected' || state === 'failed') closeAll(rung);
    });
    peer.on('close', () => {
      if (this.#rungs.get(address) === rung) this.#rungs.delete(address);
      closeAll(rung);
    });
    this.#cancelLook ??= this.#environment.after(LOOK_MS, () => this.#look());
    return rung;
  }

  /** The other side made a channel for a stream of both. */
  #offered(rung: Rung, channel: RTCDataChannel): void {
    const stream = channel.label.startsWith(LABEL)
      ? this.#streams.find(channel.label.slice(LABEL.length))
      : undefined;
    const isOurs = stream?.peer?.session === rung.with.session && stream.peer.client === rung.with.client;
    if (stream === undefined || !isOurs || stream.rtcConfiguration === null) return channel.close();
    const use = (): void => {
      if (this.#pathsOf(stream).size >= PATHS_LIMIT) channel.close();
      else this.#use(rung, channel, stream);
    };
    if (channel.readyState === 'open') use();
    else channel.addEventListener('open', use, { once: true });
  }

  #use(rung: Rung, channel: RTCDataChannel, stream: StreamEnd): ChannelPath {
    const path = new ChannelPath(channel, stream);
    const holders = [rung.paths, this.#pathsOf(stream)];
    for (const paths of holders) paths.add(path);
    const cancelProbe = this.#environment.after(PROBE_LIMIT_MS, () => path.isHeard || path.close());
    void path.over.then(() => {
      cancelProbe();
      for (const paths of holders) paths.delete(path);
    });
    // One that was made too late for the stream is closed, too.
    if (stream.isOver) path.close();
    void this.#seeKind(rung).then(() => stream.probe(path));
    return path;
  }

  #pathsOf(stream: StreamEnd): Set<ChannelPath> {
    let paths = this.#paths.get(stream);
    if (paths === undefined) {
      const made = (paths = new Set<ChannelPath>());
      this.#paths.set(stream, made);
      // Once for all its paths: what waits for its end stays as long as it lasts.
      const close = (): void => closeAll({ paths: made });
      stream.closed.then(close, close);
    }
    return paths;
  }

  async #seeKind({ peer, paths }: Rung): Promise<void> {
    const kind = await kindOf(peer.peer).catch(() => null);
    if (kind !== null) for (const path of paths) path.kind = kind;
  }

  #look(): void {
    this.#cancelLook = null;
    for (const rung of [...this.#rungs.values()]) {
      if (this.#streams.wayOut(rung.with) === null) rung.peer.close();
      else if (rung.paths.size > 0) void this.#seeKind(rung);
    }
    if (this.#rungs.size > 0) this.#cancelLook = this.#environment.after(LOOK_MS, () => this.#look());
  }
}

function closeAll({ paths }: Pick<Rung, 'paths'>): void {
  for (const path of [...paths]) path.close();
}

/** The other side has no WebRTC, or does not want it here: that does not change while the stream lasts. */
function isHopeless(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return error instanceof TypeError;
  return ['no_handler', 'forbidden', 'not_found', 'bad_parameter'].includes(error.code);
}

/** Null where no pair of candidates is chosen yet. */
async function kindOf(connection: RTCPeerConnection): Promise<ChannelPath['kind'] | null> {
  const reports = new Map<string, Record<string, unknown>>();
  let chosen: unknown = null;
  (await connection.getStats()).forEach((report: Record<string, unknown> & { id: string }) => {
    reports.set(report.id, report);
    // Firefox names no pair in its report of the transport.
    if (report.type === 'transport') chosen = report.selectedCandidatePairId ?? chosen;
    if (report.type === 'candidate-pair' && report.selected === true) chosen = report.id;
  });
  const pair = reports.get(String(chosen));
  if (pair === undefined) return null;
  const ends = [pair.localCandidateId, pair.remoteCandidateId].map(
    (id) => reports.get(String(id))?.candidateType,
  );
  return ends.includes('relay') ? 'relay' : 'direct';
}
