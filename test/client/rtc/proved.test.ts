// A connection that is there as the acknowledgement of what made it: what it excuses, and what it must not.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Dialogue } from '../../../src/client/rtc/dialogue.js';
import { Negotiation, type NegotiationEvent } from '../../../src/client/rtc/negotiation.js';
import type { Signal, SignalBody } from '../../../src/client/rtc/signal.js';
import { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import type {
  LineInfo,
  LineReceiver,
  SignalingLine,
  SignalingMechanism,
} from '../../../src/client/rtc/signaling.js';
import { ManualEnvironment } from '../fixture.js';
import { ALICE, BOB, End, LINES, lineOf, SeededEnvironment } from './model-line.js';

/** A line with a sure way between two ends, both ways 5 ms long; what goes the other way is lost as the test says. */
class LossyWays implements SignalingMechanism {
  /** What was said, and whether surely. */
  readonly sent: { from: string; type: string; isSure: boolean }[] = [];
  readonly #receivers = new Map<string, LineReceiver>();

  constructor(
    private readonly environment: ManualEnvironment,
    /** Never for what goes the sure way. */
    private readonly isLost: (signal: Signal) => boolean = () => false,
    /** Whether the end is told of a loss, as the gateway does where it refuses a message. */
    private readonly tells = false,
  ) {}

  connect({ localId, remoteId }: LineInfo, receiver: LineReceiver): SignalingLine {
    this.#receivers.set(localId, receiver);
    return {
      isReliable: false,
      hasSureWay: true,
      ready: Promise.resolve(),
      send: (signal, _to, isSure) => {
        this.sent.push({ from: localId, type: signal.type, isSure });
        if (isSure || !this.isLost(signal))
          this.environment.after(5, () => this.#receivers.get(remoteId)?.onSignal(signal, `${localId}#1`));
        else if (this.tells) this.environment.after(30, () => receiver.onDropped(signal.route[2]));
      },
      close: () => {},
    };
  }
}

/** Does at once what the negotiation decides. */
class NegotiatingEnd {
  readonly negotiation: Negotiation;
  readonly #dialogue: Dialogue;

  constructor(localId: string, remoteId: string, ways: LossyWays, environment: ManualEnvironment) {
    this.negotiation = new Negotiation(() => localId > remoteId);
    const port = {
      onSignal: (signal: SignalBody) => this.#receive(signal),
      onBye: () => {},
      onFailed: () => {},
      onOverflow: () => {},
      onEnded: () => {},
    };
    this.#dialogue = new Dialogue(ways, { localId, remoteId, name: '' }, port, environment);
  }

  handle(event: NegotiationEvent): void {
    for (const step of this.negotiation.handle(event))
      if (step.do === 'send') this.#dialogue.send(step.signal);
      else if (step.do === 'offer') this.handle({ type: 'offered', sdp: 'offer' });
      else if (step.do === 'accept') this.handle({ type: 'answered', sdp: 'answer' });
      else if (step.do === 'apply') this.handle({ type: 'applied' });
  }

  proved(): void {
    this.#dialogue.proved();
  }

  #receive(signal: SignalBody): void {
    if (signal.type === 'offer' || signal.type === 'answer' || signal.type === 'want')
      this.handle({ type: 'received', signal });
    else if (signal.type === 'grant' || signal.type === 'pass') this.handle({ type: 'received', signal });
  }
}

test.each([
  ['lost', false],
  ['refused by the gateway', true],
])(
  'the word that gives the turn back is said again though the two are connected when it was %s',
  (_how, tells) => {
    const environment = new ManualEnvironment();
    const ways = new LossyWays(environment, ({ type }) => type === 'pass', tells);
    const leader = new NegotiatingEnd('bob', 'alice', ways, environment);
    const follower = new NegotiatingEnd('alice', 'bob', ways, environment);
    leader.handle({ type: 'needed' });
    // It proposes data, and asks for the turn to add its media, which then fit into its answer to the leader's offer.
    follower.handle({ type: 'needed' });
    follower.handle({ type: 'needed' });
    environment.advance(22);
    expect(ways.sent.map(({ type }) => type)).toEqual(['offer', 'offer', 'want', 'answer', 'grant', 'pass']);
    for (const end of [leader, follower]) {
      expect(end.negotiation.counts.rounds).toBe(1);
      end.proved();
    }
    environment.advance(2_000);
    expect(leader.negotiation.isSettled).toBe(true);
    // A stream, or an ICE restart.
    leader.handle({ type: 'needed' });
    environment.advance(2_000);
    expect([leader.negotiation.counts.rounds, leader.negotiation.isSettled]).toEqual([2, true]);
  },
);

/** What one end says in the property: each has a number, by which it is known where it is heard. */
const WORDS: Record<'description' | 'turn' | 'candidate', (number: number) => SignalBody> = {
  description: (round) => ({ type: 'offer', round, sdp: '' }),
  turn: (round) => ({ type: 'refuse', round }),
  candidate: (sdpMLineIndex) => ({
    type: 'candidate',
    candidate: [{ candidate: '', sdpMid: null, sdpMLineIndex, usernameFragment: null }],
  }),
};

describe.each(LINES.filter(([, { hasSureWay, older }]) => hasSureWay === true || older !== undefined))(
  'over %s',
  (_name, options) => {
    test('nothing but trailing candidates is lost, twice or swapped, whenever the connection proves that all descriptions came', () => {
      const what = fc.constantFrom('description', 'turn', 'candidate', 'candidate', 'prove', 'resync');
      const turns = fc.array(fc.record({ side: fc.nat(1), waitMs: fc.nat(400), what }), { maxLength: 30 });
      fc.assert(
        fc.property(fc.integer(), turns, (seed, plan) => {
          const environment = new SeededEnvironment(seed);
          const line = lineOf(options, environment);
          const ends = [new End(line, ALICE, environment), new End(line, BOB, environment)] as const;
          for (const { dialogue } of ends) dialogue.greet();
          const said: [SignalBody[], SignalBody[]] = [[], []];
          const descriptionsOf = (signals: readonly SignalBody[]): number =>
            signals.filter(({ type }) => type === 'offer').length;
          const areDescriptionsHeard = (): boolean =>
            descriptionsOf(said[0]) === descriptionsOf(ends[1].heard) &&
            descriptionsOf(said[1]) === descriptionsOf(ends[0].heard);
          plan.forEach(({ side, waitMs, what }, number) => {
            environment.advance(waitMs);
            const index = side === 0 ? 0 : 1;
            const { dialogue } = ends[index];
            if (what === 'resync') dialogue.onResync();
            else if (what !== 'prove') {
              said[index].push(WORDS[what](number));
              dialogue.send(WORDS[what](number));
            } else if (dialogue.remote !== null && areDescriptionsHeard()) dialogue.proved();
          });
          environment.advance(20_000);
          for (const [words, { heard }] of [[said[0], ends[1]] as const, [said[1], ends[0]] as const]) {
            // What came has its route with it.
            expect(heard).toMatchObject(words.slice(0, heard.length));
            expect(words.slice(heard.length).filter(({ type }) => type !== 'candidate')).toEqual([]);
          }
          for (const { dialogue } of ends) {
            dialogue.close();
            environment.advance(10_000);
          }
          expect(environment.pending).toBe(0);
        }),
        { numRuns: 150 },
      );
    });
  },
);

/** As much of a connection as two descriptions and a state need; the test connects it. */
class ConnectingConnection extends EventTarget {
  connectionState: RTCPeerConnectionState = 'new';
  iceConnectionState: RTCIceConnectionState = 'new';
  signalingState: RTCSignalingState = 'stable';
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  readonly currentLocalDescription = null;
  readonly currentRemoteDescription = null;
  /** Until then a description that is set stays on its way. */
  applied: Promise<void> = Promise.resolve();

  createDataChannel(): EventTarget {
    return new EventTarget();
  }

  getTransceivers(): never[] {
    return [];
  }

  createOffer(): Promise<RTCSessionDescriptionInit> {
    return Promise.resolve({ type: 'offer', sdp: 'offer' });
  }

  setLocalDescription(): Promise<void> {
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.localDescription = { type, sdp: type };
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    return Promise.resolve();
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await this.applied;
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
  }

  need(): void {
    this.dispatchEvent(new Event('negotiationneeded'));
  }

  connected(state: 'connected' | 'disconnected' = 'connected'): void {
    this.connectionState = this.iceConnectionState = state;
    this.dispatchEvent(new Event('connectionstatechange'));
  }

  close(): void {
    this.connectionState = 'closed';
  }
}

describe('two peers', () => {
  const made: ConnectingConnection[] = [];
  const before = Object.getOwnPropertyDescriptor(globalThis, 'RTCPeerConnection');
  beforeEach(() => {
    made.length = 0;
    const Connection = class extends ConnectingConnection {
      constructor() {
        super();
        made.push(this);
      }
    };
    Reflect.set(globalThis, 'RTCPeerConnection', Connection);
  });
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'RTCPeerConnection');
    if (before !== undefined) Object.defineProperty(globalThis, 'RTCPeerConnection', before);
  });

  /** The leader has offered, and the follower answered. */
  async function agreed(isLost: (signal: Signal) => boolean = () => false): Promise<{
    environment: ManualEnvironment;
    ways: LossyWays;
    /** The leader's, the follower's. */
    connections: [ConnectingConnection, ConnectingConnection];
    pass: (ms: number) => Promise<void>;
    close: () => void;
  }> {
    const environment = new ManualEnvironment();
    const ways = new LossyWays(environment, isLost);
    const options = { signaling: ways, environment };
    const peers = [
      new RTCSignalingPeer('bob', 'alice', {}, options),
      new RTCSignalingPeer('alice', 'bob', {}, options),
    ];
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 5) {
        environment.advance(5);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const [leading, following] = made;
    if (leading === undefined || following === undefined) throw new Error('no connections');
    await pass(100);
    ways.sent.length = 0;
    leading.need();
    const close = (): void => peers.forEach((peer) => peer.close());
    return { environment, ways, connections: [leading, following], pass, close };
  }
  const wordsOf = (ways: LossyWays): string[] =>
    ways.sent.map(({ from, type, isSure }) => `${from}: ${type}${isSure ? ', surely' : ''}`);

  test('say and acknowledge nothing more when they are connected, before the answer is applied or after it', async () => {
    const { ways, connections, pass, close } = await agreed();
    const [leading, following] = connections;
    let apply = (): void => {};
    leading.applied = new Promise((resolve) => (apply = resolve));
    await pass(20);
    for (const connection of connections) connection.connected();
    await pass(20);
    apply();
    await pass(5_000);
    expect(following.signalingState).toBe('stable');
    expect(wordsOf(ways)).toEqual(['bob: offer', 'alice: answer']);
    close();
  });

  test('say an offer again that was lost after they had agreed and before they were connected', async () => {
    let offers = 0;
    const { ways, connections, pass, close } = await agreed(({ type }) => type === 'offer' && ++offers === 2);
    await pass(20);
    connections[0].need();
    await pass(20);
    for (const connection of connections) connection.connected();
    await pass(2_000);
    expect(wordsOf(ways).filter((word) => !word.includes('ack'))).toEqual([
      'bob: offer',
      'alice: answer',
      'bob: offer',
      'bob: offer, surely',
      'alice: answer',
    ]);
    close();
  });

  test('say the answer to a later offer again that was lost, though the connection of before it is back', async () => {
    let answers = 0;
    const { ways, connections, pass, close } = await agreed(
      ({ type }) => type === 'answer' && ++answers === 2,
    );
    await pass(20);
    for (const connection of connections) connection.connected();
    await pass(20);
    connections[0].need();
    await pass(20);
    for (const connection of connections) {
      connection.connected('disconnected');
      connection.connected();
    }
    await pass(2_000);
    expect(wordsOf(ways).filter((word) => word.includes('answer'))).toEqual([
      'alice: answer',
      'alice: answer',
      'alice: answer, surely',
    ]);
    expect(connections[0].signalingState).toBe('stable');
    close();
  });
});
