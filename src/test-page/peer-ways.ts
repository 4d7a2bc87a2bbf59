// The ways between this browser and another one on the page: a direct data channel, one through the relay, and video.
import type { RTCSignalingPeer } from '../client/rtc/signaling-peer.js';
import type { Client } from '../client/index.js';
import { isName } from '../protocol/ids.js';
import { chosenPair, field } from './candidate-pair.js';
import { channelPipe, echo, measureBandwidth, measurePings } from './echo.js';
import type { Lock } from './lock.js';
import { mapOf, RELAY_BULK_BYTES, withoutTurn } from './server-ways.js';
import { movingPicture, sentVideo } from './video.js';
import { deadline, pause, reasonText, within } from './waiting.js';
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
/** A test takes no longer, on the side that asked for it; what it has by then counts. */
const TEST_LIMIT_MS = 55_000;
/** A test of the other side takes no longer; then this page is free again. */
const TESTEE_LIMIT_MS = 60_000;
const DIRECT_BULK_BYTES = 4 * 1024 * 1024;
/** A report comes every second or so; those of the beginning, while both sides start to encode and decode, tell of that. */
const VIDEO_MS = 6_000;
const VIDEO_BEGINNING_MS = 2_000;
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
    const signal = deadline(TEST_LIMIT_MS);
    let peer: RTCSignalingPeer;
    try {
      const answer = await this.#client.request(
        id,
        BEGIN,
        { kind, name },
        { timeoutMs: BEGIN_TIMEOUT_MS, signal },
      );
      if (answer === 'busy') return { channel: { status: 'busy' }, media: null };
      if (answer === 'no_webrtc') return { channel: failed('the other has no WebRTC'), media: null };
      if (answer !== 'ready') return { channel: await this.#explain(id, String(answer)), media: null };
      peer = await this.#makePeer(id, kind, name);
    } catch (error) {
      return { channel: await this.#explain(id, reasonText(error)), media: null };
    }
    try {
      const channel = await this.#channel(peer, kind, signal);
      return { channel, media: withVideo ? await this.#video(id, peer, signal) : null };
    } catch (error) {
      return { channel: await this.#explain(id, reasonText(error)), media: null };
    } finally {
      peer.close();
    }
  }

  async #channel(peer: RTCSignalingPeer, kind: PeerKind, signal: AbortSignal): Promise<WayResult> {
    const started = performance.now();
    const channel = await peer.createDataChannel('echo', {}, { timeoutMs: SETUP_TIMEOUT_MS, signal });
    const setupMs = performance.now() - started;
    const pipe = channelPipe(channel);
    const pings = await measurePings(pipe, { signal });
    const most = kind === 'relay' ? RELAY_BULK_BYTES : DIRECT_BULK_BYTES;
    const kbps = await measureBandwidth(pipe, most, Math.min(...pings), { signal }).catch(() => null);
    const pair = chosenPair(mapOf(await peer.peer.getStats()));
    return { status: 'ok', setupMs, pings, kbps, pair };
  }

  async #video(id: string, peer: RTCSignalingPeer, signal: AbortSignal): Promise<WayResult | null> {
    const picture = movingPicture();
    if (picture === null) return null;
    try {
      const started = performance.now();
      await peer.addStream(picture.stream, { timeoutMs: SETUP_TIMEOUT_MS, signal });
      const setupMs = performance.now() - started;
      const begun = performance.now();
      const before = sentVideo(mapOf(await peer.peer.getStats())).bytes;
      const pings: number[] = [];
      let [report, spare]: [number, number | null] = [0, null];
      while (performance.now() - begun < VIDEO_MS && peer.state === 'connected' && !signal.aborted) {
        await pause(VIDEO_LOOK_MS);
        const sent = sentVideo(mapOf(await peer.peer.getStats()));
        if (sent.rttMs === null || sent.report === report) continue;
        report = sent.report;
        spare = sent.rttMs;
        if (performance.now() - begun > VIDEO_BEGINNING_MS) pings.push(sent.rttMs);
      }
      const stats = mapOf(await peer.peer.getStats());
      const kbps = ((sentVideo(stats).bytes - before) * 8) / (performance.now() - begun);
      const pair = chosenPair(stats);
      const fallback = spare ?? pair?.rttMs ?? null;
      if (pings.length === 0 && fallback !== null) pings.push(fallback);
      return { status: 'ok', setupMs, pings, kbps, pair };
    } catch (error) {
      return await this.#explain(id, reasonText(error));
    } finally {
      picture.stop();
    }
  }

  /** A page that was closed in the middle of a test says nothing about the network, nor does a gateway that went away. */
  async #explain(id: string, reason: string): Promise<WayResult> {
    if (this.#isAway()) return { status: 'away' };
    if (await this.#isThere(id)) return failed(reason);
    return { status: this.#isAway() ? 'away' : 'gone' };
  }

  #isAway(): boolean {
    return this.#client.state !== 'connected';
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

  async #makePeer(id: string, kind: PeerKind, name: string): Promise<RTCSignalingPeer> {
    const servers = this.#client.iceServers;
    const configuration: RTCConfiguration =
      kind === 'direct'
        ? { iceServers: withoutTurn(servers) }
        : { iceServers: servers, iceTransportPolicy: 'relay' };
    const made = this.#client.peer(id, configuration, { name, giveUpMs: SETUP_TIMEOUT_MS + 5_000 });
    try {
      // It waits for the gateway as long as that is away.
      return await within(made, BEGIN_TIMEOUT_MS);
    } catch (error) {
      made.then(
        (late) => {
          late.close();
        },
        () => undefined,
      );
      throw error;
    }
  }
}
