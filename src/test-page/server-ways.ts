// The ways between this browser and the server: WebSocket, event stream with POSTs, and the relay (TURN) there and back.
import { Client } from '../client/index.js';
import { chosenPair } from './candidate-pair.js';
import { channelPipe, echo, measureBandwidth, measurePings, type Pipe } from './echo.js';
import type { Guest } from './guest.js';
import { deadline, reasonText } from './waiting.js';
import { failed, type WayResult } from './way-result.js';

export const EVENT = 'connection-test';
const SETUP_TIMEOUT_MS = 12_000;
/** Of one round: below what a connection may send at once by default, 4 MiB, together with the rounds before. */
const GATEWAY_BULK_BYTES = 1024 * 1024;
/** Through a relay that others pay for. */
export const RELAY_BULK_BYTES = 1024 * 1024;

/**
 * Set-up is from nothing to the gateway's welcome; then messages to this very session, through the gateway and back.
 * @param guest one that no other test uses: a gateway may allow one session for each client
 */
export async function testTransport(transport: 'websocket' | 'sse', guest: Guest): Promise<WayResult> {
  const info = await guest.fetch().catch((error: unknown) => reasonText(error));
  if (typeof info === 'string') return failed(info);
  const client = new Client(location.origin, {
    token: info.token,
    transports: [transport],
    compressAboveBytes: Infinity,
  });
  client.on('error', () => undefined);
  try {
    const started = performance.now();
    await client.connect({ signal: deadline(SETUP_TIMEOUT_MS) });
    const setupMs = performance.now() - started;
    const pipe = selfPipe(client);
    const pings = await measurePings(pipe);
    const kbps = await measureBandwidth(pipe, GATEWAY_BULK_BYTES, Math.min(...pings)).catch(() => null);
    return { status: 'ok', setupMs, pings, kbps, pair: null };
  } catch (error) {
    return failed(reasonText(error));
  } finally {
    void client.close();
  }
}

function selfPipe(client: Client): Pipe {
  const self = `${client.id ?? ''}#${client.sessionId ?? ''}`;
  return {
    send: (bytes) => client.send(self, EVENT, bytes, { volatile: true }),
    listen: (receive) =>
      client.onMessage(EVENT, (data) => {
        if (data instanceof Uint8Array) receive(data);
      }),
  };
}

/** Two ends in this page that may only use the relay: what it takes to get there and back. */
export async function testRelay(iceServers: RTCIceServer[]): Promise<WayResult> {
  const code = await import('../client/rtc/rtc.js').catch(() => null);
  if (code === null) return failed('the gateway does not answer');
  const { LoopbackSignaling, RTCSignalingPeer } = code;
  const signaling = new LoopbackSignaling();
  const configuration: RTCConfiguration = { iceServers, iceTransportPolicy: 'relay' };
  const near = new RTCSignalingPeer('near', 'far', configuration, { signaling });
  const far = new RTCSignalingPeer('far', 'near', configuration, { signaling });
  far.on('datachannel', echo);
  try {
    const started = performance.now();
    const channel = await near.createDataChannel('echo', {}, { timeoutMs: SETUP_TIMEOUT_MS });
    const setupMs = performance.now() - started;
    const pipe = channelPipe(channel);
    const pings = await measurePings(pipe);
    const kbps = await measureBandwidth(pipe, RELAY_BULK_BYTES, Math.min(...pings)).catch(() => null);
    const pair = chosenPair(mapOf(await near.peer.getStats()));
    return { status: 'ok', setupMs, pings, kbps, pair };
  } catch (error) {
    const ice = near.errors.find(({ kind }) => kind === 'ice');
    return failed(ice === undefined ? reasonText(error) : `the server says ${String(ice.code)}`);
  } finally {
    near.close();
    far.close();
  }
}

/** Entries of a report, as a plain map. */
export function mapOf(report: RTCStatsReport): Map<string, unknown> {
  const map = new Map<string, unknown>();
  report.forEach((value: unknown, key: string) => map.set(key, value));
  return map;
}

export function hasTurn(servers: readonly RTCIceServer[]): boolean {
  return servers.some((server) => urlsOf(server).some((url) => /^turns?:/.test(url)));
}

export function hasStun(servers: readonly RTCIceServer[]): boolean {
  return servers.some((server) => urlsOf(server).some((url) => /^stuns?:/.test(url)));
}

/** A direct way is one that no relay helps with; TURN servers answer STUN too, which stays. */
export function withoutTurn(servers: readonly RTCIceServer[]): RTCIceServer[] {
  return servers.flatMap((server) => {
    const urls = urlsOf(server).flatMap((url) => {
      if (/^stuns?:/.test(url)) return [url];
      const host = /^turn:([^?]+)/.exec(url)?.[1];
      return host === undefined || url.includes('transport=tcp') ? [] : [`stun:${host}`];
    });
    return urls.length === 0 ? [] : [{ urls: [...new Set(urls)] }];
  });
}

function urlsOf({ urls }: RTCIceServer): string[] {
  return typeof urls === 'string' ? [urls] : urls;
}
