// One client's place among the tabs that share a session: its id, its lock, what it keeps for the hub, and its turn to be the hub.
import { Hub, type HubOptions } from './hub.js';
import { lockOfTab, type Note } from './tab-messages.js';

/** Notes of messages whose receipt is still awaited, or that were never called done: beyond it the oldest are dropped. */
const NOTES_LIMIT = 2_048;

/** How long a hub may be silent before its lock is taken away from it, ms; and how often it was asked in vain, as a page that hung itself hears late. */
const HUB_SILENCE_MS = 5_000;
const HUB_SILENCE_ASKS = 3;
/** Tabs that notice the same thing do not do so at the same moment, ms. */
const USURP_SPREAD_MS = 500;

export type SeatOptions = Omit<HubOptions, 'name' | 'url' | 'home' | 'isUsurper' | 'onStop'>;

export class Seat {
  readonly id = crypto.randomUUID();
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
  #url = '';
  /** Since when the hub was asked without an answer; null where it lives. */
  #silentSince: number | null = null;
  #asks = 0;
  #cancelUsurp: () => void = () => {};
  #lock: Promise<() => void> | null = null;
  #candidacy: AbortController | null = null;
  #hub: Hub | null = null;

  constructor(options: SeatOptions) {
    this.options = options;
  }

  /** From now on it is a tab of that session, and may become its hub. Resolves when others can see it. */
  async take(name: string, url: string): Promise<void> {
    if (name !== this.#name) this.leave();
    this.#name = name;
    this.#url = url;
    this.#lock ??= this.options.platform.hold(lockOfTab(name, this.id));
    await this.#lock;
    if (name === this.#name) this.#stand(name, url);
  }

  /** For good, or to be a tab of another session. A hub in this page goes on while it has other tabs. */
  leave(): void {
    void this.#lock?.then((release) => {
      release();
    });
    this.#lock = this.#name = null;
    this.notes.clear();
    this.brought = [];
    this.hears();
    this.#withdraw();
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
      this.#usurp();
    });
  }

  /** The hub lives. */
  hears(): void {
    this.#silentSince = null;
    this.#asks = 0;
    this.#cancelUsurp();
  }

  /** The hub does not answer: whoever holds its lock hangs, and is put out of it. */
  #usurp(): void {
    if (this.#name === null || this.#hub !== null) return;
    this.#withdraw();
    this.#stand(this.#name, this.#url, true);
  }

  #stand(name: string, url: string, steal = false): void {
    if (this.#candidacy !== null || this.#hub !== null) return;
    const candidacy = new AbortController();
    this.#candidacy = candidacy;
    const { platform } = this.options;
    let hub: Hub | null = null;
    const ways = steal ? { steal } : { signal: candidacy.signal };
    platform.hold(name, { ...ways, onStolen: () => hub?.stop() }).then(
      (release) => {
        if (this.#candidacy === candidacy) this.#candidacy = null;
        const made = new Hub({
          ...this.options,
          name,
          url,
          home: this,
          isUsurper: steal,
          onStop: () => {
            forget();
            if (this.#hub === made) this.#hub = null;
            release();
          },
        });
        hub = this.#hub = made;
        const forget = platform.onPageHidden(() => {
          made.stop();
        });
        made.open();
      },
      () => {
        // Withdrawn, or locks are forbidden here: then no tab gets as far as this.
        if (this.#candidacy === candidacy) this.#candidacy = null;
      },
    );
  }

  #withdraw(): void {
    this.#candidacy?.abort();
    this.#candidacy = null;
    // One that has tabs goes on without this client.
    this.#hub?.forsake();
    this.#hub = null;
  }
}
