// Does on a connection what the negotiation decides, and tells it how that ended.
import { withRoleKept } from './dtls-role.js';
import { withoutCollisions } from './header-extensions.js';
import { areRenewed, fragmentsOf } from './ice-fragments.js';
import type { NegotiationCounts, NegotiationEvent, NegotiationMachine, Step } from './negotiation.js';
import type { Candidate, NegotiationSignal } from './signal.js';

type Description = { readonly type: string; readonly sdp: string } | null;

/** As much of an `RTCPeerConnection` as offers and answers need. */
export interface NegotiatedConnection {
  readonly signalingState: string;
  readonly localDescription: Description;
  readonly currentLocalDescription: Description;
  readonly currentRemoteDescription: Description;
  createOffer(): Promise<{ sdp?: string }>;
  setLocalDescription(description?: { type: 'offer' | 'rollback'; sdp?: string }): Promise<void>;
  setRemoteDescription(description: { type: 'offer' | 'answer' | 'rollback'; sdp?: string }): Promise<void>;
  restartIce(): void;
}

export interface DriverPort {
  send(signal: NegotiationSignal): void;
  /** The other side's. */
  onCandidates(candidates: Candidate[]): void;
  /** An offer is made now: what it shall have must be there. */
  onOffer(): void;
  /**
   * Resolves when a restart of ICE that is under way is over, where one of the browsers cannot bear another one before: an own one, or one that
   * the other side asks for. Undefined: there is nothing to wait for.
   */
  restartOver?(isOwn: boolean): Promise<void> | undefined;
  /** A description of either side that restarts ICE is set now. */
  onRestart(): void;
  /** The first offer was the other side's, and its answer is set: resolves when that may be sent. */
  firstAnswer(): Promise<void>;
  /** The other side's first description is set: what is added from now on is never in an offer that is forgotten. */
  onHeard(): void;
  /** A step threw; it may be tried again. */
  onError(error: unknown): void;
  /** It cannot succeed. */
  onFailed(): void;
  /** Something happened. */
  onChange(): void;
}

export class NegotiationDriver {
  readonly #connection: NegotiatedConnection;
  readonly #machine: NegotiationMachine;
  readonly #port: DriverPort;
  /** An ICE restart is wanted as long as one of these fragments is in use; null: none is. */
  #worn: string | null = null;
  /** The fragments that the connection was told to renew, which its next offer does; null: it was not told, or has done so. */
  #told: string | null = null;
  /** A restart waits until the connection can bear it. */
  #isWaiting = false;
  /** A step is under way. */
  #isStepping = false;
  #isClosed = false;

  constructor(connection: NegotiatedConnection, machine: NegotiationMachine, port: DriverPort) {
    this.#connection = connection;
    this.#machine = machine;
    this.#port = port;
  }

  get counts(): NegotiationCounts {
    return this.#machine.counts;
  }

  get holdsChannels(): boolean {
    return this.#machine.holdsChannels === true;
  }

  get isSettled(): boolean {
    return this.#machine.isSettled && this.#connection.signalingState === 'stable';
  }

  /** One that was asked for is not agreed on. */
  get wantsRestart(): boolean {
    return this.#worn !== null;
  }

