// When a peer's phases ended, as its report has them; what browsers measure is tested in browsers.
import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import type { ClientFrame } from '../../../src/protocol/frame.js';
import { PeerReporter } from '../../../src/client/rtc/peer-report.js';
import type { PeerEvents, RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { ManualEnvironment } from '../fixture.js';

class Connection extends EventTarget {
  signalingState = 'stable';
  iceConnectionState = 'new';
  becomes(what: 'signalingState' | 'iceConnectionState', state: string): void {
    this[what] = state;
    this.dispatchEvent(new Event(`${what.toLowerCase()}change`));
  }
  getStats(): Promise<Map<string, unknown>> {
    return Promise.resolve(new Map());
  }
}

/** A peer by hand, and what is told of it. */
function reported() {
  const environment = new ManualEnvironment();
  const [first, second] = [new Connection(), new Connection()];
  const listeners: Partial<Record<keyof PeerEvents, (value: unknown) => void>> = {};
  const peer = {
    peer: first,
    state: 'new',
    on: (event: keyof PeerEvents, listener: (value: unknown) => void) => {
      listeners[event] = listener;
      return () => undefined;
    },
  };
  const told: ClientFrame[] = [];
  const port = { tryWrite: (frame: ClientFrame) => told.push(frame) > 0 };
  new PeerReporter(peer as unknown as RTCSignalingPeer, port, environment);
  return { environment, second, listeners, peer, told };
}

test.each([
  ['hung up after there was no way', ['connecting', 'failed'], 'closed', 'timeout', false],
  ['hung up by the other side after that', ['connecting', 'failed'], 'remote', 'timeout', false],
  ['hung up while it connects', ['connecting'], 'closed', 'closed', false],
  ['hung up after it was connected', ['connecting', 'connected', 'failed'], 'closed', 'closed', true],
])('tells why it ended: %s', (_what, states, end, reason, wasConnected) => {
  const { listeners, told } = reported();
  for (const state of states) listeners.state?.(state);
  listeners.close?.(end);
  expect(told.at(-1)).toEqual({ type: 'peerReport', digest: { moment: 'ended', reason, wasConnected } });
});

test.each([false, true])(
  'tells how long each phase took (goes on with another connection: %s)',
  async (isMoved) => {
    const { environment, second, listeners, peer, told } = reported();
    environment.advance(10);
    if (isMoved) {
      peer.peer = second;
      listeners.connection?.(second);
    }
    const { peer: connection } = peer;
    connection.becomes('signalingState', 'have-local-offer');
    environment.advance(90);
    connection.becomes('signalingState', 'stable');
    environment.advance(30);
    connection.becomes('iceConnectionState', 'connected');
    environment.advance(7);
    peer.state = 'connected';
    listeners.state?.('connected');
    environment.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual([
      {
        type: 'peerReport',
        digest: { moment: 'connected', signalingMs: 100, iceMs: 30, dtlsMs: 7, totalMs: 137 },
      },
    ]);
  },
);

test('listens to no connection any more when the peer is over', () => {
  const { second, listeners, peer } = reported();
  listeners.connection?.(second);
  listeners.close?.('closed');
  const events = ['signalingstatechange', 'iceconnectionstatechange'];
  for (const connection of [peer.peer, second])
    expect(events.flatMap((event) => getEventListeners(connection, event))).toEqual([]);
});
