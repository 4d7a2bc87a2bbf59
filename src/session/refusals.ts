// The one way to refuse a call: told to the client, counted, and drawn from the budget of errors that a session has.
import { type Code, CODES } from '../protocol/codes.js';
import { TokenBucket } from './rate-limit.js';
import type { Session } from './session.js';

/**
 * What a refusal draws from the budget where it is not 1: nothing for what is no fault of the one who called, and little
 * for a target that may have left a moment ago (a burst to it is honest, a search for names is not).
 */
const COSTS: Partial<Record<Code, number>> = {
  not_found: 0.1,
  // One refused message makes those that were sent behind it out of order.
  out_of_order: 0,
  superseded: 0,
  timeout: 0,
  unavailable: 0,
  unknown_outcome: 0,
  overloaded: 0,
  busy: 0,
  no_handler: 0,
  provider_gone: 0,
  partner_gone: 0,
  internal_error: 0,
};

export class Refusals {
  private readonly budgets = new WeakMap<Session, TokenBucket>();

  constructor(
    private readonly errorsPerMinuteLimit: number,
    private readonly count: (code: Code) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Tells a refusal; a session that collects too many of them is closed.
   * @param expected with `out_of_order`: the number that comes next
   */
  tell(
    session: Session,
    ref: number,
    code: Code,
    text: string = CODES[code].text,
    expected: number | null = null,
  ): void {
    if (this.charge(session, code)) session.refuse(ref, code, text, expected);
  }

  /** Counts a refusal that another frame than `error` tells; false where it was one too many, and the session is closed. */
  charge(session: Session, code: Code): boolean {
    this.count(code);
    const cost = COSTS[code] ?? 1;
    if (cost === 0 || this.budgetOf(session).take(cost, this.now()) <= 0) return true;
    session.close('too_many_errors', CODES.too_many_errors.close, 0);
    return false;
  }

  private budgetOf(session: Session): TokenBucket {
    const known = this.budgets.get(session);
    if (known !== undefined) return known;
    const { errorsPerMinuteLimit: limit } = this;
    const budget = new TokenBucket({ perSecond: limit / 60, burst: limit });
    this.budgets.set(session, budget);
    return budget;
  }
}
