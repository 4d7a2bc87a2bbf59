// RTCPeerConnection's signaling as the specification has it, with nothing behind it: what is legal when, and what was agreed on.
import type { NegotiationEvent, NegotiationMachine, Step } from '../../../src/client/rtc/negotiation.js';
import type { NegotiationSignal } from '../../../src/client/rtc/signal.js';

type SignalingState = 'stable' | 'have-local-offer' | 'have-remote-offer';

/** What an SDP stands for here: who made it, its number, and all things that both sides shall have. */
interface Description {
  by: string;
  number: number;
  things: string[];
}

/**
 * https://www.w3.org/TR/webrtc/#rtcpeerconnection-interface: operations are chained and end later; `negotiationneeded` is told in
 * `stable` only, once, and decided anew whenever a description brought the connection back to `stable`.
 */
export class ModelConnection {
  state: SignalingState = 'stable';
  /** What the application added here. */
  readonly own = new Set<string>();
  agreed: Description | null = null;
  #pending: Description | null = null;
  #number = 0;
  #lastOffer: Description | null = null;
  #isNeededTold = false;

  constructor(
    readonly name: string,
    /** Ends an operation, or tells an event, at some later time, in order. */
    private readonly later: (label: string) => Promise<unknown>,
    private readonly onNeeded: () => void,
  ) {}

  add(thing: string): void {
    this.own.add(thing);
    this.#updateNeeded();
  }

  get isComplete(): boolean {
    return [...this.own].every((thing) => this.agreed?.things.includes(thing));
  }

  /** Changes nothing; the offer can be set as long as it is the last one made and no description was set since. */
  async createOffer(): Promise<Description> {
    await this.later(`${this.name} makes an offer`);
    if (this.state !== 'stable') throw new Error(`InvalidStateError: createOffer in ${this.state}`);
    this.#lastOffer = this.#makeOffer();
    return this.#lastOffer;
  }

  #makeOffer(): Description {
    const things = [...new Set([...(this.agreed?.things ?? []), ...this.own])];
    return { by: this.name, number: ++this.#number, things };
  }

  /** Without an offer, as in perfect negotiation: an offer in `stable`, an answer after a remote offer. */
  async setLocalDescription(offer?: Description): Promise<Description> {
    await this.later(`${this.name} sets a local description`);
    switch (this.state) {
      case 'stable':
        if (offer !== undefined && offer.number !== this.#lastOffer?.number)
          throw new Error('InvalidModificationError: another offer was made since, or a description set');
        this.#pending = offer ?? this.#makeOffer();
        this.state = 'have-local-offer';
        return this.#pending;
      case 'have-remote-offer': {
        if (this.#pending === null) throw new Error('no offer');
        // An answer has the sections of its offer, no more.
        this.agreed = this.#pending;
        return this.#settle();
      }
      default:
        throw new Error(`InvalidStateError: setLocalDescription in ${this.state}`);
    }
  }

  async setRemoteDescription(type: 'offer' | 'answer', description: Description): Promise<void> {
    await this.later(`${this.name} sets a remote ${type}`);
    if (type === 'offer') {
      if (this.state === 'have-remote-offer') throw new Error('InvalidStateError: a second offer');
      // From `have-local-offer` it is an implicit rollback.
      this.#pending = description;
      this.state = 'have-remote-offer';
      return;
    }
    if (this.state !== 'have-local-offer' || this.#pending === null)
      throw new Error(`InvalidStateError: answer in ${this.state}`);
    if (description.number !== this.#pending.number || description.by !== this.#pending.by)
      throw new Error('InvalidAccessError: the answer is to another offer');
    this.agreed = this.#pending;
    this.#settle();
  }

  async rollback(): Promise<void> {
    await this.later(`${this.name} rolls back`);
    if (this.state === 'stable') throw new Error('InvalidStateError: rollback in stable');
    this.#settle();
  }

  #settle(): Description {
    const settled = this.#pending;
    if (settled === null) throw new Error('nothing pending');
    this.#pending = null;
    this.#lastOffer = null;
    this.state = 'stable';
    this.#isNeededTold = false;
    this.#updateNeeded();
    return settled;
  }

  #updateNeeded(): void {
    if (this.state !== 'stable' || this.#isNeededTold || this.isComplete) return;
    this.#isNeededTold = true;
    void this.later(`${this.name} is told that a negotiation is needed`).then(() => {
      // The event is not fired when it is no longer true by then.
      if (this.state === 'stable' && !this.isComplete) this.onNeeded();
      else if (this.state === 'stable') this.#isNeededTold = false;
    });
  }
}

/** A machine with its model connection: does the steps as the product's driver does. */
export class ModelEnd {
  readonly connection: ModelConnection;
  readonly errors: string[] = [];
  hasFailed = false;

  constructor(
    readonly name: string,
    readonly machine: NegotiationMachine,
    later: (label: string) => Promise<unknown>,
    private readonly post: (signal: NegotiationSignal) => void,
  ) {
    this.connection = new ModelConnection(name, later, () => this.handle({ type: 'needed' }));
  }

  handle(event: NegotiationEvent): void {
    for (const step of this.machine.handle(event)) this.#do(step);
  }

  #do(step: Step): void {
    const { connection } = this;
    const run = (operation: () => Promise<NegotiationEvent>): void => {
      operation().then(
        (event) => this.handle(event),
        async (error: unknown) => {
          this.errors.push(String(error));
          if (connection.state === 'have-remote-offer') await connection.rollback();
          this.handle({ type: 'failed' });
        },
      );
    };
    const describe = async (type: 'offered' | 'answered'): Promise<NegotiationEvent> => ({
      type,
      sdp: JSON.stringify(await connection.setLocalDescription()),
    });
    switch (step.do) {
      case 'send':
        return this.post(step.signal);
      case 'offer':
        if (!step.isProposal) return run(() => describe('offered'));
        return run(async () => ({ type: 'offered', sdp: JSON.stringify(await connection.createOffer()) }));
      case 'accept':
        return run(async () => {
          await connection.setRemoteDescription('offer', parse(step.sdp));
          return await describe('answered');
        });
      case 'apply':
        return run(async () => {
          if (step.own !== null) await connection.setLocalDescription(parse(step.own));
          await connection.setRemoteDescription('answer', parse(step.sdp));
          return { type: 'applied' };
        });
      case 'undo':
        return run(async () => {
          await connection.rollback();
          return { type: 'undone' };
        });
      case 'fail':
        this.hasFailed = true;
        return;
      case 'candidates':
        return;
      default:
        step satisfies never;
    }
  }
}

function parse(sdp: string): Description {
  return JSON.parse(sdp) as Description;
}
