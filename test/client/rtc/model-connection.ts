// RTCPeerConnection's signaling as the specification has it and browsers break it, with nothing behind it: what is legal when, and what was agreed on.
import { NegotiationDriver, type NegotiatedConnection } from '../../../src/client/rtc/negotiation-driver.js';
import type { NegotiationMachine } from '../../../src/client/rtc/negotiation.js';
import type { NegotiationSignal } from '../../../src/client/rtc/signal.js';

type SignalingState = 'stable' | 'have-local-offer' | 'have-remote-offer';
type Role = 'active' | 'passive';

/** What an SDP stands for here: who made it, its number, and all things that both sides shall have. */
interface Content {
  by: string;
  number: number;
  things: string[];
  hasData: boolean;
}

interface Description {
  type: 'offer' | 'answer';
  sdp: string;
}

/** Firefox answers a restart as if the DTLS role were open; Chromium refuses a role that changes. */
export type Kind = 'chromium' | 'firefox';

export const opposite = (role: Role): Role => (role === 'active' ? 'passive' : 'active');

/**
 * https://www.w3.org/TR/webrtc/#rtcpeerconnection-interface: operations are chained and end later; `negotiationneeded` is told in
 * `stable` only, once, and decided anew whenever a description brought the connection back to `stable`.
 */
export class ModelConnection implements NegotiatedConnection {
  signalingState: SignalingState = 'stable';
  currentLocalDescription: Description | null = null;
  currentRemoteDescription: Description | null = null;
  /** What the application added here. */
  readonly own = new Set<string>();
  /** Whether it has a channel, which a data section is for. */
  hasChannel = false;
  agreed: Content | null = null;
  /** A first data section came along with a restart: it carries nothing (Chromium to Firefox). */
  isDataDead = false;
  #pendingLocal: Description | null = null;
  #pendingRemote: Description | null = null;
  #number = 0;
  #lastOffer: string | null = null;
  #isNeededTold = false;
  #role: Role | null = null;
  #fragment = 0;
  #isRestartWanted = false;

  constructor(
    readonly name: string,
    readonly kind: Kind,
    /** Ends an operation, or tells an event, at some later time, in order. */
    private readonly later: (label: string) => Promise<unknown>,
    private readonly onNeeded: () => void,
  ) {}

  get localDescription(): Description | null {
    return this.#pendingLocal ?? this.currentLocalDescription;
  }

  add(thing: string): void {
    this.own.add(thing);
    this.#updateNeeded();
  }

  addChannel(): void {
    this.hasChannel = true;
    this.#updateNeeded();
  }

  restartIce(): void {
    if (this.agreed === null) throw new Error('nothing to restart: Chromium makes no offer of it');
    this.#isRestartWanted = true;
    this.#updateNeeded();
  }

  get isComplete(): boolean {
    const { agreed, hasChannel, own } = this;
    const isOfferable = [...own].every((thing) => agreed?.things.includes(thing));
    return isOfferable && (!hasChannel || agreed?.hasData === true) && !this.#isRestartWanted;
  }

  /** Changes nothing; the offer can be set as long as it is the last one made and no description was set since. */
  async createOffer(): Promise<{ sdp: string }> {
    await this.later(`${this.name} makes an offer`);
    if (this.signalingState !== 'stable')
      throw new Error(`InvalidStateError: createOffer in ${this.signalingState}`);
    this.#lastOffer = this.#makeOffer();
    return { sdp: this.#lastOffer };
  }

  /** Has set an offer of data before anybody called, and gives it. */
  stand(): string {
    this.hasChannel = true;
    const sdp = this.#makeOffer();
    this.#pendingLocal = { type: 'offer', sdp };
    this.signalingState = 'have-local-offer';
    return sdp;
  }

  #makeOffer(): string {
    const things = [...new Set([...(this.agreed?.things ?? []), ...this.own])];
    const hasData = this.hasChannel || this.agreed?.hasData === true;
    const fragment = this.#fragment + (this.#isRestartWanted ? 1 : 0);
    return this.#write({ by: this.name, number: ++this.#number, things, hasData }, 'actpass', fragment);
  }

