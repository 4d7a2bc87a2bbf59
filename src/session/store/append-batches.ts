// Appends to Redis go in batches: what comes while one is under way goes with the next, in the order of the calls.
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../../protocol/errors.js';
import { nameOf } from './redis-records.js';
import type { AppendRequest, AppendResult, StoreSettings } from './store.js';

/** Entries of one script call, which Redis does not interrupt: some 2 ms. */
const BATCH_LIMIT_ENTRIES = 256;
/** Bodies of one script call, of which one message for each worker becomes. */
const BATCH_LIMIT_BYTES = 256 * 1024;
/** Appends that may wait; past it they are refused at once. */
const WAITING_LIMIT = 20_000;
/** And the bytes of their bodies. */
const WAITING_LIMIT_BYTES = 64 * 1024 * 1024;

interface Waiting {
  /** Hash tag of the channel's partition. */
  tag: string;
  request: AppendRequest;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}
interface Lane {
  waiting: Waiting[];
  /** A batch is under way, or about to be. */
  isBusy: boolean;
}

/** Runs append.lua on the partition of `tag` and of all others that `args` name. */
type Run = (tag: string, args: (string | number | Buffer)[]) => Promise<unknown>;

export class AppendBatches {
  private readonly lanes = new Map<number, Lane>();
  private count = 0;
  private bytes = 0;

  constructor(
    private readonly settings: StoreSettings,
    private readonly prefix: string,
    private readonly run: Run,
  ) {}

  /** @param lane what one script may touch: batches of one lane run one after another */
  add(lane: number, tag: string, request: AppendRequest): Promise<AppendResult> {
    const bytes = this.bytes + request.body.length;
    if (this.count >= WAITING_LIMIT || bytes > WAITING_LIMIT_BYTES)
      return Promise.reject(new GatewayError('unavailable'));
    this.count++;
    this.bytes = bytes;
    return new Promise((resolve, reject) => {
      let found = this.lanes.get(lane);
      if (found === undefined) this.lanes.set(lane, (found = { waiting: [], isBusy: false }));
      found.waiting.push({ tag, request, resolve, reject });
      if (found.isBusy) return;
      found.isBusy = true;
      // All that arrives in this tick goes together.
      setImmediate(() => void this.work(lane, found));
    });
  }

  private async work(number: number, lane: Lane): Promise<void> {
    while (lane.waiting.length > 0) await this.send(takeBatch(lane.waiting));
    this.lanes.delete(number);
  }

  private async send(batch: Waiting[]): Promise<void> {
    try {
      const answers = await this.run(batch[0]?.tag ?? '', this.argumentsOf(batch));
      const lines = typeof answers === 'string' ? answers.split('\n') : [];
      for (const [i, { resolve, reject }] of batch.entries()) {
        const result = resultOf(lines[i]);
        if (result instanceof GatewayError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.count -= batch.length;
      for (const { request } of batch) this.bytes -= request.body.length;
    }
  }

  private argumentsOf(batch: Waiting[]): (string | number | Buffer)[] {
    const { logLimitEntries, logLimitBytes, logTtlMs, offlineTtlMs } = this.settings;
    const epoch = randomBytes(6).toString('base64url');
    let words = '';
    for (const [i, { tag, request }] of batch.entries()) {
      if (i === 0 || !isRun(batch[i - 1]?.request, request)) words += runWordsOf(tag, request);
      words += wordsOf(request) + (isRun(request, batch[i + 1]?.request) ? '1\0' : '\0');
    }
    const bodies = Buffer.concat(batch.map(({ request }) => request.body));
    return [`${this.prefix}:`, logLimitEntries, logLimitBytes, logTtlMs, offlineTtlMs, epoch, words, bodies];
  }
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let entries = 0;
  for (let bytes = 0; entries < Math.min(waiting.length, BATCH_LIMIT_ENTRIES); entries++) {
    bytes += waiting[entries]?.request.body.length ?? 0;
    if (entries > 0 && bytes > BATCH_LIMIT_BYTES) break;
  }
  return waiting.splice(0, entries);
}

/** Whether two entries that follow each other differ only in what `wordsOf` says. */
function isRun(one: AppendRequest | undefined, next: AppendRequest | undefined): boolean {
  return (
    one !== undefined &&
    next !== undefined &&
    one.sender.session === next.sender.session &&
    one.sender.generation === next.sender.generation &&
    one.channel.kind === next.channel.kind &&
    nameOf(one.channel) === nameOf(next.channel) &&
    one.keep === next.keep &&
    one.only === next.only &&
    one.skip.length === 0 &&
    next.skip.length === 0
  );
}

// Texts for all entries together in place of arguments for each: an argument costs Redis and this process more than a dozen words.

function runWordsOf(tag: string, { channel, sender, keep, only, skip }: AppendRequest): string {
  const log = `${tag}\0${channel.kind}\0${nameOf(channel)}\0${sender.session}\0${String(sender.generation)}\0`;
  return `${log}${keep ? 'keep' : ''}\0${only ?? ''}\0${skip.join(' ')}\0`;
}

/** The tag is no secret, as in the embedded store. */
function wordsOf({ seq, first, ttlMs, body }: AppendRequest): string {
  const numbers = `${String(seq ?? '')}\0${String(first ?? '')}\0${String(ttlMs ?? '')}\0`;
  return `${numbers}${String(Math.floor(Math.random() * 2 ** 32))}\0${String(body.length)}\0`;
}

function resultOf(answer: string | undefined): AppendResult | GatewayError {
  const [status, detail, readers] = answer?.split(' ') ?? [];
  switch (status) {
    case 'accepted':
      return { status, id: detail === '-' ? null : (detail ?? null), readers: Number(readers) };
    case 'duplicate':
    case 'superseded':
    case 'absent':
      return { status };
    case 'out_of_order':
      return { status, expected: Number(detail) };
    case 'failed':
      return new GatewayError('unavailable');
    default:
      return new GatewayError('unknown_outcome');
  }
}
