// Calls that meet: however two clients with standing offers begin to talk, and whatever overtakes what, there is one connection.
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Peers } from '../../../src/client/rtc/peers.js';
import type { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { W1, W2 } from '../../session/store/fixture.js';
import { ManualEnvironment } from '../fixture.js';
import { type Kind, ModelConnection } from './model-connection.js';
import { ModelGateway } from './model-gateway.js';

// A peer listens to a dozen events until one signal.
setMaxListeners(32);

/** Of each side: what it begins with, and after how many steps; null: it only takes calls. */
interface Plan {
  first: 'hello' | 'channel' | 'media' | 'hello, then media' | null;
  after: number;
  isHolder: boolean;
  kind: Kind;
  /** After how many steps the gateway has forgotten whom it called. */
  forgets: number;
  /** Its handler closes the peer of each call. */
  refuses?: true;
}

const plan = fc.record<Plan>({
  first: fc.constantFrom('hello', 'channel', 'channel', 'media', 'hello, then media', null),
  after: fc.nat(20),
  isHolder: fc.boolean(),
  forgets: fc.nat(80),
  kind: fc.constantFrom<Kind>('chromium', 'firefox'),
});

/** Of what the gateway does not keep. */
const lost = fc.uniqueArray(fc.nat(8), { maxLength: 2 });

/** The model as a platform has it. */
class PlatformConnection extends EventTarget {
  static readonly alive = new Set<PlatformConnection>();
  static make: (onNeeded: () => void) => ModelConnection;
  readonly model: ModelConnection;
  readonly iceGatheringState = 'complete';
  readonly iceConnectionState = 'new';
  readonly connectionState = 'new';
  isClosed = false;
  constructor() {
    super();
    this.model = PlatformConnection.make(() => this.dispatchEvent(new Event('negotiationneeded')));
    PlatformConnection.alive.add(this);
  }
  get signalingState(): string {
    return this.isClosed ? 'closed' : this.model.signalingState;
  }
  get localDescription(): ModelConnection['localDescription'] {
    return this.model.localDescription;
  }
  get currentLocalDescription(): ModelConnection['localDescription'] {
    return this.model.currentLocalDescription;
  }
  get currentRemoteDescription(): ModelConnection['localDescription'] {
    return this.model.currentRemoteDescription;
  }
  get remoteDescription(): ModelConnection['localDescription'] {
    return this.model.currentRemoteDescription;
  }
  createOffer(): Promise<{ sdp: string }> {
    return this.model.createOffer();
  }
  setLocalDescription(description?: { type: 'offer' | 'rollback'; sdp?: string }): Promise<void> {
    return this.model.setLocalDescription(description);
  }
  setRemoteDescription(description: { type: 'offer' | 'answer' | 'rollback'; sdp?: string }): Promise<void> {
    return this.model.setRemoteDescription(description);
  }
  createDataChannel(): EventTarget {
    this.model.addChannel();
    return Object.assign(new EventTarget(), { readyState: 'connecting', close: () => undefined });
  }
  addTrack(track: { id: string }): object {
    this.model.add(track.id);
    return { track };
  }
  getTransceivers(): never[] {
    return [];
  }
  getConfiguration(): object {
    return {};
  }
  setConfiguration(): void {
    // Without servers.
  }
  restartIce(): void {
    this.model.restartIce();
  }
  close(): void {
    this.isClosed = true;
    PlatformConnection.alive.delete(this);
  }
}

const before = Object.getOwnPropertyDescriptor(globalThis, 'RTCPeerConnection');
beforeEach(() => {
  Reflect.set(globalThis, 'RTCPeerConnection', PlatformConnection);
});
afterEach(() => {
  Reflect.deleteProperty(globalThis, 'RTCPeerConnection');
  if (before !== undefined) Object.defineProperty(globalThis, 'RTCPeerConnection', before);
});

interface Side {
  peers: Peers;
  plan: Plan;
  made: RTCSignalingPeer[];
  ends: string[];
}

const settle = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

async function play(
  scheduler: fc.Scheduler,
  plans: readonly [Plan, Plan],
  losses: readonly number[],
): Promise<{ sides: Side[]; gateway: ModelGateway }> {
  const environment = new ManualEnvironment();
  const gateway = new ModelGateway(scheduler, environment, losses);
  const names = ['alice', 'bob'];
  PlatformConnection.alive.clear();
  let connections = 0;
  const later = (label: string): Promise<unknown> => scheduler.schedule(Promise.resolve(), label);
  const sides = plans.map((one, index): Side => {
    const peers = gateway.join(names[index] ?? '', index === 0 ? W1 : W2);
    return { peers, plan: one, made: [], ends: [] };
  });
  const hold = (side: Side, peer: RTCSignalingPeer): RTCSignalingPeer => {
    if (side.made.includes(peer)) return peer;
    side.made.push(peer);
    peer.on('close', (reason) => side.ends.push(String(reason)));
    return peer;
  };
  for (const side of sides) {
    // Each has a name of its own, of letters: numbers count restarts.
    PlatformConnection.make = (onNeeded) => {
      let last: Promise<unknown> = Promise.resolve();
      const inOrder = (label: string): Promise<unknown> => (last = last.then(() => later(label)));
      return new ModelConnection('c'.repeat(++connections), side.plan.kind, inOrder, onNeeded);
    };
    const handler = (peer: RTCSignalingPeer): void => {
      hold(side, peer);
      if (side.plan.refuses === true) peer.close();
    };
    side.peers.onPeer(handler, {}, { standing: side.plan.isHolder, environment });
    await settle();
    // The code for it is loaded then.
    for (let turns = 0; side.plan.isHolder && scheduler.count() === 0; turns++) {
      if (turns > 1_000) throw new Error('nothing is offered');
      await settle();
    }
    while (scheduler.count() > 0) {
      await scheduler.waitNext(1);
      await settle();
    }
  }
  const todo = sides.map((side, index) => ({ side, after: side.plan.after, to: names[1 - index] ?? '' }));
  let idle = 0;
  for (let steps = 0; idle < 20 || todo.length > 0; steps++) {
    for (const one of [...todo]) {
      if (one.after-- > 0) continue;
      todo.splice(todo.indexOf(one), 1);
      const { first } = one.side.plan;
      if (first === null) continue;
      void one.side.peers.peer(one.to, {}, { environment }).then(async (peer) => {
        hold(one.side, peer);
        if (first === 'hello, then media') await later('something to say');
        if (first === 'channel') peer.createDataChannel('a channel').catch(() => {});
        const track = { id: `track for ${one.to}`, kind: 'video' };
        if (first === 'media' || first === 'hello, then media')
          peer.addStream({ getTracks: () => [track] } as unknown as MediaStream).catch(() => {});
      });
      await settle();
      // Who has nothing to offer at once says hello.
      environment.advance(0);
    }
    await settle();
    if (scheduler.count() > 0) {
      idle = 0;
      await scheduler.waitNext(1);
    } else {
      // What is said again, and acknowledged, by the clock.
      idle++;
      environment.advance(200);
    }
    if (plans.some(({ forgets }) => forgets === steps)) gateway.forget();
    if (steps > 3_000) throw new Error('it never comes to rest');
  }
  return { sides, gateway };
}

test('two that call each other in any way become one connection, and one end on each side', async () => {
  const outcomes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), plan, plan, lost, async (scheduler, one, other, losses) => {
      const plans = [one, other] as const;
      const { sides, gateway } = await play(scheduler, plans, losses);
      for (const outcome of gateway.outcomes) outcomes.add(outcome);
      const calls = plans.filter(({ first }) => first !== null);
      for (const { made, ends } of sides) {
        expect(ends).toEqual([]);
        expect(made).toHaveLength(calls.length > 0 ? 1 : 0);
      }
      const [mine, theirs] = sides.flatMap(({ made }) => made);
      if (mine === undefined || theirs === undefined) return;
      expect([mine.errors, theirs.errors]).toEqual([[], []]);
      expect(mine.counts.rounds).toBe(theirs.counts.rounds);
      const [first, second] = [mine.peer, theirs.peer] as unknown as PlatformConnection[];
      expect(first?.model.agreed).toEqual(second?.model.agreed);
      if (calls.some((call) => call.first !== 'hello')) expect(first?.model.agreed?.hasData).toBe(true);
      expect([first?.signalingState, second?.signalingState]).toEqual(['stable', 'stable']);
      expect([first?.model.isComplete, second?.model.isComplete]).toEqual([true, true]);
    }),
    { numRuns: 300 },
  );
  // Each of these was met.
  expect([...outcomes].sort()).toEqual(['crossed', 'given', 'left', 'none']);
}, 60_000);

test('a call that is refused is told once, and ends with remote, with a standing offer or without', async () => {
  const outcomes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), plan, plan, lost, async (scheduler, one, other, losses) => {
      const caller = { ...one, first: one.first ?? 'hello' };
      const callee = { ...other, first: null, refuses: true } as const;
      const { sides, gateway } = await play(scheduler, [caller, callee], losses);
      for (const outcome of gateway.outcomes) outcomes.add(outcome);
      expect(sides.map(({ made, ends }) => [made.length, ends])).toEqual([
        [1, ['remote']],
        [1, ['closed']],
      ]);
    }),
    { numRuns: 150 },
  );
  expect([...outcomes].sort()).toEqual(['given', 'left', 'none']);
}, 60_000);
