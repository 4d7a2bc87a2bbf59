// The messages of each tab, found by the tab's own numbers: it may say one again, also after the answer.
import type { HubTab } from './hub-tab.js';
import type { SharedMessage } from './shared-message.js';

/** Answered messages of a tab that are remembered, in case that it asks once more. More than its window. */
const ANSWERED_LIMIT = 1_024;

export class RememberedMessages {
  /** By tab, then by channel and the tab's own number. */
  readonly #byTab = new Map<string, Map<string, SharedMessage>>();

  add(message: SharedMessage): void {
    const { tab } = message;
    let messages = this.#byTab.get(tab.id);
    if (messages === undefined) this.#byTab.set(tab.id, (messages = new Map<string, SharedMessage>()));
    messages.set(keyOf(message), message);
    if (messages.size > ANSWERED_LIMIT)
      for (const [key, { settled }] of messages) {
        if (settled) messages.delete(key);
        if (messages.size <= ANSWERED_LIMIT) break;
      }
  }

  find(tab: HubTab, channel: string, own: number): SharedMessage | undefined {
    return this.#byTab.get(tab.id)?.get(keyOf({ channel, own }));
  }

  of(tab: HubTab): SharedMessage[] {
    return [...(this.#byTab.get(tab.id)?.values() ?? [])];
  }

  forget(message: SharedMessage): void {
    this.#byTab.get(message.tab.id)?.delete(keyOf(message));
  }

  forgetAllOf(tab: HubTab): void {
    this.#byTab.delete(tab.id);
  }

  clear(): void {
    this.#byTab.clear();
  }
}

function keyOf({ channel, own }: Pick<SharedMessage, 'channel' | 'own'>): string {
  return `${channel} ${String(own)}`;
}
