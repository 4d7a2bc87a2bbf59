// When ICE is restarted, and when not: a recovery on a clock that is turned by hand.
import { describe, expect, test } from '@jest/globals';
import type { Condition } from '../../../src/client/rtc/condition.js';
import { type PeerState, Recovery } from '../../../src/client/rtc/recovery.js';
import { ManualEnvironment } from '../fixture.js';

/** A connection by hand; `restarts` are the times, in s since it began. */
class Scene {
  readonly environment = new ManualEnvironment();
  readonly states: PeerState[] = [];
  readonly restarts: number[] = [];
  readonly condition: { -readonly [Key in keyof Condition]: Condition[Key] } = {
    connectionState: 'new',
    isIceUp: false,
    rounds: 0,
    fragments: '',
  };
  readonly recovery: Recovery;
  hasGivenUp = false;
  readonly #begunAt = this.environment.now();

  constructor(isLeader = true) {
    const port = {
      isLeader: () => isLeader,
      restartIce: () => this.restarts.push(this.#now),
      onState: (state: PeerState) => this.states.push(state),
      onGiveUp: () => {
        this.hasGivenUp = true;
        this.recovery.close();
      },
    };
    this.recovery = new Recovery(this.condition, port, this.environment, 60_000);
  }

  /** From now on it is so. */
  become(connectionState: RTCPeerConnectionState, isIceUp = false): void {
    Object.assign(this.condition, { connectionState, isIceUp });
    this.recovery.look();
  }

  /** A first offer, or one that restarts ICE, was answered. */
  agree(): void {
    this.condition.fragments = `f${this.condition.rounds + 1}`;
    this.renegotiate();
  }

  /** Any offer was answered. */
  renegotiate(): void {
    this.condition.rounds++;
    this.recovery.look();
  }

  wait(seconds: number): void {
    this.environment.advance(seconds * 1000);
  }

  get #now(): number {
    return (this.environment.now() - this.#begunAt) / 1000;
  }
}

function connected(isLeader = true): Scene {
  const scene = new Scene(isLeader);
  scene.agree();
  scene.become('connecting');
  scene.become('connected', true);
  return scene;
}

describe('recovery', () => {
  test('restarts ICE when a connection stays disconnected, the leader first', () => {
    for (const [isLeader, at] of [
      [true, 2],
      [false, 4],
    ] as const) {
      const scene = connected(isLeader);
      scene.become('disconnected');
      scene.wait(4.5);
      expect(scene.restarts).toEqual([at]);
      expect(scene.states.at(-1)).toBe('disconnected');
      scene.become('connected', true);
      scene.wait(30);
      expect(scene.restarts).toEqual([at]);
    }
  });

  test('does not ask again while the other side has not answered a restart, for a while', () => {
    const scene = connected();
    scene.become('disconnected');
    scene.wait(16.5);
    expect(scene.restarts).toEqual([2]);
    scene.wait(1);
    expect(scene.restarts).toEqual([2, 17]);
  });

  test('gives a restart that was agreed on time to find a way, and more each time', () => {
    const scene = connected();
    scene.become('disconnected');
    scene.wait(4);
    scene.agree();
    scene.become('connecting');
    scene.wait(5.5);
    // Slow networks need as long: 800 ms each way through a relay, 5 s from the answer to a pair of candidates.
    expect(scene.restarts).toEqual([2]);
    scene.become('disconnected');
    scene.wait(1);
    expect(scene.restarts).toEqual([2, 10.5]);
    scene.agree();
    scene.wait(11);
    expect(scene.restarts).toEqual([2, 10.5]);
    scene.wait(2);
    expect(scene.restarts).toHaveLength(3);
  });

  test('does not take a round without new ICE credentials for a restart that was agreed on', () => {
    const scene = connected();
    scene.become('failed');
    for (let i = 0; i < 9; i++) {
      scene.wait(5);
      // A stream that comes and goes, with a transport of its own.
      if (i % 2 === 0) scene.condition.fragments += ' more';
      else scene.condition.fragments = scene.condition.fragments.replace(' more', '');
      scene.renegotiate();
    }
    expect(scene.restarts).toEqual([0, 15, 30, 45]);

    const answered = connected();
    answered.become('failed');
    answered.wait(0.5);
    answered.agree();
    for (let i = 0; i < 10; i++) {
      answered.wait(1);
      answered.renegotiate();
    }
    expect(answered.restarts).toEqual([0, 6.5]);
  });

  test("leaves the time to the other side's restart as well", () => {
    const scene = connected(false);
    scene.become('disconnected');
    scene.wait(3.5);
    scene.agree();
    scene.wait(5);
    expect(scene.restarts).toEqual([]);
    scene.wait(2);
    expect(scene.restarts).toHaveLength(1);
  });

  test('restarts at once again when an answer took so long that the network was away meanwhile', () => {
    const scene = connected();
    scene.become('disconnected');
    scene.wait(14);
    scene.agree();
    scene.wait(1);
    expect(scene.restarts).toEqual([2, 14]);
  });

  test('counts a first connect as failed after 15 s, but not as long as only the handshake over the way found is missing', () => {
    const failed = new Scene();
    failed.agree();
    failed.become('connecting');
    failed.wait(14.5);
    expect(failed.restarts).toEqual([]);
    failed.wait(1);
    expect(failed.restarts).toEqual([15]);
    expect(failed.states).toEqual(['connecting', 'failed']);

    const slow = new Scene();
    slow.agree();
    slow.become('connecting');
    slow.wait(10);
    slow.become('connecting', true);
    slow.wait(15);
    expect(slow.restarts).toEqual([]);
    slow.become('connected', true);
    expect(slow.states).toEqual(['connecting', 'connected']);
  });

  test('restarts at once when the browser says that it failed, or that the network is another one', () => {
    const scene = connected();
    scene.become('failed');
    expect(scene.restarts).toEqual([0]);
    const moved = connected();
    moved.recovery.networkChanged(true);
    expect(moved.restarts).toEqual([0]);
  });

  test('gives up after a minute, and leaves no timer', () => {
    const scene = connected();
    scene.become('disconnected');
    scene.wait(61);
    expect(scene.hasGivenUp).toBe(true);
    expect(scene.states.at(-1)).toBe('closed');
    expect(scene.environment.pending).toBe(0);
  });
});
