// Own candidates on their way out, in batches behind the description that they belong to, and the other side's on their way in.
import type { Environment } from '../environment.js';
import { forgetCandidates, isFirefox } from './firefox-restart.js';
import { areRenewed, fragmentsOf } from './ice-fragments.js';
import { type Candidate, CANDIDATES_LIMIT } from './signal.js';

/**
 * How long candidates are collected before they are sent together, ms. Those of the host come at once, right behind each other, and
 * one of them usually does: the description has gone before them, as the other side can be at work on it meanwhile.
 */
const FIRST_CANDIDATES_MS = 0;
/** How long the answer to a proposal waits for its first candidates, ms: who proposed has told none, and cannot begin without. */
const ANSWER_WAIT_MS = 5;
/** The same where the other side's are known: checks are on their way to it, and tell it the same. Near each other, both are connected by then. */
const FIRST_WITH_THEIRS_MS = 10;
const CANDIDATES_MS = 40;
/** Connected without them, the others are in no hurry: a browser that takes them in keeps DTLS and SCTP waiting meanwhile. */
const SPARE_CANDIDATES_MS = 100;

/** What a description has of candidates that were there when it was read. */
const OWN_LINES = /^a=(?:candidate:.*|end-of-candidates)\r?\n/gm;

export interface CandidatesPort {
  send(batch: Candidate[]): void;
  onError(error: unknown): void;
}

export class Candidates {
  readonly #connection: RTCPeerConnection;
  readonly #environment: Environment;
  readonly #port: CandidatesPort;
  #gathered: Candidate[] = [];
  #cancel: (() => void) | null = null;
  /** Of the description that was sent last. */
  #sentFragments: string | null = null;
  /** None has followed it yet. */
  #areFirst = true;
  #descriptions = 0;
  /** An answer waits for the first. */
  #onFirst: (() => void) | null = null;
  #cancelFirst: (() => void) | null = null;
  /** Of the description of the other side whose candidates have come. */
  #theirFragments: string | null = null;
  /** ICE was restarted by what was sent, and the other side's candidates have not been seen to have come since. */
  #isRestart = false;
  #isTheirsFirefox = false;

  constructor(connection: RTCPeerConnection, environment: Environment, port: CandidatesPort) {
    this.#connection = connection;
    this.#environment = environment;
    this.#port = port;
  }

  /** The other side is Firefox, and this one is not. */
  get isOtherFirefox(): boolean {
    return this.#isTheirsFirefox && !isFirefox(this.#connection.localDescription);
  }

  gathered(candidate: RTCIceCandidate | null): void {
    if (candidate === null || candidate.candidate === '') return;
    const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    this.#gathered.push({ candidate: candidate.candidate, sdpMid, sdpMLineIndex, usernameFragment });
    this.#onFirst?.();
    this.#schedule();
  }

  /** That description is sent, as it is given back: its candidates may go, but for those that it has itself. */
  follow<T extends { sdp: string }>(description: T): T {
    const fragments = fragmentsOf(description);
    const isRenewed = this.#sentFragments !== null && areRenewed(this.#sentFragments, fragments);
    // An offer of something else may follow a restart at once.
    this.#isRestart = isRenewed || (this.#isRestart && !this.#areTheirsKnown);
    this.#sentFragments = fragments;
    const sdp = this.#areEarly ? description.sdp.replace(OWN_LINES, '') : description.sdp;
    this.#gathered = this.#gathered.filter(({ candidate }) => !sdp.includes(addressOf(candidate)));
    this.#areFirst = true;
    this.#descriptions++;
    this.#schedule();
    return { ...description, sdp };
  }

  /** A description of the other side's, as it came. */
  heard(description: { sdp: string }): void {
    this.#isTheirsFirefox = isFirefox(description);
  }

