// The embedded store over a link: workers call the primary's store, the primary pushes events to workers.
import type { Server } from 'node:net';
import type { Code } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { WorkerId } from '../protocol/ids.js';
import type {
  AppendRequest,
  AttachRequest,
  AttachResult,
  AppendResult,
  Store,
  StoreEvent,
  StoreListener,
  Waiter,
} from '../session/store/store.js';
import type { WebhookQueue } from '../session/store/webhook-queue.js';
import { connectLink, type Link, type LinkHandlers, listenLinks } from './link.js';
import { type HoldsBytes, readLinkValue, writeAsJson, writeWithBytes } from './link-value.js';
import { Names } from './names.js';
import { readStoreMessage, type StoreMessage, StoreMessageWriter } from './store-message.js';

/** Calls of one worker that may wait for the primary at once; past it they are refused at once. */
const PENDING_CALLS_LIMIT = 50_000;
/**
 * Where attaches come more often than this, ms, those of such a time go together: each message by itself wakes the primary
 * and is answered by waking this worker, which takes more than the attach. One that comes alone goes at once.
 */
const GATHER_MS = 3;
/** Attaches of one message: some 20 KiB, and less than a millisecond of the primary. */
const GATHER_LIMIT_CALLS = 64;
/** Looks at what is late, ms. */
const LOOK_MS = 1_000;
/** A call that the primary has not answered at so many looks has failed: the primary is stopped or overloaded. */
const LOOKS_LIMIT = 6;

/** Appends have a form of their own. */
type Method = Exclude<keyof Port, 'ready' | 'close' | 'append' | 'appendFor'>;
/** What workers call, and what the process calls that sends webhooks. */
type Port = Store & WebhookQueue;

interface Hello {
  hello: WorkerId;
}
interface Call {
  id: number;
  method: Method;
  args: unknown[];
}
interface Refusal {
  id: number;
  error: { code: Code; message: string };
}
type Answer = { id: number; result: unknown } | Refusal;
type Append = Extract<StoreMessage, { kind: 'append' }>;

/** A store in the memory of the process that asks it. */
export interface EmbeddedStore extends Store {
  /** As `append`, at once. */
  appendNow(request: AppendRequest): AppendResult;
}

/** The primary's side: answers workers' calls on its store. */
export class StoreServer {
  private readonly names = new Names();
  private readonly workers = new Map<WorkerId, Link>();
  private server: Server | null = null;
  private readonly writer = new StoreMessageWriter();

  /**
   * @param count calls that were no calls: a worker must not be able to take the primary down
   * @param failed told of errors that are nobody's refusal
   */
  constructor(
    private readonly store: EmbeddedStore,
    private readonly count: (what: 'bad_call') => void,
    private readonly failed: (error: unknown) => void,
    private readonly webhooks: WebhookQueue | null = null,
  ) {}

  async listen(path: string): Promise<void> {
    this.server = await listenLinks(path, (link) => this.accept(link));
  }

  deliver(worker: WorkerId, event: StoreEvent): void {
    const link = this.workers.get(worker);
    if (link === undefined) return;
    const sent =
      event.type === 'entry'
        ? link.send(this.writer.entry(event), event.entry.body)
        : link.send(writeAsJson({ event }));
    // A worker that misses an event would go on with a wrong picture: without its link it ends and starts anew.
    if (!sent) link.close();
  }

  close(): void {
    this.server?.close();
    for (const link of this.workers.values()) link.close();
  }

  private accept(link: () => Link): LinkHandlers {
    let worker: WorkerId | null = null;
    return {
      message: (bytes) => {
        const call = readCall(bytes, this.names);
        if (call === null) {
          this.count('bad_call');
        } else if (Array.isArray(call)) {
          void this.answerAll(call, link());
        } else if ('hello' in call) {
          worker = call.hello;
          this.workers.set(worker, link());
        } else if ('request' in call) {
          this.append(call, link());
        } else {
          void this.answer(call, link());
        }
      },
      close: () => {
        if (worker === null || this.workers.get(worker) !== link()) return;
        this.workers.delete(worker);
        // Whatever it still attached came before this: its sessions wait from now on.
        void this.store.retire(worker);
      },
    };
  }

  private async answer(call: Call, link: Link): Promise<void> {
    if (link.send(write(call.method, await this.perform(call)))) return;
    // Too large, or the worker does not read: the one is told, the other finds out by itself.
    const error = { code: 'unknown_outcome', message: 'too large an answer' } as const;
    link.send(writeAsJson({ id: call.id, error }));
  }

  private async answerAll(calls: readonly Call[], link: Link): Promise<void> {
    link.send(writeAsJson(await Promise.all(calls.map((call) => this.perform(call)))));
  }

