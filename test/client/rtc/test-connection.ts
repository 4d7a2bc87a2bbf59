// As much of an RTCPeerConnection as a peer looks at that never negotiates, in the place of the platform's.
import { afterEach, beforeEach } from '@jest/globals';

export class TestConnection extends EventTarget {
  readonly connectionState: RTCPeerConnectionState = 'new';
  readonly iceConnectionState = 'new';
  signalingState: RTCSignalingState = 'stable';

  constructor(
    private readonly made: TestConnection[],
    private configuration: RTCConfiguration = {},
  ) {
    super();
    made.push(this);
  }
  getConfiguration(): RTCConfiguration {
    return this.configuration;
  }
  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }
  getStats(): Promise<Map<string, unknown>> {
    return Promise.resolve(new Map());
  }
  getTransceivers(): never[] {
    return [];
  }
  createDataChannel(): EventTarget {
    return new EventTarget();
  }
  close(): void {
    this.made.splice(this.made.indexOf(this), 1);
  }
}

type Description = { type: string; sdp: string };

/** One that negotiates: an offer or answer is its ICE fragment and nothing else. */
export class NegotiatingConnection extends TestConnection {
  localDescription: Description | null = null;
  remoteDescription: Description | null = null;
  /** What is in its descriptions beside that. */
  more = '';
  #restarts = 0;

  get currentLocalDescription(): Description | null {
    return this.localDescription;
  }
  get currentRemoteDescription(): Description | null {
    return this.remoteDescription;
  }
  override createDataChannel(): EventTarget {
    this.#need();
    return new EventTarget();
  }
  createOffer(): Promise<Description> {
    return Promise.resolve(this.#describe('offer'));
  }
  setLocalDescription(): Promise<void> {
    const isAnswer = this.signalingState === 'have-remote-offer';
    this.localDescription = this.#describe(isAnswer ? 'answer' : 'offer');
    this.signalingState = isAnswer ? 'stable' : 'have-local-offer';
    return Promise.resolve();
  }
  setRemoteDescription(description: Description): Promise<void> {
    if (description.type === 'offer' && this.remoteDescription !== null) this.#restarts++;
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    return Promise.resolve();
  }
  restartIce(): void {
    this.#restarts++;
    this.#need();
  }
  #need(): void {
    setTimeout(() => this.dispatchEvent(new Event('negotiationneeded')), 0);
  }
  #describe(type: string): Description {
    return { type, sdp: `v=0\r\na=ice-ufrag:${type}${String(this.#restarts)}\r\n${this.more}` };
  }
}

/** Those that were made in a test and not closed, the newest last. */
export function useTestConnections(): TestConnection[] {
  const made: TestConnection[] = [];
  const before = Object.getOwnPropertyDescriptor(globalThis, 'RTCPeerConnection');
  beforeEach(() => {
    made.length = 0;
    Reflect.set(globalThis, 'RTCPeerConnection', TestConnection.bind(null, made));
  });
  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'RTCPeerConnection');
    if (before !== undefined) Object.defineProperty(globalThis, 'RTCPeerConnection', before);
  });
  return made;
}
