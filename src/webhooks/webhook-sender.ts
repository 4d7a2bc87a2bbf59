// Sends what waits in the queue to the application: one batch at a time, in order, again and again until it is taken or too old.
import type { Logger } from 'pino';
import type { Receipt } from '../plugins/signed-post.js';
import type { QueuedEvent, WebhookPage, WebhookQueue } from '../session/store/webhook-queue.js';
import type { WebhookSettings } from '../webhook-settings.js';
import type { GivenUp, WebhookMetrics } from './webhook-metrics.js';

/** How often the queue is asked, ms: as late comes an event that has lasted. Much less than the claim on it. */
const POLL_MS = 500;
/** Between two attempts, ms, doubled each time up to the limit, or half of `retryForS` where that is less; half of it at random. */
const FIRST_PAUSE_MS = 1_000;
const PAUSE_LIMIT_MS = 60_000;
/** What an application may ask for with `Retry-After`, ms. */
const RETRY_AFTER_LIMIT_MS = 600_000;
/** Pause between two lines on the same trouble, ms. */
const LOG_PAUSE_MS = 10_000;
/** Which option gave events up, for the log. */
const QUEUE_LIMIT = { queueLimit: 'options.queueLimitEvents' };
/**
 * The application has read the batch and will not have it: saying it again would hold up all others. Everything else that is
 * no 2xx may be mended: a receiver that is being deployed (404), a secret that is being changed (401), a proxy (3xx).
 */
const REFUSALS: ReadonlySet<number> = new Set([400, 410, 413, 415, 422]);

export interface WebhookSenderOptions {
  queue: WebhookQueue;
  /** Who it is, for the claim. */
  name: string;
  settings: Pick<WebhookSettings, 'timeoutMs' | 'retryForS' | 'batchLimitEvents'>;
  post: (body: string, timeoutMs: number) => Promise<Receipt>;
  metrics: WebhookMetrics;
  log: Logger;
}

interface Batch {
  queue: string;
  events: readonly QueuedEvent[];
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, ms)).unref();
  });
}

export class WebhookSender {
  /** What is being said, the same until it is settled. */
  private batch: Batch | null = null;
  /** A POST, and what follows from it, is under way. */
  private posting: Promise<void> | null = null;
  /** What was settled last: a page that was asked for before still has it. By id: a store that lost some gives numbers out again. */
  private settled: ReadonlySet<string> = new Set();
  /** Attempts in a row that failed. */
  private failures = 0;
  private notBefore = -Infinity;
  private polling: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly loggedAt = new Map<string, number>();
  /** Nothing waits, as far as the last answer of the queue says; null where another sends, or nobody knows. */
  private isIdle: boolean | null = null;
  private finishing = false;
  private stopping = false;

  constructor(private readonly options: WebhookSenderOptions) {}

  start(): void {
    this.timer = setInterval(() => void this.poll(), POLL_MS);
    void this.poll();
  }

  /**
   * Sends what waits, until there is nothing or the time is over, and lets another send.
   * @param mustFinish nobody else will send it: the store goes with this node
   */
  async stop(mustFinish: boolean, timeMs: number): Promise<void> {
    const deadline = performance.now() + timeMs;
    if (mustFinish) {
      this.finishing = true;
      this.notBefore = -Infinity;
      // What changed last is not in the page that was asked for before.
      await this.polling;
      for (let waits = true; waits && performance.now() < deadline;) {
        await this.poll();
        waits = this.isIdle === false;
        await Promise.race([this.posting, rest(deadline - performance.now())]);
        await rest(Math.min(this.notBefore, deadline) - performance.now());
      }
    }
    this.stopping = true;
    if (this.timer !== null) clearInterval(this.timer);
    await Promise.race([this.posting, rest(deadline - performance.now())]);
    await this.polling;
    if (mustFinish) await this.giveUpRest();
    const { queue, name } = this.options;
    await queue.releaseWebhooks(name).catch(() => undefined);
  }

  /** The store goes, and with it what still waits: the last moment to say so. */
  private async giveUpRest(): Promise<void> {
    const { queue, name, settings } = this.options;
    const page = await queue.pollWebhooks(name, settings.batchLimitEvents).catch(() => null);
    if (page === null) return;
    if (page.overflowed > 0) this.giveUp(page.overflowed, 'queue_full', QUEUE_LIMIT);
    const waiting = page.waiting - page.events.length + this.unsettled(page).length;
    if (waiting > 0) this.giveUp(waiting, 'shutdown', {});
  }

  /** One at a time: who asks while it is under way gets its outcome. */
  private poll(): Promise<void> {
    this.polling ??= this.look().finally(() => {
      this.polling = null;
    });
    return this.polling;
  }