  handle(event: NegotiationEvent): void {
    if (this.#isClosed) return;
    for (const step of this.#machine.handle(event)) this.#do(step);
    this.#port.onChange();
  }

  /** Nothing before both sides first agreed: there is nothing to restart then, and Chromium cannot make an offer of it. */
  restartIce(): void {
    if (this.#isClosed || this.counts.rounds === 0) return;
    this.#worn = this.#fragments();
    this.#restart();
  }

  close(): void {
    this.#isClosed = true;
  }

  #do(step: Step): void {
    switch (step.do) {
      case 'send':
        return this.#port.send(step.signal);
      case 'candidates':
        return this.#port.onCandidates(step.candidates);
      case 'fail':
        return this.#port.onFailed();
      case 'offer':
        return this.#run(async () => ({ type: 'offered', sdp: await this.#offer(step.isProposal) }));
      case 'accept':
        return this.#run(async () => ({ type: 'answered', sdp: await this.#accept(step.sdp) }));
      case 'apply':
        return this.#run(async () => {
          const { own, sdp } = step;
          // The connection does one after the other, which does not have to wait for this page in between.
          await Promise.all([
            own === null ? null : this.#connection.setLocalDescription({ type: 'offer', sdp: own }),
            this.#connection.setRemoteDescription({ type: 'answer', sdp }),
          ]);
          this.#port.onHeard();
          return { type: 'applied' };
        });
      case 'undo':
        return this.#run(async () => {
          await this.#takeBack();
          return { type: 'undone' };
        });
      default:
        step satisfies never;
    }
  }

  #run(step: () => Promise<NegotiationEvent>): void {
    this.#isStepping = true;
    step().then(
      (event) => {
        this.#isStepping = false;
        if (event.type === 'answered' || event.type === 'applied') this.#afterRound();
        this.handle(event);
      },
      (error: unknown) => {
        this.#isStepping = false;
        if (this.#isClosed) return;
        this.#port.onError(error);
        this.handle({ type: 'failed' });
      },
    );
  }

  async #offer(isProposal: boolean): Promise<string> {
    this.#port.onOffer();
    if (this.#told !== null) this.#port.onRestart();
    if (isProposal) return (await this.#connection.createOffer()).sdp ?? '';
    return await this.#describe().catch((error: unknown) => this.#describeAgain(error));
  }

  /** What the connection offers of itself, but cannot set for the numbers of its header extensions, is set without those. */
  async #describeAgain(error: unknown): Promise<string> {
    const { sdp = '' } = await this.#connection.createOffer();
    const clear = withoutCollisions(sdp, this.#connection.currentLocalDescription?.sdp ?? '');
    if (clear === sdp) throw error;
    await this.#connection.setLocalDescription({ type: 'offer', sdp: clear });
    return this.#connection.localDescription?.sdp ?? '';
  }

  async #accept(offer: string): Promise<string> {
    try {
      const sdp = withRoleKept(offer, this.#connection);
      const { currentRemoteDescription: last, localDescription } = this.#connection;
      if (last !== null && areRenewed(fragmentsOf(last), fragmentsOf({ sdp }))) {
        await this.#port.restartOver?.(false);
        this.#port.onRestart();
      }
      await this.#connection.setRemoteDescription({ type: 'offer', sdp });
      this.#port.onHeard();
      const answer = await this.#describe();
      if (localDescription !== null) return answer;
      await this.#port.firstAnswer();
      return this.#connection.localDescription?.sdp ?? answer;
    } catch (error) {
      // Half of an acceptance would leave the connection waiting for ever.
      await this.#takeBack();
      throw error;
    }
  }

  async #describe(): Promise<string> {
    await this.#connection.setLocalDescription();
    return this.#connection.localDescription?.sdp ?? '';
  }

  async #takeBack(): Promise<void> {
    const connection = this.#connection;
    const { signalingState } = connection;
    if (signalingState === 'have-local-offer') await connection.setLocalDescription({ type: 'rollback' });
    if (signalingState === 'have-remote-offer') await connection.setRemoteDescription({ type: 'rollback' });
  }

  /** A restart that was asked for may have been taken back with the offer that carried it. */
  #afterRound(): void {
    if (this.#isRenewed(this.#told)) this.#told = null;
    if (this.#isRenewed(this.#worn)) this.#worn = null;
    if (this.#worn !== null) this.#restart();
  }

  /** Of what is agreed on and of an own offer that is not answered yet, which may be taken back. */
  #fragments(): string {
    const { currentLocalDescription, localDescription } = this.#connection;
    return [currentLocalDescription, localDescription].map(fragmentsOf).join(' ');
  }

  /** A restart gives every section another fragment; sections come and go without one. */
  #isRenewed(fragments: string | null): boolean {
    return fragments !== null && areRenewed(fragments, fragmentsOf(this.#connection.localDescription));
  }

  #restart(): void {
    // What is being agreed on may be one, and as good: the end of its round asks again.
    if (this.#isWaiting || this.#isStepping) return;
    const over = this.#port.restartOver?.(true);
    if (over === undefined) return this.#restartNow();
    this.#isWaiting = true;
    void this.#restartAfter(over);
  }

  async #restartAfter(over: Promise<void>): Promise<void> {
    const connection = this.#connection;
    const inUse = (): string => fragmentsOf(connection.currentLocalDescription);
    // One of the other side may come meanwhile, or an own one be offered: which is as good.
    const isWanted = (): boolean => !this.#isClosed && this.#worn !== null && !this.#isRenewed(this.#worn);
    for (let next: Promise<void> | undefined = over; next !== undefined;) {
      const before = inUse();
      await next;
      // Another one began while that was waited for.
      next = isWanted() && areRenewed(before, inUse()) ? this.#port.restartOver?.(true) : undefined;
    }
    this.#isWaiting = false;
    // As above.
    if (isWanted() && !this.#isStepping && connection.signalingState === 'stable') this.#restartNow();
  }

  #restartNow(): void {
    this.#told = this.#fragments();
    this.#connection.restartIce();
  }
}
