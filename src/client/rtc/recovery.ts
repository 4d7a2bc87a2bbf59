// What a connection's health is, and when to restart ICE: a state machine over what browsers tell, and over what they do not.
import type { Environment } from '../environment.js';
import type { Condition } from './condition.js';
import { areRenewed } from './ice-fragments.js';

/** `failed` may still recover, until `closed`. */
export type PeerState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** How long `disconnected` may heal by itself before ICE is restarted, ms; the follower waits twice as long, so that one offers. */
const HEAL_MS = 2_000;
/** A connection that is set up but not connected after this time counts as failed, ms: some browsers never say so. */
const CHECKING_LIMIT_MS = 15_000;
/** The same where ICE has found a way and only the handshake over it is missing, which a restart does not help: 20 % loss needs as long, ms. */
const HANDSHAKE_LIMIT_MS = 30_000;
/**
 * How long a restart that both sides agreed on has to find a way, ms, doubled with each one. With 400 ms to the server on both sides
 * a relayed pair takes 5 s; one that is begun before takes away what the last one found (`npm run fuzz:network`).
 */
const RETRY_MS = { first: 6_000, most: 15_000 };
/** A restart that the other side has not answered is on its way, as long as this, ms. */
const ANSWER_LIMIT_MS = 15_000;
/** An answer that took longer, ms, came after the network was away: what was gathered meanwhile may lack what is there now. */
const STALE_MS = 10_000;
/** How often the state is looked at without an event, ms. */
const LOOK_MS = 1_000;

export interface RecoveryPort {
  isLeader(): boolean;
  restartIce(): void;
  onState(state: PeerState): void;
  /** It was not connected for `giveUpMs`. */
  onGiveUp(): void;
}

export class Recovery {
  readonly #condition: Condition;
  readonly #port: RecoveryPort;
  readonly #environment: Environment;
  readonly #giveUpMs: number;
  #state: PeerState = 'new';
  /** Since when it is not connected though it should be; null while it is, or while nothing was tried. */
  #downSince: number | null = null;
  #restartAt: number | null = null;
  #restarts = 0;
  /** When one was asked for that is not agreed on; null: there is none. */
  #askedAt: number | null = null;
  /** Until then the newest agreement may still find a way. */
  #patientUntil = 0;
  #rounds = 0;
  #fragments = '';
  #cancelLook: (() => void) | null = null;

  constructor(condition: Condition, port: RecoveryPort, environment: Environment, giveUpMs: number) {
    this.#condition = condition;
    this.#port = port;
    this.#environment = environment;
    this.#giveUpMs = giveUpMs;
  }

  get state(): PeerState {
    return this.#state;
  }

  /** The network is another one, or back: what is not connected is not worth waiting for. */
  networkChanged(isOtherNetwork: boolean): void {
    if (this.#state === 'new' || this.#state === 'closed') return;
    if (isOtherNetwork || this.#state !== 'connected') this.#restart();
  }

  /** Looks at the connection: at each event, and each second while it is in use. */
  look(): void {
    if (this.#state === 'closed') return;
    const now = this.#environment.now();
    const { connectionState } = this.#condition;
    this.#noteRounds(now);
    if (connectionState === 'connected') {
      this.#downSince = this.#restartAt = this.#askedAt = null;
      this.#restarts = 0;
      this.#move('connected');
    } else if (connectionState !== 'new' || this.#downSince !== null) {
      this.#downSince ??= now;
      this.#watch(connectionState, now);
    }
    this.#schedule();
  }

  close(): void {
    this.#cancelLook?.();
    this.#cancelLook = null;
    this.#move('closed');
  }

  #watch(connectionState: RTCPeerConnectionState, now: number): void {
    const downMs = now - (this.#downSince ?? now);
    if (connectionState === 'closed' || downMs >= this.#giveUpMs) return this.#port.onGiveUp();
    const limitMs = this.#condition.isIceUp ? HANDSHAKE_LIMIT_MS : CHECKING_LIMIT_MS;
    const isFailed = connectionState === 'failed' || downMs >= limitMs;
    if (isFailed) this.#plan(now);
    else if (connectionState === 'disconnected')
      this.#plan(now + (this.#restarts === 0 ? (this.#port.isLeader() ? 1 : 2) * HEAL_MS : 0));
    if (isFailed || this.#state === 'failed') this.#move('failed');
    else if (connectionState === 'disconnected') this.#move('disconnected');
    else if (this.#state === 'new') this.#move('connecting');
    // A restart that is under way looks like a first connect; until it succeeds the application has what it was told.
    if (this.#restartAt !== null && this.#restartAt <= now && !this.#isUnderWay(now)) this.#restart();
  }

  /** What was asked for or agreed on is not yet in vain. */
  #isUnderWay(now: number): boolean {
    return this.#askedAt === null ? now < this.#patientUntil : now - this.#askedAt < ANSWER_LIMIT_MS;
  }

  /** Offers of the other side count as well: its restarts are as good. Those that are about something else change nothing here. */
  #noteRounds(now: number): void {
    const { rounds } = this.#condition;
    if (rounds === this.#rounds) return;
    this.#rounds = rounds;
    const { fragments } = this.#condition;
    const isRestart = areRenewed(this.#fragments, fragments);
    this.#fragments = fragments;
    if (!isRestart) return;
    const isStale = this.#askedAt !== null && now - this.#askedAt > STALE_MS;
    this.#askedAt = null;
    if (this.#downSince === null) return;
    const ms = Math.min(RETRY_MS.first * 2 ** Math.max(0, this.#restarts - 1), RETRY_MS.most);
    this.#patientUntil = isStale ? now : now + ms;
  }

  #plan(at: number): void {
    this.#restartAt = Math.min(this.#restartAt ?? Infinity, at);
  }

  #restart(): void {
    this.#restarts++;
    this.#restartAt = null;
    this.#askedAt = this.#environment.now();
    this.#port.restartIce();
  }

  #schedule(): void {
    if (this.#state === 'new' || this.#state === 'closed') return;
    this.#cancelLook?.();
    this.#cancelLook = this.#environment.after(LOOK_MS, () => {
      this.#cancelLook = null;
      this.look();
    });
  }

  #move(state: PeerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#port.onState(state);
  }
}
