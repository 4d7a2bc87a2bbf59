// All logs in memory: made when first appended to, within one budget of bytes, dropped when their time is over.
import { MemoryLog } from './memory-log.js';
import type { AppendRequest, AppendResult, Entry, ReadResult, StoreSettings } from './store.js';

/** Who a log belongs to: a client or a room. */
export interface LogOwner {
  log: MemoryLog | null;
  /** Whether somebody can hold a place in the log: it keeps its epoch then, even without entries. */
  hasReaders(): boolean;
  /** Told when the log is gone. */
  logDropped(): void;
}

export class MemoryLogs {
  /** Those that hold entries, the one without appends for longest first. */
  private readonly filled = new Map<MemoryLog, LogOwner>();
  private heldBytes = 0;

  constructor(
    private readonly settings: StoreSettings,
    private readonly now: () => number,
  ) {}

  get filledCount(): number {
    return this.filled.size;
  }

  get bytes(): number {
    return this.heldBytes;
  }

  append(owner: LogOwner, request: AppendRequest): AppendResult | Entry {
    const { logLimitEntries, logLimitBytes, logBudgetBytes } = this.settings;
    const log = (owner.log ??= new MemoryLog(logLimitEntries, logLimitBytes));
    if (request.seq !== null) {
      const refusal = log.refusal(request.sender, request.seq);
      if (refusal !== null) return refusal;
    }
    this.heldBytes -= log.costBytes;
    const entry = log.append(request);
    this.heldBytes += log.costBytes;
    log.appendedAt = this.now();
    this.filled.delete(log);
    this.filled.set(log, owner);
    if (this.heldBytes > logBudgetBytes) this.shrinkTo(logBudgetBytes, log);
    return entry;
  }

  read(owner: LogOwner, after: string | null, limit: number): ReadResult {
    const { log } = owner;
    if (log === null) return noLog(after);
    if (log.size > 0 && this.isOver(log)) this.empty(log, owner);
    return owner.log === null ? noLog(after) : log.read(after, limit);
  }

  /** Whoever calls this knows that nobody reads the log any more. */
  drop(owner: LogOwner): void {
    const { log } = owner;
    if (log === null) return;
    this.heldBytes -= log.costBytes;
    this.filled.delete(log);
    owner.log = null;
    owner.logDropped();
  }

  sweep(): void {
    for (const [log, owner] of this.filled) {
      if (!this.isOver(log)) return;
      this.empty(log, owner);
    }
  }

  private isOver(log: MemoryLog): boolean {
    return log.appendedAt + this.settings.logTtlMs <= this.now();
  }

  private empty(log: MemoryLog, owner: LogOwner): void {
    this.heldBytes -= log.costBytes;
    log.trimAll();
    this.filled.delete(log);
    if (!owner.hasReaders()) this.drop(owner);
  }

  /** Readers of what is trimmed here are told of a gap, as with every other trim. The newest entry of all is kept. */
  private shrinkTo(budgetBytes: number, newest: MemoryLog): void {
    for (const [log, owner] of this.filled) {
      while (this.heldBytes > budgetBytes && log.size > (log === newest ? 1 : 0)) {
        const before = log.costBytes;
        log.trimOldest();
        this.heldBytes -= before - log.costBytes;
      }
      if (log.size === 0) this.empty(log, owner);
      if (this.heldBytes <= budgetBytes) return;
    }
  }
}

export function noLog(after: string | null): ReadResult {
  return after === null ? { status: 'entries', entries: [], more: false } : { status: 'lost', epoch: '' };
}
