// Own candidates on their way out, in batches behind the description that they belong to, and the other side's on their way in.
import type { Environment } from '../environment.js';
import { fragmentsOf } from './ice-fragments.js';
import { type Candidate, CANDIDATES_LIMIT } from './signal.js';

/** How long candidates are collected before they are sent together, ms: the first ones go soon, because one usually does. */
const FIRST_CANDIDATES_MS = 2;
const CANDIDATES_MS = 40;
/**
 * A description waits so long for its first candidates, ms, and then for more of them: those of the host come within some 3 ms, and
 * within the description they save a message each way, which is a fifth of a call's bytes.
 */
const WAIT_FOR_FIRST_MS = 10;
const WAIT_FOR_MORE_MS = 1;

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
  /** Somebody waits for the first ones. */
  #onGathered: (() => void) | null = null;

  constructor(connection: RTCPeerConnection, environment: Environment, port: CandidatesPort) {
    this.#connection = connection;
    this.#environment = environment;
    this.#port = port;
  }

  /** Whether a description that was just set will have some. Those of a restart are known of too late, and follow it. */
  get areComing(): boolean {
    return this.#connection.iceGatheringState !== 'complete';
  }

  /** Resolves when a description that was just set has candidates in it, or none come soon. */
  async first(): Promise<void> {
    await new Promise<void>((resolve) => {
      const areSome = this.#gathered.length > 0;
      let cancel = this.#environment.after(areSome ? WAIT_FOR_MORE_MS : WAIT_FOR_FIRST_MS, resolve);
      this.#onGathered = () => {
        cancel();
        cancel = this.#environment.after(WAIT_FOR_MORE_MS, resolve);
        this.#onGathered = null;
      };
    });
    this.#onGathered = null;
  }

  gathered(candidate: RTCIceCandidate | null): void {
    this.#onGathered?.();
    if (candidate === null || candidate.candidate === '') return;
    const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    this.#gathered.push({ candidate: candidate.candidate, sdpMid, sdpMLineIndex, usernameFragment });
    this.#schedule();
  }

  /** That description was sent: its candidates may go, but for those that it has itself. */
  follow(description: { sdp: string }): void {
    this.#gathered = this.#gathered.filter(
      ({ candidate }) => !description.sdp.includes(addressOf(candidate)),
    );
    this.#sentFragments = fragmentsOf(description);
    this.#areFirst = true;
    this.#schedule();
  }

  async add(candidate: Candidate): Promise<void> {
    const { usernameFragment } = candidate;
    const { remoteDescription } = this.#connection;
    // Of an offer that was ignored, or of a session before a restart.
    if (remoteDescription === null) return;
    if (usernameFragment && !fragmentsOf(remoteDescription).includes(usernameFragment)) return;
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      this.#port.onError(error);
    }
  }

  close(): void {
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#gathered.length === 0 || this.#cancel !== null) return;
    const ms = this.#areFirst ? FIRST_CANDIDATES_MS : CANDIDATES_MS;
    this.#cancel = this.#environment.after(ms, () => {
      this.#cancel = null;
      this.#send();
    });
  }

  #send(): void {
    const fragments = fragmentsOf(this.#connection.localDescription);
    // They come after the description that they belong to.
    if (fragments !== this.#sentFragments) return;
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
function addressOf(candidate: string): string {
  return candidate.split(' ', 8).join(' ');
}