  private async perform({ id, method: name, args }: Call): Promise<Answer> {
    try {
      // The method's name was checked; its arguments were written by the same version in a worker of ours.
      const port = isOfWebhooks(name) ? this.webhooks : this.store;
      if (port === null) throw new GatewayError('unavailable');
      const method = Reflect.get(port, name) as (...args: unknown[]) => unknown;
      return { id, result: await Reflect.apply(method, port, args) };
    } catch (error) {
      return this.refusal(id, error);
    }
  }

  private append({ id, request }: Append, link: Link): void {
    try {
      link.send(this.writer.appended(id, this.store.appendNow(request)));
    } catch (error) {
      link.send(writeAsJson(this.refusal(id, error)));
    }
  }

  private refusal(id: number, error: unknown): Refusal {
    const known = error instanceof GatewayError;
    if (!known) this.failed(error);
    const { code, message } = known ? error : new GatewayError('internal_error');
    return { id, error: { code, message } };
  }
}

/** Whether bytes may stand in a call of this method or in its result: the compiler compares it with the port. */
const METHODS: { readonly [M in Method]: HoldsBytes<Signature<M>> } = {
  attach: false,
  detach: false,
  end: false,
  locate: false,
  online: false,
  clients: false,
  join: false,
  leave: false,
  members: false,
  count: false,
  locateMembers: false,
  claimPair: false,
  holdPair: false,
  freePair: false,
  pairsOf: false,
  read: true,
  acknowledge: false,
  keepTicket: false,
  redeemTicket: false,
  revoke: false,
  revocations: false,
  renew: false,
  retire: false,
  sweep: false,
  pollWebhooks: false,
  settleWebhooks: false,
  releaseWebhooks: false,
};

function isOfWebhooks(method: Method): method is keyof WebhookQueue {
  return method === 'pollWebhooks' || method === 'settleWebhooks' || method === 'releaseWebhooks';
}

type Signature<M extends Method> = [Parameters<Port[M]>, Awaited<ReturnType<Port[M]>>];

function write(method: Method, message: Call | Answer): Uint8Array {
  return METHODS[method] ? writeWithBytes(message) : writeAsJson(message);
}

function readCall(bytes: Buffer, names: Names): Hello | Call | Call[] | Append | null {
  try {
    const message = readStoreMessage(bytes, names);
    if (message !== null) return message.kind === 'append' ? message : null;
    const value: unknown = readLinkValue(bytes);
    if (typeof value !== 'object' || value === null) return null;
    if (Array.isArray(value)) return callsOf(value);
    if ('hello' in value && typeof value.hello === 'string') return { hello: value.hello as WorkerId };
    return callOf(value);
  } catch {
    return null;
  }
}

/** One that is no call, or whose answer holds bytes, spoils the list: no worker of ours sends it. */
function callsOf(values: readonly unknown[]): Call[] | null {
  const calls: Call[] = [];
  for (const value of values) {
    const call = callOf(value);
    if (call === null || METHODS[call.method]) return null;
    calls.push(call);
  }
  return calls;
}

function callOf(value: unknown): Call | null {
  if (typeof value !== 'object' || value === null) return null;
  if (!('id' in value) || !('method' in value) || !('args' in value)) return null;
  const { id, method, args } = value;
  if (typeof id !== 'number' || typeof method !== 'string' || !Array.isArray(args)) return null;
  return Object.hasOwn(METHODS, method) ? { id, method: method as Method, args } : null;
}

/** What a call waits for is of its method: each waiter is only told what it asked. */
type Pending = Waiter<never>;

/** A worker's side: the store port, answered by the primary. */
export class RemoteStore implements Store, WebhookQueue {
  private readonly pending = new Map<number, Pending>();
  private readonly writer = new StoreMessageWriter();
  private readonly link: Link;
  private readonly timer: NodeJS.Timeout;
  /** Calls that go with the next message of several, and when the last one went, monotonic ms. */
  private gathered: Call[] = [];
  private gatheredAt = -Infinity;
  private gathering: NodeJS.Timeout | null = null;
  private closing = false;
  private lastId = 0;
  /** The last call at each of the last looks. */
  private readonly looks: number[] = [];
  ready = true;

  /** @param lost the primary's store is gone for this worker: it cannot go on */
  constructor(path: string, worker: WorkerId, listener: StoreListener, lost: () => void) {
    const names = new Names();
    this.link = connectLink(path, {
      message: (bytes) => {
        const told = readStoreMessage(bytes, names);
        if (told === null) {
          // The primary is trusted: it is the process that started this one.
          const answer = readLinkValue(bytes) as Answer | Answer[] | { event: StoreEvent };
          if (Array.isArray(answer)) for (const one of answer) this.settle(one);
          else if ('event' in answer) listener(answer.event);
          else this.settle(answer);
        } else if (told.kind === 'entry') listener(told.event);
        else if (told.kind === 'appended') this.settle(told);
      },
      close: () => {
        this.ready = false;
        this.failAll('unknown_outcome');
        if (!this.closing) lost();
      },
    });
    this.link.send(writeAsJson({ hello: worker } satisfies Hello));
    this.timer = setInterval(() => {
      this.failLate();
    }, LOOK_MS);
    this.timer.unref();
  }

