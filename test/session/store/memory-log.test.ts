// The logs of the embedded store against arrays: time, budget, large bodies and memory that is used again, which the model of all stores leaves out.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SessionId } from '../../../src/protocol/ids.js';
import { MemoryLogs } from '../../../src/session/store/memory-log.js';
import { type Channel, type Entry, READ_LIMIT_BYTES } from '../../../src/session/store/store.js';
import { appendRequest, inbox, newSession, roomLog, SETTINGS } from './fixture.js';

/** What a log and an entry count at least, beside the body. */
const LOG_BYTES = 1_000;
const ENTRY_BYTES = 208;
const CHANNELS: readonly Channel[] = [inbox('a'), inbox('b'), roomLog('a'), roomLog('b'), roomLog('c')];
const SENDERS = Array.from({ length: 3 }, newSession);

type Told = Omit<Entry, 'body'> & { body: string };

interface Stored {
  entry: Told;
  bytes: number;
  expiresAt: number;
}
interface Log {
  entries: Stored[];
  ids: string[];
  senders: Map<SessionId, { seq: number; offset: number }>;
  touchedAt: number;
  kept: { after: string | null; last: string } | null;
  /** More than its ring can be. */
  ringLimitBytes: number;
}

/** A body as a short text; every byte of each is the same. */
function told(body: Uint8Array): string {
  const [first = 0] = body;
  return `${body.length} bytes of ${Buffer.alloc(body.length, first).equals(body) ? first : 'more than one kind'}`;
}

/** What a log does, in arrays. `order`: those with entries, the least recently appended first. */
class Model {
  readonly logs = new Map<Channel, Log>();
  private order: Log[] = [];

  constructor(private readonly settings: typeof SETTINGS) {}

  of(channel: Channel): Log {
    const log = this.logs.get(channel) ?? {
      entries: [],
      ids: [],
      senders: new Map(),
      touchedAt: 0,
      kept: null,
      ringLimitBytes: 0,
    };
    this.logs.set(channel, log);
    return log;
  }

  /** @param size how many logs have entries now: which rings are how large, only the budget knows */
  add(log: Log, stored: Stored, now: number, size: number): void {
    const { entries, ids } = log;
    const { id, kept } = stored.entry;
    if (kept) log.kept = { after: log.kept === null ? (ids.at(-1) ?? null) : log.kept.after, last: id };
    entries.push(stored);
    ids.push(id);
    log.touchedAt = now;
    this.order = [...this.order.filter((other) => other !== log), log];
    log.ringLimitBytes = 4 * Math.max(1024, bytesOf(log) + entries.length * 8);
    const { logLimitEntries, logLimitBytes, logBudgetBytes } = this.settings;
    while (entries.length > 1 && (entries.length > logLimitEntries || bytesOf(log) > logLimitBytes))
      entries.shift();
    // Senders are forgotten with their entries, once they are twice as many as those.
    if (log.senders.size > 2 * logLimitEntries)
      for (const [sender, { offset }] of log.senders)
        if (offset <= ids.length - logLimitEntries) log.senders.delete(sender);
    while (this.order.length > size) {
      expect(sum(this.order.map(costLimit))).toBeGreaterThan(logBudgetBytes);
      this.clear(this.order[0]);
    }
    if (size > 1) expect(sum(this.order.map(leastCost))).toBeLessThanOrEqual(logBudgetBytes);
  }

  expire(now: number): void {
    const { logTtlMs, offlineTtlMs } = this.settings;
    for (const log of [...this.order])
      if (log.touchedAt <= now - (log.kept === null ? logTtlMs : offlineTtlMs)) this.clear(log);
  }

  get size(): number {
    return this.order.length;
  }

  private clear(log: Log | undefined): void {
    if (log !== undefined) log.entries = [];
    this.order = this.order.filter((other) => other !== log);
  }
}

const sum = (numbers: number[]): number => numbers.reduce((all, each) => all + each, 0);
const bytesOf = ({ entries }: Log): number => sum(entries.map(({ bytes }) => bytes));
const leastCost = (log: Log): number => LOG_BYTES + log.entries.length * ENTRY_BYTES + bytesOf(log);
const costLimit = (log: Log): number => leastCost(log) + log.ringLimitBytes;

const channel = fc.constantFrom(...CHANNELS);
const append = fc.record({
  kind: fc.constant('append' as const),
  channel,
  times: fc.oneof(
    { weight: 3, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 12 }) },
  ),
  bytes: fc.oneof(
    { weight: 6, arbitrary: fc.nat(300) },
    { weight: 2, arbitrary: fc.nat(5_000) },
    { weight: 1, arbitrary: fc.constantFrom(0, 16_383, 16_384, 16_385, 40_000, 700_000) },
  ),
  sender: fc.constantFrom(...SENDERS),
  number: fc.constantFrom('next', 'next', 'next', 'again', 'ahead', 'first', 'none'),
  skip: fc.constantFrom<string[]>([], [], ['bob'], ['bob', 'carol']),
  only: fc.constantFrom(null, null, null, newSession()),
  unread: fc.boolean(),
  ttlMs: fc.constantFrom(null, null, 5, 50),
});
const step = fc.oneof(
  { weight: 8, arbitrary: append },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      channel,
      from: fc.nat(),
      last: fc.boolean(),
      limit: fc.constantFrom(1, 3, 64),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 60, 200) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('acknowledge' as const), channel, newest: fc.boolean() }),
  },
);
const settings = fc.record({
  logLimitEntries: fc.constantFrom(1, 2, 3, 5, 30),
  logLimitBytes: fc.constantFrom(1_000, 20_000, 1_000_000),
  logBudgetBytes: fc.constantFrom(5_000, 60_000, 10_000_000),
});