  /** Keeps the claim alive too, so it goes on while the application is asked. */
  private async look(): Promise<void> {
    const { queue, name, settings, metrics } = this.options;
    let page: WebhookPage | null;
    try {
      page = await queue.pollWebhooks(name, settings.batchLimitEvents);
    } catch (error) {
      this.isIdle = null;
      this.warn('store', { err: error }, 'webhooks wait: the store does not answer');
      return;
    }
    const events = page === null ? [] : this.unsettled(page);
    const first = events[0];
    this.isIdle = page === null ? null : page.events.length === 0;
    metrics.waits(page?.waiting ?? 0, first?.atMs ?? null);
    if (page === null) {
      // Another sends; it has read the queue from its beginning.
      this.batch = null;
      return;
    }
    if (page.overflowed > 0) this.giveUp(page.overflowed, 'queue_full', QUEUE_LIMIT);
    if (this.posting !== null || this.stopping) return;
    const last = page.events.at(-1);
    if (first === undefined && last !== undefined)
      await queue.settleWebhooks(name, last.seq, last.id).catch(() => undefined);
    // The oldest were given up meanwhile: what is left of them stands in the page.
    const isSame = this.batch?.queue === page.queue && this.batch.events[0]?.id === first?.id;
    if (!isSame) this.batch = events.length === 0 ? null : { queue: page.queue, events };
    const { batch } = this;
    if (batch === null) return;
    const old = this.oldOf(batch);
    if (old.length === 0 && performance.now() < this.notBefore) return;
    this.posting = (old.length > 0 ? this.dropOld({ ...batch, events: old }) : this.attempt(batch)).finally(
      () => {
        this.posting = null;
        // There may be more.
        if (!this.stopping) void this.poll();
      },
    );
  }

  private unsettled({ events }: WebhookPage): readonly QueuedEvent[] {
    return events.filter(({ id }) => !this.settled.has(id));
  }

  private async attempt(batch: Batch): Promise<void> {
    const { settings, metrics } = this.options;
    const { queue, events } = batch;
    let receipt: Receipt | null = null;
    let problem: unknown = null;
    try {
      receipt = await this.options.post(JSON.stringify({ queue, events }), settings.timeoutMs);
    } catch (error) {
      problem = error;
    }
    const status = receipt?.status ?? 0;
    if (status >= 200 && status < 300) {
      this.failures = 0;
      metrics.posted('taken');
      if (await this.settle(batch)) metrics.sent(events.length);
      return;
    }
    if (REFUSALS.has(status)) {
      this.failures = 0;
      metrics.posted('refused');
      if (await this.settle(batch)) this.giveUp(events.length, 'refused', { status });
      return;
    }
    metrics.posted(receipt === null ? 'no_answer' : 'failed');
    this.failures++;
    this.warn(
      'attempt',
      { attempts: this.failures, ...(receipt === null ? { err: problem } : { status }) },
      'the application did not take a webhook: it is sent again',
    );
    this.pause(receipt?.retryAfterS ?? null);
  }

  private pause(retryAfterS: number | null): void {
    // What comes during a pause is tried before it is too old.
    const triedMs = (this.options.settings.retryForS * 1000) / 2;
    const limitMs = this.finishing ? FIRST_PAUSE_MS : Math.min(PAUSE_LIMIT_MS, triedMs);
    const ceiling = Math.min(limitMs, FIRST_PAUSE_MS * 2 ** Math.min(this.failures - 1, 16));
    const pauseMs = (ceiling / 2) * (1 + Math.random());
    const askedMs = Math.min(RETRY_AFTER_LIMIT_MS, (retryAfterS ?? 0) * 1000);
    this.notBefore = performance.now() + Math.max(pauseMs, askedMs);
  }

  /**
   * What the application has not taken for so long it does not get any more: without an attempt of its own, and in its pauses
   * too. What became old while nobody was there to send it is tried once.
   */
  private oldOf({ events }: Batch): readonly QueuedEvent[] {
    if (this.failures === 0) return [];
    const since = Date.now() - this.options.settings.retryForS * 1000;
    const firstYoung = events.findIndex(({ atMs }) => atMs > since);
    return firstYoung < 0 ? events : events.slice(0, firstYoung);
  }

  private async dropOld(batch: Batch): Promise<void> {
    if (await this.settle(batch))
      this.giveUp(batch.events.length, 'too_old', { retryForS: 'options.retryForS' });
  }

  /** The next batch is made of what the queue says then. */
  private async settle({ events }: Batch): Promise<boolean> {
    this.settled = new Set(events.map(({ id }) => id));
    this.batch = null;
    const last = events.at(-1);
    if (last === undefined) return true;
    try {
      return await this.options.queue.settleWebhooks(this.options.name, last.seq, last.id);
    } catch (error) {
      // Said once more when the store answers; until then nobody here says the events twice.
      this.warn('store', { err: error }, 'webhooks wait: the store does not answer');
      return true;
    }
  }

  private giveUp(events: number, reason: GivenUp, more: object): void {
    this.options.metrics.gaveUp(reason, events);
    // Each time: it is what somebody will look for.
    this.options.log.error({ events, reason, ...more }, 'webhook events were given up');
  }

  private warn(what: string, fields: object, text: string): void {
    const now = performance.now();
    if (now - (this.loggedAt.get(what) ?? -Infinity) < LOG_PAUSE_MS) return;
    this.loggedAt.set(what, now);
    this.options.log.warn(fields, text);
  }
}
