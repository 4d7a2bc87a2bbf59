// What a hub has numbered and not written: each message waits until its tab has noted the number, and those before it of its channel are written.
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import type { Environment } from '../environment.js';
import type { HubTab } from './hub-tab.js';
import type { SharedMessage } from './shared-message.js';
import type { Note } from './tab-messages.js';

/** How long a tab may take to note what is to be written, ms: a longer one is frozen. */
const NOTING_MS = 2_000;

export interface HubNotesPort {
  /** The hub's. */
  readonly id: string;
  readonly environment: Environment;
  /** The tab in whose page the hub is, and where its notes are: nothing has to be said. It may outlive the hub. */
  readonly home: { readonly id: string; keep(note: Note): void };
  write(message: SharedMessage): void;
  /** It was numbered and will not be written: its number goes to nobody. */
  onRevoked(message: SharedMessage): void;
  /** It does not note what it is told. */
  onFrozen(tab: HubTab): void;
}

export class HubNotes {
  readonly #port: HubNotesPort;
  /** By channel, in the order of their numbers. */
  readonly #held = new Map<string, SharedMessage[]>();
  /** Of which the tab has not said that it noted them, and what ends the wait. */
  readonly #noting = new Map<SharedMessage, () => void>();

  constructor(port: HubNotesPort) {
    this.#port = port;
  }

  /** It has its number now. */
  add(message: SharedMessage): void {
    const held = this.#held.get(message.channel) ?? [];
    held.push(message);
    this.#held.set(message.channel, held);
    const { tab, at } = message;
    if (!message.isNoted) message.noteAt = at;
    if (tab.id === this.#port.home.id && !message.isNoted) this.#noteAtHome(message);
    // Who could say it again knows its number, or is gone.
    if (message.isNoted || tab.isGone) {
      // Of what was adopted the tab has said nothing yet.
      if (message.saidOn > 0) tab.post(['took', at]);
      return this.#release(message.channel);
    }
    tab.post(['keep', at, message.ref, message.number]);
    const cancel = this.#port.environment.after(NOTING_MS, () => {
      this.#port.onFrozen(tab);
    });
    this.#noting.set(message, cancel);
  }

  /** The tab has noted the number: its message may be written. */
  noted(tab: HubTab, at: number): void {
    for (const [message, cancel] of this.#noting) {
      if (message.tab !== tab || message.at !== at) continue;
      cancel();
      this.#noting.delete(message);
      message.isNoted = true;
      tab.post(['took', at]);
      return this.#release(message.channel);
    }
  }

  /** Its connection is over: it will say again what it has not noted, under another number. */
  detached(tab: HubTab): void {
    for (const message of [...this.#noting.keys()]) {
      if (message.tab !== tab) continue;
      this.#revoke(message);
      this.#release(message.channel);
    }
  }

  /** Closed or crashed: nobody will say its messages again. */
  gone(tab: HubTab): void {
    for (const [message, cancel] of [...this.#noting]) {
      if (message.tab !== tab) continue;
      cancel();
      this.#noting.delete(message);
      this.#release(message.channel);
    }
  }

  /** The connection to the gateway is gone. @returns what was held back behind others that were not noted */
  lost(): SharedMessage[] {
    for (const message of [...this.#noting.keys()]) this.#revoke(message);
    const held = [...this.#held.values()].flat();
    this.#held.clear();
    return held;
  }

  close(): void {
    for (const cancel of this.#noting.values()) cancel();
  }

  #revoke(message: SharedMessage): void {
    this.#noting.get(message)?.();
    this.#noting.delete(message);
    message.tab.post(['done', message.noteAt]);
    const held = this.#held.get(message.channel);
    held?.splice(held.indexOf(message), 1);
    this.#port.onRevoked(message);
  }

  #noteAtHome(message: SharedMessage): void {
    const { noteAt: at, ref, number, frame } = message;
    const bytes = (msgpackCodec.encodeClient({ ...frame, ref: message.tabRef }) as Uint8Array).slice();
    this.#port.home.keep({ at, ref, number, bytes, hub: this.#port.id, isSure: true });
    message.isNoted = true;
  }

  #release(channel: string): void {
    const held = this.#held.get(channel);
    if (held === undefined) return;
    for (;;) {
      const [message] = held;
      if (message === undefined || this.#noting.has(message)) break;
      held.shift();
      this.#port.write(message);
    }
    if (held.length === 0) this.#held.delete(channel);
  }
}
