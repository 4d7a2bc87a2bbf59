// Webhooks with Redis: changes are written by the scripts that make them; who sends brings them from all partitions into one queue.
import { randomBytes } from 'node:crypto';
import { isClientId, isRoomName, isSessionId } from '../../protocol/ids.js';
import { partitionTags } from './partition.js';
import type { RedisConnection } from './redis-connection.js';
import {
  isWanted,
  type QueuedEvent,
  WEBHOOK_CLAIM_MS,
  type WebhookEvent,
  type WebhookPage,
  type WebhookQueue,
  type WebhookRules,
} from './webhook-queue.js';

/** Events of one partition that are taken at once, and of all that go into the queue with one call. */
const TAKEN_LIMIT_EVENTS = 500;
const APPENDED_LIMIT_EVENTS = 1_000;
/** How often a partition is asked with one poll while it has a whole page: all that it holds, see prelude.lua. */
const ROUNDS_LIMIT = 4;
/** Keys of scripts that keep none of their own; see prelude.lua. */
const KEY_TTL_MS = 3_600_000;

export interface RedisWebhooksOptions {
  redis: Pick<RedisConnection, 'script' | 'publishCommand' | 'spansPartitions'>;
  prefix: string;
  rules: WebhookRules;
}

interface Found {
  partition: number;
  id: string;
  text: string;
}

/** What one partition told. */
interface Taken {
  partition: number;
  found: Found[];
  /** How many it gave up. */
  lost: number;
  isFull: boolean;
}

export class RedisWebhooks implements WebhookQueue {
  private readonly tags = partitionTags();
  /** The last event of each partition that the queue has, and this process knows it. */
  private readonly taken = new Map<number, string>();
  /** Where the look over what was told goes on: a page of one partition with each poll. */
  private look = { partition: 0, cursor: '0' };
  private holds = false;
  /** Events that were given up, and nobody was told yet. */
  private overflowed = 0;
  /** Events that partitions gave up, and the queue has not noted yet. */
  private lost = 0;

  constructor(private readonly options: RedisWebhooksOptions) {}

  async pollWebhooks(sender: string, limit: number): Promise<WebhookPage | null> {
    const before = await this.page(sender, limit);
    const isNew = before !== null && !this.holds;
    this.holds = before !== null;
    if (before === null) return null;
    if (isNew) this.look = { partition: 0, cursor: '0' };
    let isUnchanged = true;
    let partitions = await this.due();
    for (let round = 0; round < ROUNDS_LIMIT && partitions.length > 0; round++) {
      const { found, full } = await this.collect(partitions);
      if (found.length === 0 && this.lost === 0) break;
      if (!(await this.append(sender, found))) return null;
      isUnchanged = false;
      partitions = full;
    }
    const page = isUnchanged ? before : await this.page(sender, limit);
    if (page === null) return null;
    const { overflowed } = this;
    this.overflowed = 0;
    return { ...page, overflowed };
  }

  async settleWebhooks(sender: string, seq: number, id: string): Promise<boolean> {
    return (await this.queue('settle', sender, seq, id)) !== null;
  }

  async releaseWebhooks(sender: string): Promise<void> {
    this.holds = false;
    await this.queue('release', sender);
  }

  private async page(sender: string, limit: number): Promise<WebhookPage | null> {
    const reply = await this.queue('poll', sender, limit, newName());
    if (!Array.isArray(reply)) return null;
    const [name, found, waiting, overflowed] = reply as unknown[];
    this.overflowed += Number(overflowed);
    const rows = rowsOf(found);
    const events = eventsOf(rows);
    const last = rows.at(-1);
    if (events.length === 0 && last !== undefined)
      await this.settleWebhooks(sender, Number.parseInt(last[0], 10), idOf(last));
    return { queue: String(name), events, waiting: Number(waiting), overflowed: 0 };
  }

  /**
   * What partitions have to tell, in the order in which it was written, and which of them have more. One that cannot be reached
   * is asked the next time.
   */
  private async collect(partitions: readonly number[]): Promise<{ found: Found[]; full: number[] }> {
    const found: Found[] = [];
    const full: number[] = [];
    const asked = await Promise.allSettled(partitions.map((partition) => this.take(partition)));
    for (const answer of asked) {
      if (answer.status === 'rejected') continue;
      found.push(...answer.value.found);
      if (answer.value.isFull) full.push(answer.value.partition);
      this.lost += answer.value.lost;
    }
    return { found: found.sort((a, b) => compareIds(a.id, b.id)), full };
  }

  /** One call instead of one for each, where one server has them all. */
  private async due(): Promise<readonly number[]> {
    const { redis, prefix } = this.options;
    if (!redis.spansPartitions) return [...this.tags.keys()];
    const reply = await redis.script(
      'webhooks_due',
      `${prefix}:{webhooks}:`,
      ...this.common(),
      prefix,
      ...this.tags,
    );
    return [...new Set([this.look.partition, ...(Array.isArray(reply) ? reply.map(Number) : [])])];
  }

