// The ways between this browser and another one on the page: a direct data channel, one through the relay, and video.
import type { RTCSignalingPeer } from '../client/rtc/signaling-peer.js';
import type { Client } from '../client/index.js';
import { isName } from '../protocol/ids.js';
import { chosenPair, field } from './candidate-pair.js';
import { channelPipe, echo, measureBandwidth, measurePings } from './echo.js';
import type { Lock } from './lock.js';
import { mapOf, RELAY_BULK_BYTES, withoutTurn } from './server-ways.js';
import { movingPicture, sentVideo } from './video.js';
import { pause, reasonText } from './waiting.js';
import { failed, type WayResult } from './way-result.js';

export type PeerKind = 'direct' | 'relay';

export interface PeerResult {
  channel: WayResult;
  /** Null where it was not tried. */
  media: WayResult | null;
}

const BEGIN = 'connection-test-begin';
const BEGIN_TIMEOUT_MS = 8_000;
/** ICE gives up after some 15 to 30 s where nothing is open; a call's caller would have gone before. */
const SETUP_TIMEOUT_MS = 15_000;
/** A test of the other side takes no longer; then this page is free again. */
const TESTEE_LIMIT_MS = 60_000;
const DIRECT_BULK_BYTES = 4 * 1024 * 1024;
const VIDEO_MS = 4_000;
const VIDEO_LOOK_MS = 500;

export class PeerWays {
  readonly #client: Client;
  readonly #lock: Lock;
  readonly #isThere: (id: string) => Promise<boolean>;

  constructor(client: Client, lock: Lock, isThere: (id: string) => Promise<boolean>) {
    this.#client = client;
    this.#lock = lock;
    this.#isThere = isThere;
    client.onRequest(BEGIN, (asked, from) => this.#answer(asked, from.client));
  }

  /** @param withVideo also measure video on the connection, where there is one */
  async test(id: string, kind: PeerKind, withVideo: boolean): Promise<PeerResult> {
    const name = `test-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
    const answer = await this.#client
      .request(id, BEGIN, { kind, name }, { timeoutMs: BEGIN_TIMEOUT_MS })
      .catch((error: unknown) => reasonText(error));
    if (answer === 'busy') return { channel: { status: 'busy' }, media: null };
    if (answer === 'no_webrtc') return { channel: failed('the other has no WebRTC'), media: null };
    if (answer !== 'ready') return { channel: await this.#explain(id, String(answer)), media: null };
    const peer = await this.#makePeer(id, kind, name);
    try {
      return await this.#measure(id, peer, kind, withVideo);
    } finally {
      peer.close();
    }
  }

  async #measure(
    id: string,
    peer: RTCSignalingPeer,
    kind: PeerKind,
    withVideo: boolean,
  ): Promise<PeerResult> {
    let channel: WayResult;
    try {
      const started = performance.now();
      const opened = await peer.createDataChannel('echo', {}, { timeoutMs: SETUP_TIMEOUT_MS });
      const setupMs = performance.now() - started;
      const pipe = channelPipe(opened);
      const pings = await measurePings(pipe);
      const most = kind === 'relay' ? RELAY_BULK_BYTES : DIRECT_BULK_BYTES;
      const kbps = await measureBandwidth(pipe, most, Math.min(...pings)).catch(() => null);
      const pair = chosenPair(mapOf(await peer.peer.getStats()));
      channel = { status: 'ok', setupMs, pings, kbps, pair };
    } catch (error) {
      return { channel: await this.#explain(id, reasonText(error)), media: null };
    }
    return { channel, media: withVideo ? await this.#video(id, peer) : null };
  }

  async #video(id: string, peer: RTCSignalingPeer): Promise<WayResult | null> {
    const picture = movingPicture();
    if (picture === null) return null;
    try {
      const started = performance.now();
      await peer.addStream(picture.stream, { timeoutMs: SETUP_TIMEOUT_MS });
      const setupMs = performance.now() - started;
      const begun = performance.now();
      const before = sentVideo(mapOf(await peer.peer.getStats())).bytes;
      const pings: number[] = [];
      while (performance.now() - begun < VIDEO_MS && peer.state === 'connected') {
        await pause(VIDEO_LOOK_MS);
        const { rttMs } = sentVideo(mapOf(await peer.peer.getStats()));
        // Reports of the receiver come every second or so: one that is the same is no new one.
        if (rttMs !== null && rttMs !== pings.at(-1)) pings.push(rttMs);
      }
      const stats = mapOf(await peer.peer.getStats());
      const kbps = ((sentVideo(stats).bytes - before) * 8) / (performance.now() - begun);
      const pair = chosenPair(stats);
      if (pings.length === 0 && pair !== null && pair.rttMs !== null) pings.push(pair.rttMs);
      return { status: 'ok', setupMs, pings, kbps, pair };
    } catch (error) {
      return await this.#explain(id, reasonText(error));
    } finally {
      picture.stop();
    }
  }

  /** A page that was closed in the middle of a test says nothing about the network. */
  async #explain(id: string, reason: string): Promise<WayResult> {
    return (await this.#isThere(id)) ? failed(reason) : { status: 'gone' };
  }

  async #answer(asked: unknown, from: string): Promise<'ready' | 'busy' | 'no_webrtc' | 'bad'> {
    const [kind, name] = [field(asked, 'kind'), field(asked, 'name')];
    if ((kind !== 'direct' && kind !== 'relay') || !isName(name)) return 'bad';
    if (!('RTCPeerConnection' in globalThis)) return 'no_webrtc';
    const release = this.#lock.tryTake();
    if (release === null) return 'busy';
    try {
      const peer = await this.#makePeer(from, kind, name);
      peer.on('datachannel', echo);
      const limit = setTimeout(() => {
        peer.close();
      }, TESTEE_LIMIT_MS);
      peer.on('close', () => {
        clearTimeout(limit);
        release();
      });
    } catch (error) {
      release();
      throw error;
    }
    return 'ready';
  }

  #makePeer(id: string, kind: PeerKind, name: string): Promise<RTCSignalingPeer> {
    const servers = this.#client.iceServers;
    const configuration: RTCConfiguration =
      kind === 'direct'
        ? { iceServers: withoutTurn(servers) }
        : { iceServers: servers, iceTransportPolicy: 'relay' };
    return this.#client.peer(id, configuration, { name, giveUpMs: SETUP_TIMEOUT_MS + 5_000 });
  }
}
