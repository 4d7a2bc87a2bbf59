// One client's place among the tabs that share a session: its id, its lock, what it keeps for the hub, and its turn to be the hub.
import type { Transport } from '../websocket-class.js';
import { Candidate, type CandidateOptions } from './candidate.js';
import type { HubPlace } from './hub-place.js';
import { lockOfTab, type Note } from './tab-messages.js';

/** Notes of messages whose receipt is still awaited, or that were never called done: beyond it the oldest are dropped. */
const NOTES_LIMIT = 2_048;

/** How long a hub may be silent before its lock is taken away from it, ms; and how often it was asked in vain, as a page that hung itself hears late. */
const HUB_SILENCE_MS = 5_000;
const HUB_SILENCE_ASKS = 3;
/** Tabs that notice the same thing do not do so at the same moment, ms. */
const USURP_SPREAD_MS = 500;

export type SeatOptions = Omit<CandidateOptions, 'name' | 'url' | 'home' | 'homeLock'> & {
  readonly transports?: readonly Transport[] | undefined;
};

/** A connection of the client to a hub. */
export interface Sitter {
  /** The client has said goodbye by it. */
  readonly isLeaving: boolean;
}

export class Seat {
  /** Another one after each farewell: hubs wait for the lock of that name, and one that hangs does not give it back. */
  id: string = crypto.randomUUID();
  readonly options: SeatOptions;
  /** Of the frames that this tab has handed to any hub. */
  frames = 0;
  /** Of the connections to hubs. */
  sockets = 0;
  readonly notes = new Map<number, Note>();
  /** That the notes belong to. */
  session = '';
  /** The hub may have gone on without this tab. */
  isBehind = false;
  /** Rooms that a server brought the session into. */
  brought: string[] = [];
  /** Whose session this is a tab of; null before the first. */
  #name: string | null = null;
  /** The newest connection. */
  #sitter: Sitter | null = null;
  /** Since when the hub was asked without an answer; null where it lives. */
  #silentSince: number | null = null;
  #asks = 0;
  #cancelUsurp: () => void = () => {};
  #lock: Promise<() => void> | null = null;
  /** Of the session with that name. */
  #candidate: Candidate | null = null;
  readonly #place: HubPlace;

  constructor(options: SeatOptions, place: HubPlace) {
    this.options = options;
    this.#place = place;
  }

  /** From now on it is a tab of that session, and may become its hub. Resolves when others can see it. */
  async take(sitter: Sitter, name: string, url: string): Promise<void> {
    // Who has said goodbye may not have heard the answer: what comes now is another life.
    if (name !== this.#name || this.#sitter?.isLeaving) this.#leave();
    this.#sitter = sitter;
    this.#name = name;
    const homeLock = lockOfTab(name, this.id);
    this.#candidate ??= new Candidate({ ...this.options, name, url, home: this, homeLock });
    const candidate = this.#candidate;
    this.#lock ??= this.options.platform.hold(homeLock);
    await this.#lock;
    if (candidate === this.#candidate) this.#stand(candidate, name, url);
  }

  /** For good. A hub in this page goes on while it has other tabs. */
  leave(sitter: Sitter): void {
    if (this.#sitter === sitter) this.#leave();
  }

  #leave(): void {
    void this.#lock?.then((release) => {
      release();
    });
    this.#lock = this.#name = null;
    this.id = crypto.randomUUID();
    this.notes.clear();
    this.brought = [];
    this.hears();
    this.#candidate?.withdraw();
    this.#candidate = null;
  }

  keep(note: Note): void {
    this.notes.set(note.at, note);
    const [oldest] = this.notes.keys();
    if (this.notes.size > NOTES_LIMIT && oldest !== undefined) this.notes.delete(oldest);
  }

  /** The tab asks whether there is a hub that lives. */
  asks(): void {
    const { environment } = this.options;
    this.#silentSince ??= environment.now();
    if (++this.#asks < HUB_SILENCE_ASKS || environment.now() - this.#silentSince < HUB_SILENCE_MS) return;
    this.hears();
    // It may have gone on for a moment, unheard. Whoever follows it has to know, also where the one that takes its lock away dies first.
    this.isBehind = true;
    this.#cancelUsurp = environment.after(environment.random() * USURP_SPREAD_MS, () => {
      this.#candidate?.usurp();
    });
  }

  /** The hub lives. */
  hears(): void {
    this.#silentSince = null;
    this.#asks = 0;
    this.#cancelUsurp();
  }

  /** Where there is a worker, that one stands before: it outlives its tabs. */
  #stand(candidate: Candidate, name: string, url: string): void {
    const { agent, acceptTimeoutMs, connectTimeoutMs, offlineQueueLimitBytes, transports } = this.options;
    const placed = this.#place.stand({
      name,
      url,
      agent,
      acceptTimeoutMs,
      connectTimeoutMs,
      offlineQueueLimitBytes,
      transports,
    });
    if (placed === null) return candidate.stand();
    void placed.then(() => {
      if (candidate === this.#candidate) candidate.stand();
    });
  }
}