  private async take(partition: number): Promise<Taken> {
    const tag = this.tags[partition] ?? '';
    const isLookedOver = this.look.partition === partition;
    const taken = this.taken.get(partition) ?? '';
    const reply = await this.options.redis.script(
      'webhooks',
      `${this.options.prefix}:{${tag}}:`,
      ...this.common(),
      taken,
      TAKEN_LIMIT_EVENTS,
      isLookedOver ? this.look.cursor : '',
    );
    const [rows, lost, cursor] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (isLookedOver) this.lookOn(String(cursor));
    // Struck off there.
    if (this.taken.get(partition) === taken) this.taken.delete(partition);
    const taking = rowsOf(rows);
    const found = taking.flatMap(([id, fields]) => {
      const text = fields.get('e');
      return text === undefined ? [] : [{ partition, id, text }];
    });
    return { partition, found, lost: Number(lost), isFull: taking.length === TAKEN_LIMIT_EVENTS };
  }

  private lookOn(cursor: string): void {
    if (cursor === '0') this.look = { partition: (this.look.partition + 1) % this.tags.length, cursor };
    else this.look = { ...this.look, cursor };
  }

  /** @returns false where another sends now */
  private async append(sender: string, found: readonly Found[]): Promise<boolean> {
    const { rules } = this.options;
    for (let at = 0; at < found.length || this.lost > 0; at += APPENDED_LIMIT_EVENTS) {
      const step = found.slice(at, at + APPENDED_LIMIT_EVENTS);
      const wanted = step.filter(({ text }) => {
        const event = eventOf(text);
        return event !== null && isWanted(rules, event);
      });
      const words = wanted.flatMap(({ partition, id, text }) => [this.tags[partition] ?? '', id, text]);
      const reply = await this.queue(
        'append',
        sender,
        rules.queueLimitEvents,
        this.lost,
        newName(),
        ...words,
      );
      if (reply === null) return false;
      this.lost = 0;
      for (const { partition, id } of step) this.taken.set(partition, id);
    }
    return true;
  }

  private queue(what: string, sender: string, ...args: (string | number)[]): Promise<unknown> {
    const base = `${this.options.prefix}:{webhooks}:`;
    return this.options.redis.script(
      'webhook_queue',
      base,
      ...this.common(),
      what,
      sender,
      WEBHOOK_CLAIM_MS,
      ...args,
    );
  }

  private common(): [string, number] {
    return [this.options.redis.publishCommand, KEY_TTL_MS];
  }
}

function newName(): string {
  return randomBytes(8).toString('base64url');
}

function compareIds(a: string, b: string): number {
  const [ms = 0, number = 0] = a.split('-').map(Number);
  const [otherMs = 0, otherNumber = 0] = b.split('-').map(Number);
  return ms - otherMs || number - otherNumber;
}

/** Entry of a stream. */
type Row = [id: string, fields: Map<string, string>];

function rowsOf(rows: unknown): Row[] {
  return (Array.isArray(rows) ? (rows as unknown[]) : []).flatMap((row) => {
    const [id, list] = Array.isArray(row) ? (row as unknown[]) : [];
    if (typeof id !== 'string' || !Array.isArray(list)) return [];
    const fields = new Map<string, string>();
    for (let i = 0; i + 1 < list.length; i += 2) fields.set(String(list[i]), String(list[i + 1]));
    return [[id, fields] satisfies Row];
  });
}

/** What is no event, because somebody else wrote it, is passed over. */
function eventsOf(rows: readonly Row[]): QueuedEvent[] {
  return rows.flatMap(([place, fields]) => {
    const event = eventOf(fields.get('e') ?? '');
    return event === null ? [] : [{ id: idOf([place, fields]), seq: Number.parseInt(place, 10), ...event }];
  });
}

/** As the script has it that settles. */
function idOf([place, fields]: Row): string {
  return fields.get('id') ?? place;
}

function eventOf(text: string): WebhookEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { type, room, client, session, atMs, sinceMs, lostAtMs } = Object(value) as Record<string, unknown>;
  if (typeof atMs !== 'number') return null;
  const since = typeof sinceMs === 'number' ? sinceMs : atMs;
  if (type === 'occupied' && isRoomName(room)) return { type, room, atMs };
  if (type === 'vacated' && isRoomName(room)) return { type, room, atMs, sinceMs: since };
  if (!isClientId(client) || !isSessionId(session)) return null;
  if (type === 'connect') return { type, client, session, atMs };
  if (type !== 'disconnect') return null;
  return {
    type,
    client,
    session,
    atMs,
    sinceMs: since,
    lostAtMs: typeof lostAtMs === 'number' ? lostAtMs : null,
  };
}
