// How busy providers are, as this worker knows it without asking: its own calls that wait for them, and what they said last.
import type { SessionId } from '../protocol/ids.js';
import type { MemberPlace } from '../session/store/store.js';

/** A provider's word on the calls of others counts so long, ms: then it may be idle, and only a call would tell. */
const WORD_LIFE_MS = 1_000;
/** Providers whose word is remembered, about 100 bytes each; the oldest are forgotten first. */
const WORDS_LIMIT = 10_000;

export class ProviderLoads {
  /** Calls of this worker's sessions that wait for each. */
  private readonly own = new Map<SessionId, number>();
  /** What others have there, and until when that counts. */
  private readonly others = new Map<SessionId, { calls: number; until: number }>();
  private turn = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  begin(provider: SessionId): void {
    this.own.set(provider, (this.own.get(provider) ?? 0) + 1);
  }

  end(provider: SessionId): void {
    const left = (this.own.get(provider) ?? 0) - 1;
    if (left > 0) this.own.set(provider, left);
    else this.own.delete(provider);
  }

  /** A provider has so many calls now, those of this worker included. */
  tell(provider: SessionId, calls: number): void {
    const others = Math.max(0, calls - (this.own.get(provider) ?? 0));
    this.others.delete(provider);
    if (others === 0) return;
    this.others.set(provider, { calls: others, until: this.now() + WORD_LIFE_MS });
    const [oldest] = this.others.keys();
    if (this.others.size > WORDS_LIMIT && oldest !== undefined) this.others.delete(oldest);
  }

  of(provider: SessionId): number {
    const word = this.others.get(provider);
    const others = word !== undefined && word.until > this.now() ? word.calls : 0;
    return (this.own.get(provider) ?? 0) + others;
  }

  /** Of equals another one each time: who calls one after the other shares too. */
  leastBusy(providers: readonly MemberPlace[]): MemberPlace | undefined {
    const from = this.turn++;
    let best: MemberPlace | undefined;
    let least = Infinity;
    for (let i = 0; i < providers.length; i++) {
      const provider = providers[(from + i) % providers.length];
      if (provider === undefined) continue;
      const load = this.of(provider.session);
      if (load < least) [best, least] = [provider, load];
    }
    return best;
  }
}
