// Which workers rest from accepting where each takes its connections itself: who is first would keep most of them, for hours.

/** Of the mean of all workers, how far one may be ahead before it rests. */
const LEAD_SHARE = 0.1;
/** And at least so many connections: of few, too, no worker is to hold all, but one more here or there is no reason to change anything. */
const LEAD_CONNECTIONS = 2;
/** It accepts again from this part of that lead on: not with every connection, for each change costs messages and a new handle. */
const REST_UNTIL = 0.5;
/** Who has given no sign of life for so long may not be able to accept either, ms: nobody rests because of it. Newcomers may wait so long. */
const SILENCE_LIMIT_MS = 1_200;
/** So many workers accept where there are more: one may hang. */
const OPEN_AT_LEAST = 2;

interface Share {
  /** Null: it has no file descriptor left for one more. */
  connections: number | null;
  heardAt: number;
  rests: boolean;
  /** Number of the last order that it was given, and of the last that it has carried out. */
  order: number;
  done: number;
}

/** `order`: its number, which the worker says again once it is carried out. */
type Tell<Worker> = (worker: Worker, accept: boolean, order: number) => void;

export class Shares<Worker> {
  private readonly shares = new Map<Worker, Share>();

  /** @param tell a worker is to accept connections from now on, or to rest from it */
  constructor(
    private readonly tell: Tell<Worker>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * A worker says how many connections it holds, null where it can take no more for want of a descriptor, and which order it has
   * carried out; 0 before the first.
   */
  heard(worker: Worker, connections: number | null, done: number): void {
    const share = this.shares.get(worker);
    const heardAt = this.now();
    if (share === undefined)
      this.shares.set(worker, { connections, heardAt, rests: false, order: 0, done: 0 });
    else Object.assign(share, { connections, heardAt, done });
    this.decide();
  }

  /** It is about to go, or is gone. */
  gone(worker: Worker): void {
    if (this.shares.delete(worker)) this.decide();
  }

  private decide(): void {
    const since = this.now() - SILENCE_LIMIT_MS;
    const heard = [...this.shares.values()].filter(({ heardAt }) => heardAt >= since);
    const counts = heard.flatMap(({ connections }) => connections ?? []);
    const mean = counts.reduce((sum, connections) => sum + connections, 0) / counts.length;
    const lead = Math.max(LEAD_CONNECTIONS, mean * LEAD_SHARE);
    const ahead = new Set(
      heard.filter(
        ({ connections, rests }) =>
          connections === null || connections - mean > (rests ? lead * REST_UNTIL : lead),
      ),
    );
    for (const [worker, share] of this.shares)
      if (share.rests && !ahead.has(share)) this.order(worker, share, false);
    // Somebody is not ahead, or all are out of descriptors and have nobody to leave newcomers to: of two workers one is open.
    const openAtLeast = Math.min(OPEN_AT_LEAST, heard.length - 1);
    let open = heard.filter(isOpen).length;
    for (const [worker, share] of this.shares) {
      if (!ahead.has(share) || share.rests) continue;
      // Who is to take over says first that it does: until then nobody would.
      if (open - (isOpen(share) ? 1 : 0) < openAtLeast) continue;
      if (isOpen(share)) open--;
      this.order(worker, share, true);
    }
  }

  private order(worker: Worker, share: Share, rests: boolean): void {
    share.rests = rests;
    share.order++;
    this.tell(worker, !rests, share.order);
  }
}

function isOpen({ rests, order, done }: Share): boolean {
  return !rests && order === done;
}
