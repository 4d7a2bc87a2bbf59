import { expect, test } from '@jest/globals';
import type { CloseCode } from '../../src/protocol/codes.js';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { Session } from '../../src/session/session.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { Heartbeat } from '../../src/worker/heartbeat.js';

const START = 1_000_000;

class Peer {
  now = START;
  /** Until then it answers every frame at once. */
  diesAt = Infinity;
  readonly pingsAt: number[] = [];
  closedAt: number | null = null;
  terminatedAt: number | null = null;
  readonly wheel = new TimerWheel(() => this.now);

  constructor(pingIntervalMs: number, pongTimeoutMs: number) {
    const session = {
      lastHeardAt: START,
      pingDeadline: null,
      send: ({ type }: GatewayFrame) => {
        if (type === 'ping') this.pingsAt.push(this.now - START);
        if (this.now < this.diesAt) session.lastHeardAt = this.now;
      },
      close: (code: CloseCode) => {
        expect(code).toBe('no_pong');
        this.closedAt = this.now - START;
      },
      connection: { terminate: () => (this.terminatedAt = this.now - START) },
    };
    new Heartbeat({
      wheel: this.wheel,
      pingIntervalMs,
      pongTimeoutMs,
      now: () => this.now,
    }).watch(session as unknown as Session);
  }

  /** Plays so long, ms. */
  live(ms: number): this {
    for (const end = this.now + ms; this.now < end; this.now += 100) this.wheel.advance();
    this.wheel.close();
    return this;
  }
}

test('who answers is pinged at every interval, however long an answer may take', () => {
  expect(new Peer(25_000, 10_000).live(101_000).pingsAt).toEqual([25_100, 50_200, 75_300, 100_400]);
  const patient = new Peer(1_500, 10_000).live(20_000);
  expect(patient.pingsAt.length).toBeGreaterThanOrEqual(12);
  expect(patient.closedAt).toBeNull();
});

test('who vanishes right after an answer is gone less than 40 s later with the settings that come', () => {
  const peer = new Peer(25_000, 10_000);
  peer.diesAt = START + 25_200;
  peer.live(100_000);
  expect(peer.closedAt).toBeLessThan(25_200 + 38_000);
  expect(peer.terminatedAt).toBeLessThan(25_200 + 40_000);
  expect(peer.terminatedAt).toBeGreaterThan(peer.closedAt ?? Infinity);
});

test('who is silent while further pings go out is judged by the first that it did not answer', () => {
  const peer = new Peer(1_000, 3_500);
  peer.diesAt = START + 2_500;
  peer.live(20_000);
  // Pinged at 3.3 s for the first time in vain.
  expect(peer.closedAt).toBeGreaterThanOrEqual(6_800);
  expect(peer.closedAt).toBeLessThan(7_200);
});

test('nobody is cut off for silence while the worker itself stands still', () => {
  const peer = new Peer(1_000, 1_000);
  peer.diesAt = START;
  peer.wheel.lagMs = 1_500;
  expect(peer.live(10_000).closedAt).toBeNull();
});
