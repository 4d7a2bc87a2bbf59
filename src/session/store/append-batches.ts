// Appends to Redis go in batches: what comes while one is under way goes with the next, in the order of the calls.
import { randomBytes } from 'node:crypto';
import { GatewayError } from '../../protocol/errors.js';
import { nameOf } from './redis-records.js';
import type { AppendRequest, AppendResult, StoreSettings } from './store.js';

/** Entries of one script call, which Redis does not interrupt: some 0.5 ms. */
const BATCH_LIMIT_ENTRIES = 64;
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
      for (const [i, { resolve, reject }] of batch.entries()) {
        const result = resultOf(Array.isArray(answers) ? (answers as unknown[])[i] : null);
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
    const args: (string | number | Buffer)[] = [
      `${this.prefix}:`,
      logLimitEntries,
      logLimitBytes,
      logTtlMs,
      offlineTtlMs,
      epoch,
    ];
    for (const { tag, request } of batch) {
      const { body } = request;
      args.push(wordsOf(tag, request), Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    }
    return args;
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

/** The tag is no secret, as in the embedded store. One text instead of a dozen arguments, of which each costs Redis and this process more than all words together. */
function wordsOf(tag: string, request: AppendRequest): string {
  const { channel, sender, seq, first, ttlMs, keep, only, skip } = request;
  const log = `${tag}\0${channel.kind}\0${nameOf(channel)}\0${sender.session}\0${String(sender.generation)}\0`;
  const numbers = `${String(seq ?? '')}\0${String(first ?? '')}\0${String(ttlMs ?? '')}\0`;
  return `${log}${numbers}${keep ? 'keep' : ''}\0${only ?? ''}\0${String(Math.floor(Math.random() * 2 ** 32))}\0${skip.join(' ')}\0`;
}

function resultOf(answer: unknown): AppendResult | GatewayError {
  const [status, detail, readers] = typeof answer === 'string' ? answer.split(' ') : [];
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