  /** A description that restarts ICE is about to be set. */
  restarts(): void {
    if (this.isOtherFirefox) forgetCandidates(this.#connection);
  }

  /** The negotiation went on: what waited for that may go. */
  look(): void {
    this.#schedule();
  }

  /** Resolves when the first candidates of an answer that was set just now are there, or have kept it waiting long enough. */
  first(): Promise<void> {
    return new Promise((resolve) => {
      const endIn = (ms: number): void => {
        this.#cancelFirst?.();
        this.#cancelFirst = this.#environment.after(ms, () => {
          this.#onFirst = null;
          resolve();
        });
      };
      endIn(ANSWER_WAIT_MS);
      // The others of the host are right behind.
      this.#onFirst = () => endIn(FIRST_CANDIDATES_MS);
      if (this.#gathered.length > 0) this.#onFirst();
    });
  }

  async add(candidate: Candidate): Promise<void> {
    const { usernameFragment } = candidate;
    const { remoteDescription } = this.#connection;
    // Of an offer that was ignored, or of a session before a restart.
    if (remoteDescription === null) return;
    const fragments = fragmentsOf(remoteDescription);
    if (usernameFragment && !fragments.includes(usernameFragment)) return;
    if (this.#theirFragments !== fragments) {
      this.#theirFragments = fragments;
      if (this.#areFirst) this.#restart();
    }
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      this.#port.onError(error);
    }
  }

  close(): void {
    this.#cancel?.();
    this.#cancelFirst?.();
  }

  #schedule(): void {
    if (this.#gathered.length === 0 || this.#cancel !== null) return;
    const firstMs = this.#areTheirsKnown ? FIRST_WITH_THEIRS_MS : FIRST_CANDIDATES_MS;
    this.#sendIn(this.#areFirst ? firstMs : CANDIDATES_MS, () => {
      if (this.#areSpare) this.#sendIn(SPARE_CANDIDATES_MS, () => this.#send());
      else this.#send();
    });
  }

  get #areTheirsKnown(): boolean {
    const { remoteDescription } = this.#connection;
    if (remoteDescription === null) return false;
    return (
      remoteDescription.sdp.includes('a=candidate:') ||
      this.#theirFragments === fragmentsOf(remoteDescription)
    );
  }

  #restart(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#schedule();
  }

  #sendIn(ms: number, run: () => void): void {
    this.#cancel = this.#environment.after(ms, () => {
      this.#cancel = null;
      run();
    });
  }

  /** The first connection is there. What an ICE restart finds is needed, though the connection before it still holds. */
  get #areSpare(): boolean {
    return this.#descriptions === 1 && this.#isConnected;
  }

  /**
   * Of a restart with Firefox: told now, it would check them from its new candidates before those are known here. To Chromium they
   * were peer-reflexive ones then, which it gives up at once for the pair in use, as that has a higher priority (RFC 8445, section
   * 5.1.2.1), and Firefox waits in vain for one of them to be nominated; a pair may come into use only after they were told, in a call
   * that is just being connected. Firefox itself never waits. Where the connection is lost there is no such pair.
   */
  get #areEarly(): boolean {
    if (!this.#isRestart || !this.isOtherFirefox || this.#isLost) return false;
    return this.#connection.signalingState !== 'stable' || !this.#areTheirsKnown;
  }

  get #isConnected(): boolean {
    const { iceConnectionState } = this.#connection;
    return iceConnectionState === 'connected' || iceConnectionState === 'completed';
  }

  get #isLost(): boolean {
    const { iceConnectionState } = this.#connection;
    return iceConnectionState === 'disconnected' || iceConnectionState === 'failed';
  }

  #send(): void {
    const fragments = fragmentsOf(this.#connection.localDescription);
    // They come after the description that they belong to.
    if (fragments !== this.#sentFragments || this.#areEarly) return;
    this.#areFirst = false;
    // Those of an offer that was taken back are of no use to anybody.
    const useful = this.#gathered.filter(
      ({ usernameFragment }) => !usernameFragment || fragments.includes(usernameFragment),
    );
    this.#gathered = [];
    while (useful.length > 0) this.#port.send(useful.splice(0, CANDIDATES_LIMIT));
  }
}

/** Foundation to type: the rest is written differently in a description (RFC 8839 §5.1). */
export function addressOf(candidate: string): string {
  return candidate.split(' ', 8).join(' ');
}