  detach = this.method('detach');
  end = this.method('end');
  locate = this.method('locate');
  online = this.method('online');
  clients = this.method('clients');
  join = this.method('join');
  leave = this.method('leave');
  members = this.method('members');
  count = this.method('count');
  locateMembers = this.method('locateMembers');
  claimPair = this.method('claimPair');
  holdPair = this.method('holdPair');
  freePair = this.method('freePair');
  pairsOf = this.method('pairsOf');
  read = this.method('read');
  acknowledge = this.method('acknowledge');
  keepTicket = this.method('keepTicket');
  redeemTicket = this.method('redeemTicket');
  revoke = this.method('revoke');
  revocations = this.method('revocations');
  renew = this.method('renew');
  retire = this.method('retire');
  sweep = this.method('sweep');
  pollWebhooks = this.method('pollWebhooks');
  settleWebhooks = this.method('settleWebhooks');
  releaseWebhooks = this.method('releaseWebhooks');

  close(): Promise<void> {
    this.closing = true;
    clearInterval(this.timer);
    this.sendGathered();
    this.link.close();
    this.failAll('unavailable');
    return Promise.resolve();
  }

  attach(request: AttachRequest): Promise<AttachResult> {
    return new Promise<AttachResult>((resolve, reject) => {
      const id = this.begin({ resolve, reject });
      if (id !== null) this.gather({ id, method: 'attach', args: [request] }, performance.now());
    });
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      this.appendFor(request, { resolve, reject });
    });
  }

  appendFor(request: AppendRequest, waiter: Waiter<AppendResult>): void {
    const id = this.begin(waiter);
    if (id !== null && !this.link.send(this.writer.append(id, request), request.body)) this.refuse(id);
  }

  private method<M extends Method>(method: M): Port[M] {
    const call = (...args: unknown[]): Promise<unknown> => this.call(method, args);
    return call as Port[M];
  }

  private call(method: Method, args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.begin({ resolve, reject });
      if (id !== null && !this.link.send(write(method, { id, method, args }))) this.refuse(id);
    });
  }

  /** The number of a call that may be made; null where it was refused at once. */
  private begin(waiter: Pending): number | null {
    if (!this.ready || this.pending.size >= PENDING_CALLS_LIMIT) {
      waiter.reject(new GatewayError('unavailable'));
      return null;
    }
    this.pending.set(++this.lastId, waiter);
    return this.lastId;
  }

  private gather(call: Call, now: number): void {
    this.gathered.push(call);
    const waitMs = this.gatheredAt + GATHER_MS - now;
    if (waitMs <= 0 || this.gathered.length >= GATHER_LIMIT_CALLS) {
      this.gatheredAt = now;
      this.sendGathered();
    } else {
      this.gathering ??= setTimeout(() => {
        this.gatheredAt = performance.now();
        this.sendGathered();
      }, waitMs);
    }
  }

  private sendGathered(): void {
    const { gathered } = this;
    if (this.gathering !== null) clearTimeout(this.gathering);
    this.gathering = null;
    if (gathered.length === 0) return;
    this.gathered = [];
    if (!this.link.send(writeAsJson(gathered))) for (const { id } of gathered) this.refuse(id);
  }

  /** It was never sent. */
  private refuse(id: number): void {
    this.taken(id)?.reject(new GatewayError('unavailable'));
  }

  private settle(answer: Answer): void {
    const pending = this.taken(answer.id);
    if (pending === null) return;
    if ('error' in answer) pending.reject(new GatewayError(answer.error.code, answer.error.message));
    // The primary answers each call with the result of its method.
    else pending.resolve(answer.result as never);
  }

  private taken(id: number): Pending | null {
    const pending = this.pending.get(id);
    if (pending === undefined) return null;
    this.pending.delete(id);
    return pending;
  }

  /** Calls are numbered in the order in which they were made, so the oldest stand first. */
  private failLate(): void {
    if (this.looks.push(this.lastId) < LOOKS_LIMIT) return;
    const last = this.looks.shift() ?? 0;
    for (const id of this.pending.keys()) {
      if (id > last) break;
      this.taken(id)?.reject(new GatewayError('unknown_outcome'));
    }
  }

  private failAll(code: 'unknown_outcome' | 'unavailable'): void {
    const failed = [...this.pending.values()];
    this.pending.clear();
    for (const pending of failed) pending.reject(new GatewayError(code));
  }
}
