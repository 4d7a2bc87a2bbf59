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
