// Places for those whose token and session are being looked up; who finds none waits its turn, but not for long.
import type { Deadline, TimerWheel } from '../session/wheel.js';

/** How long a hello waits for a place, ms: longer, and the store or the key set does not answer. */
const WAIT_LIMIT_MS = 1_000;
/** Hellos that may wait for each place: a storm comes in bursts, since many of its clients are in one program. */
const WAITING_PER_PLACE = 8;

export interface Waiter {
  /** Its turn has come; the place is free again when this is settled. Must not reject. */
  begin(): Promise<void>;
  /** There are too many, or it has waited too long. */
  refuse(): void;
}

export class WaitingLine {
  /** Places that are taken. */
  taken = 0;
  private readonly waiting = new Map<Waiter, Deadline>();

  constructor(
    private readonly places: number,
    private readonly wheel: Pick<TimerWheel, 'in'>,
  ) {}

  /** Whether a further one would have to wait. */
  get isFull(): boolean {
    return this.taken >= this.places;
  }

  get length(): number {
    return this.waiting.size;
  }

  enter(waiter: Waiter): void {
    if (!this.isFull) {
      this.begin(waiter);
    } else if (this.waiting.size >= this.places * WAITING_PER_PLACE) {
      waiter.refuse();
    } else {
      const deadline = this.wheel.in(WAIT_LIMIT_MS, () => {
        this.waiting.delete(waiter);
        waiter.refuse();
      });
      this.waiting.set(waiter, deadline);
    }
  }

  private begin(waiter: Waiter): void {
    this.taken++;
    void waiter.begin().finally(() => {
      this.taken--;
      this.next();
    });
  }

  private next(): void {
    for (const [waiter, deadline] of this.waiting) {
      if (this.isFull) return;
      deadline.cancel();
      this.waiting.delete(waiter);
      this.begin(waiter);
    }
  }
}
