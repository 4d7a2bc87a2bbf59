// What others ask of the session, and one tab has to answer: a tab that has no handler for it passes it on to the next.
import type { ClientFrame, GatewayFrame } from '../../protocol/frame.js';
import type { HubTab } from './hub-tab.js';

/** Beyond it the oldest are forgotten: they have timed out. */
const OFFERS_LIMIT = 1_024;

export type OfferedFrame = Extract<GatewayFrame, { type: 'requested' | 'called' | 'pairing' | 'offer' }>;
/** A refusal; `cut` of a stream. */
type Refusal = Extract<ClientFrame, { type: 'reject' | 'cut' }>;

interface Offer {
  readonly frame: OfferedFrame;
  readonly asked: Set<HubTab>;
  tab: HubTab;
}

export class HubOffers {
  /** By handle, or by stream. */
  readonly #offers = new Map<string, Offer>();
  readonly #tabs: () => Iterable<HubTab>;

  constructor(tabs: () => Iterable<HubTab>) {
    this.#tabs = tabs;
  }

  /** To the tab that has it already, else to the first. */
  ask(frame: OfferedFrame): void {
    const key = keyOf(frame);
    const known = this.#offers.get(key);
    if (known?.tab.isAttached) return known.tab.write(frame);
    // A call that was asked before may have been executed by a tab that is gone.
    if (known !== undefined && frame.type !== 'offer') return;
    this.#askNext(key, frame, new Set());
  }

  /** Whether another tab was asked instead, so that the refusal is not to be passed on. */
  refused(tab: HubTab, refusal: Refusal): boolean {
    const key = refusal.type === 'cut' ? refusal.stream : refusal.handle;
    const offer = this.#offers.get(key);
    if (offer?.tab !== tab || refusal.code !== 'no_handler') return false;
    return this.#askNext(key, offer.frame, offer.asked);
  }

  clear(): void {
    this.#offers.clear();
  }

  #askNext(key: string, frame: OfferedFrame, asked: Set<HubTab>): boolean {
    for (const tab of this.#tabs()) {
      if (!tab.isAttached || asked.has(tab)) continue;
      this.#offers.set(key, { frame, asked: asked.add(tab), tab });
      const [oldest] = this.#offers.keys();
      if (this.#offers.size > OFFERS_LIMIT && oldest !== undefined) this.#offers.delete(oldest);
      tab.write(frame);
      return true;
    }
    return false;
  }
}

function keyOf(frame: OfferedFrame): string {
  return frame.type === 'offer' ? frame.stream : frame.handle;
}