  #write(content: Content, setup: Role | 'actpass', fragment: number): string {
    const media = content.things.map(() => 'm=video\n').join('');
    return `${JSON.stringify(content)}\n${media}a=ice-ufrag:${this.name}${String(fragment)}\na=setup:${setup}\n`;
  }

  /** Without an offer, as in perfect negotiation: an offer in `stable`, an answer after a remote offer. */
  async setLocalDescription(description?: { type: 'offer' | 'rollback'; sdp?: string }): Promise<void> {
    await this.later(`${this.name} sets a local description`);
    if (description?.type === 'rollback') {
      this.#rollback();
      return;
    }
    switch (this.signalingState) {
      case 'stable':
        if (description !== undefined && description.sdp !== this.#lastOffer)
          throw new Error('InvalidModificationError: another offer was made since, or a description set');
        this.#pendingLocal = { type: 'offer', sdp: description?.sdp ?? this.#makeOffer() };
        this.signalingState = 'have-local-offer';
        return;
      case 'have-remote-offer': {
        const offer = this.#pendingRemote;
        if (offer === null) throw new Error('no offer');
        const isRestart = isNewFragment(offer, this.currentRemoteDescription);
        const fragment = this.#fragment + (isRestart ? 1 : 0);
        const sdp = this.#write(contentOf(offer), this.#answerRole(offer, isRestart), fragment);
        this.#settle({ type: 'answer', sdp }, offer);
        return;
      }
      default:
        throw new Error(`InvalidStateError: setLocalDescription in ${this.signalingState}`);
    }
  }

  #answerRole(offer: Description, isRestart: boolean): Role {
    const wanted = setupOf(offer);
    if (wanted !== 'actpass') return opposite(wanted);
    return (this.kind === 'firefox' && isRestart ? null : this.#role) ?? 'active';
  }

  async setRemoteDescription(description: {
    type: 'offer' | 'answer' | 'rollback';
    sdp?: string;
  }): Promise<void> {
    const { type, sdp = '' } = description;
    await this.later(`${this.name} sets a remote ${type}`);
    if (type === 'rollback') {
      this.#rollback();
      return;
    }
    if (type === 'offer') {
      if (this.signalingState === 'have-remote-offer') throw new Error('InvalidStateError: a second offer');
      // From `have-local-offer` it is an implicit rollback.
      this.#pendingLocal = null;
      this.#pendingRemote = { type, sdp };
      this.signalingState = 'have-remote-offer';
      return;
    }
    if (this.signalingState !== 'have-local-offer' || this.#pendingLocal === null)
      throw new Error(`InvalidStateError: answer in ${this.signalingState}`);
    const [answered, offered] = [contentOf({ type, sdp }), contentOf(this.#pendingLocal)];
    // An offer of the other side's own can be the answer where both have nothing but data, as then the sections are the same.
    const isCrossed = answered.by !== this.name && isOnlyData(answered) && isOnlyData(offered);
    if (!isCrossed && (answered.number !== offered.number || answered.by !== offered.by))
      throw new Error('InvalidAccessError: the answer is to another offer');
    this.#settle(this.#pendingLocal, { type, sdp });
  }

  #rollback(): void {
    if (this.signalingState === 'stable') throw new Error('InvalidStateError: rollback in stable');
    this.#rest();
  }

  #settle(local: Description, remote: Description): void {
    const answer = local.type === 'answer' ? local : remote;
    const setup = setupOf(answer);
    if (setup === 'actpass') throw new Error('an answer leaves the role open');
    const role = answer === local ? setup : opposite(setup);
    if (this.#role !== null && this.#role !== role)
      throw new Error('Failed to set SSL role for the transport');
    const content =
      contentOf(local).by === contentOf(remote).by
        ? contentOf(answer)
        : { by: 'both', number: 0, things: [], hasData: true };
    const isRestart = this.agreed !== null && isNewFragment(remote, this.currentRemoteDescription);
    if (content.hasData && this.agreed?.hasData === false && isRestart) this.isDataDead = true;
    this.#role = role;
    if (isNewFragment(local, this.currentLocalDescription)) this.#isRestartWanted = false;
    this.#fragment = Number(/ice-ufrag:\D+(\d+)/.exec(local.sdp)?.[1]);
    this.agreed = content;
    this.currentLocalDescription = local;
    this.currentRemoteDescription = remote;
    this.#rest();
  }

  #rest(): void {
    this.#pendingLocal = this.#pendingRemote = this.#lastOffer = null;
    this.signalingState = 'stable';
    this.#isNeededTold = false;
    this.#updateNeeded();
  }

  #updateNeeded(): void {
    if (this.signalingState !== 'stable' || this.#isNeededTold || this.isComplete) return;
    this.#isNeededTold = true;
    void this.later(`${this.name} is told that a negotiation is needed`).then(() => {
      // The event is not fired when it is no longer true by then.
      if (this.signalingState === 'stable' && !this.isComplete) this.onNeeded();
      else if (this.signalingState === 'stable') this.#isNeededTold = false;
    });
  }
}

function contentOf({ sdp }: Description): Content {
  return JSON.parse(sdp.slice(0, sdp.indexOf('\n'))) as Content;
}

function isOnlyData({ things, hasData }: Content): boolean {
  return hasData && things.length === 0;
}

function setupOf({ sdp }: Description): Role | 'actpass' {
  const setup = /a=setup:(active|passive|actpass)/.exec(sdp)?.[1];
  if (setup === 'active' || setup === 'passive') return setup;
  return 'actpass';
}

function isNewFragment(next: Description, last: Description | null): boolean {
  const fragment = /a=ice-ufrag:.*/;
  return last !== null && fragment.exec(next.sdp)?.[0] !== fragment.exec(last.sdp)?.[0];
}

/** The product's driver with a model connection. */
export class ModelEnd {
  readonly connection: ModelConnection;
  readonly driver: NegotiationDriver;
  readonly errors: string[] = [];
  hasFailed = false;
  /** How often it was told that a restart is set now. */
  restarts = 0;

  constructor(
    readonly name: string,
    kind: Kind,
    readonly machine: NegotiationMachine,
    later: (label: string) => Promise<unknown>,
    post: (signal: NegotiationSignal) => void,
  ) {
    this.connection = new ModelConnection(name, kind, later, () => this.driver.handle({ type: 'needed' }));
    this.driver = new NegotiationDriver(this.connection, machine, {
      send: post,
      onCandidates: () => {},
      // As a peer does: see its `#beginWithData`.
      onOffer: () => {
        this.connection.hasChannel = true;
      },
      firstAnswer: () => Promise.resolve(),
      onRestart: () => {
        this.restarts++;
      },
      onHeard: () => {},
      onError: (error) => this.errors.push(String(error)),
      onFailed: () => {
        this.hasFailed = true;
      },
      onChange: () => {},
    });
  }
}
