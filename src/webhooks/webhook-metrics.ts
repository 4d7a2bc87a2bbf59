// The numbers of the process that sends webhooks, which its primary adds to those of the workers.
import { Counter, Gauge, Registry } from 'prom-client';

export type GivenUp = 'refused' | 'too_old' | 'queue_full' | 'shutdown';
export type Posted = 'taken' | 'refused' | 'failed' | 'no_answer';

export class WebhookMetrics {
  readonly registry = new Registry();
  private readonly sentEvents = new Counter({
    name: 'signalbox_webhook_events_sent_total',
    help: 'Events that the application has taken.',
    registers: [this.registry],
  });
  private readonly givenUp = new Counter({
    name: 'signalbox_webhook_events_given_up_total',
    help: 'Events that the application will not get, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  private readonly posts = new Counter({
    name: 'signalbox_webhook_posts_total',
    help: 'Attempts to hand events to the application, by outcome.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly waiting = new Gauge({
    name: 'signalbox_webhook_queue_events',
    help: 'Events that wait for the application; 0 at nodes that do not send now.',
    registers: [this.registry],
  });
  private readonly oldest = new Gauge({
    name: 'signalbox_webhook_oldest_seconds',
    help: 'Age of the oldest event that waits; 0 at nodes that do not send now.',
    registers: [this.registry],
  });

  constructor() {
    for (const reason of ['refused', 'too_old', 'queue_full', 'shutdown'] satisfies GivenUp[])
      this.givenUp.inc({ reason }, 0);
  }

  sent(events: number): void {
    this.sentEvents.inc(events);
  }

  gaveUp(reason: GivenUp, events: number): void {
    this.givenUp.inc({ reason }, events);
  }

  posted(outcome: Posted): void {
    this.posts.inc({ outcome });
  }

  waits(events: number, oldestAtMs: number | null): void {
    this.waiting.set(events);
    this.oldest.set(oldestAtMs === null ? 0 : Math.max(0, (Date.now() - oldestAtMs) / 1000));
  }
}