test('MemoryLogs do what arrays do, and what they have handed out stays as it was', () => {
  fc.assert(
    fc.property(settings, fc.array(step, { maxLength: 120, size: 'max' }), (limits, steps) => {
      const all = { ...SETTINGS, ...limits, logTtlMs: 100, offlineTtlMs: 300 };
      let now = 0;
      let bodies = 0;
      const logs = new MemoryLogs(all, () => now);
      const model = new Model(all);
      /** Read, and as it was then. */
      const handedOut: [Uint8Array, string][] = [];
      const takeIn = (entry: Entry): Told => {
        const body = told(entry.body);
        handedOut.push([entry.body, body]);
        return { ...entry, body };
      };
      const readFrom = (
        of: Channel,
        from: { after: string | null } | { last: number },
        limit: number,
      ): void => {
        const { entries, ids } = model.of(of);
        const oldest = ids.length - entries.length;
        const after =
          'last' in from ? ids.length - from.last : from.after === null ? 0 : ids.indexOf(from.after) + 1;
        const start = Math.max(after, oldest);
        const page: Stored[] = [];
        let bytes = 0;
        for (const stored of entries.slice(start - oldest, start - oldest + limit)) {
          bytes += stored.bytes;
          if (page.length > 0 && bytes > READ_LIMIT_BYTES) break;
          page.push(stored);
        }
        const result = logs.read(of, from, limit);
        if (result.status !== 'entries') throw new Error('lost');
        expect({ ...result, entries: result.entries.map(takeIn) }).toEqual({
          status: 'entries',
          missing: 'last' in from ? 0 : start - after,
          entries: page.filter(({ expiresAt }) => expiresAt > now).map(({ entry }) => entry),
          more: start + page.length < ids.length,
          position: page.at(-1)?.entry.id ?? ids.at(-1) ?? null,
        });
      };
      for (const each of steps) {
        switch (each.kind) {
          case 'append':
            for (let i = 0; i < each.times; i++) {
              const log = model.of(each.channel);
              const { bytes, sender, skip, only, unread, ttlMs } = each;
              const last = log.senders.get(sender)?.seq ?? 0;
              const seq =
                each.number === 'none' ? null : last + { next: 1, again: 0, ahead: 2, first: 5 }[each.number];
              const first = each.number === 'first' ? last + 5 : null;
              const body = Buffer.alloc(bytes, ++bodies & 0xff);
              const request = appendRequest(each.channel, {
                sender: { client: 'me' as never, session: sender, generation: 1 },
                seq,
                first,
                body,
                skip,
                only,
                ttlMs,
              });
              const result = logs.append(request, unread);
              if (each.number === 'again') expect(result).toEqual({ status: 'duplicate' });
              else if (each.number === 'ahead')
                expect(result).toEqual({ status: 'out_of_order', expected: last + 1 });
              else {
                if (result.status !== 'accepted') throw new Error(result.status);
                const { id, after } = result.entry;
                const before = log.ids.at(-1) ?? null;
                expect(after).toBe(before);
                const [epoch, offset] = id.split(/[:-](?=\d+(?:-\d+)?$)/);
                expect(Number(offset)).toBe(log.ids.length + 1);
                if (before !== null) expect(before.startsWith(`${epoch ?? ''}:`)).toBe(true);
                log.senders.set(sender, { seq: seq ?? last, offset: log.ids.length + 1 });
                const entry = { id, only, skip, kept: unread, body: told(body) };
                model.add(
                  log,
                  { entry, bytes, expiresAt: ttlMs === null ? Infinity : now + ttlMs },
                  now,
                  logs.size,
                );
                // It came in a buffer that is used again.
                body.fill(0xee);
              }
            }
            break;
          case 'read': {
            const { ids } = model.of(each.channel);
            const at = each.from % (ids.length + 1);
            readFrom(
              each.channel,
              each.last ? { last: at } : { after: at === 0 ? null : (ids[at - 1] ?? null) },
              each.limit,
            );
            break;
          }
          case 'wait':
            now += each.ms;
            logs.expire();
            model.expire(now);
            break;
          case 'acknowledge': {
            const log = model.of(each.channel);
            const id = (each.newest ? log.kept?.last : log.ids[0]) ?? 'nothing';
            logs.acknowledge(each.channel, id);
            if (log.kept?.last === id) log.kept = null;
            break;
          }
        }
        expect(logs.size).toBe(model.size);
        for (const [of, log] of model.logs)
          expect([logs.position(of), logs.kept(of)]).toEqual([log.ids.at(-1) ?? null, log.kept]);
      }
      for (const of of CHANNELS) readFrom(of, { after: null }, Infinity);
      for (const [body, asItWas] of handedOut) expect(told(body)).toBe(asItWas);
    }),
    { numRuns: 25 },
  );
});

test('MemoryLogs hold no more memory than the budget, though large messages are followed by small ones', () => {
  const logBudgetBytes = 1_000_000;
  const limits = { logLimitEntries: 64, logLimitBytes: 1_000_000, logBudgetBytes };
  const logs = new MemoryLogs({ ...SETTINGS, ...limits }, () => 0);
  const before = held();
  for (let log = 0; log < 40; log++) {
    for (const [times, bytes] of [
      [65, 4000],
      [30, 20],
    ] as const) {
      const request = appendRequest(roomLog(`room-${String(log)}`), { seq: null, body: Buffer.alloc(bytes) });
      for (let i = 0; i < times; i++) logs.append(request, false);
    }
  }
  expect(held() - before).toBeLessThan(logBudgetBytes);
  expect(logs.size).toBeGreaterThan(0);
});

/** Bytes of all buffers that somebody still has. */
function held(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // The next collection waits for what the last one has found.
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage().arrayBuffers;
}
