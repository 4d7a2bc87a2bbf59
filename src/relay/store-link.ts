// The embedded store over a link: workers call the primary's store, the primary pushes events to workers.
import type { Server } from 'node:net';
import type { Code } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { WorkerId } from '../protocol/ids.js';
import type {
  AppendRequest,
  AppendResult,
  Store,
  StoreEvent,
  StoreListener,
} from '../session/store/store.js';
import { connectLink, type Link, type LinkHandlers, listenLinks } from './link.js';
import { type HoldsBytes, readLinkValue, writeAsJson, writeWithBytes } from './link-value.js';
import { readStoreMessage, type StoreMessage, StoreMessageWriter } from './store-message.js';

/** Calls of one worker that may wait for the primary at once; past it they are refused at once. */
const PENDING_CALLS_LIMIT = 50_000;
/** A call that the primary does not answer by then has failed: the primary is stopped or overloaded, ms. */
const CALL_TIMEOUT_MS = 5_000;

/** Appends have a form of their own. */
type Method = Exclude<keyof Store, 'ready' | 'close' | 'append'>;

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

/** The primary's side: answers workers' calls on its store. */
export class StoreServer {
  private readonly workers = new Map<WorkerId, Link>();
  private server: Server | null = null;
  private readonly writer = new StoreMessageWriter();

  /**
   * @param count calls that were no calls: a worker must not be able to take the primary down
   * @param failed told of errors that are nobody's refusal
   */
  constructor(
    private readonly store: Store,
    private readonly count: (what: 'bad_call') => void,
    private readonly failed: (error: unknown) => void,
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
        const call = readCall(bytes);
        if (call === null) {
          this.count('bad_call');
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
    let answer: Answer;
    try {
      // The method's name was checked; its arguments were written by the same version in a worker of ours.
      const method = Reflect.get(this.store, call.method) as (...args: unknown[]) => unknown;
      const result = await Reflect.apply(method, this.store, call.args);
      answer = { id: call.id, result };
    } catch (error) {
      answer = this.refusal(call.id, error);
    }
    link.send(write(call.method, answer));
  }

  private append({ id, request }: Append, link: Link): void {
    this.store.append(request).then(
      (result) => link.send(this.writer.appended(id, result)),
      (error: unknown) => link.send(writeAsJson(this.refusal(id, error))),
    );
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
  read: true,
  acknowledge: false,
  keepTicket: false,
  redeemTicket: false,
  revoke: false,
  revocations: false,
  renew: false,
  retire: false,
  sweep: false,
};

type Signature<M extends Method> = [Parameters<Store[M]>, Awaited<ReturnType<Store[M]>>];

function write(method: Method, message: Call | Answer): Uint8Array {
  return METHODS[method] ? writeWithBytes(message) : writeAsJson(message);
}

function readCall(bytes: Buffer): Hello | Call | Append | null {
  try {
    const message = readStoreMessage(bytes);
    if (message !== null) return message.kind === 'append' ? message : null;
    const call: unknown = readLinkValue(bytes);
    if (typeof call !== 'object' || call === null) return null;
    if ('hello' in call && typeof call.hello === 'string') return { hello: call.hello as WorkerId };
    if (!('id' in call) || !('method' in call) || !('args' in call)) return null;
    const { id, method, args } = call;
    if (typeof id !== 'number' || typeof method !== 'string' || !Array.isArray(args)) return null;
    return Object.hasOwn(METHODS, method) ? { id, method: method as Method, args } : null;
  } catch {
    return null;
  }
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  startedAt: number;
}

/** A worker's side: the store port, answered by the primary. */
export class RemoteStore implements Store {
  private readonly pending = new Map<number, Pending>();
  private readonly writer = new StoreMessageWriter();
  private readonly link: Link;
  private readonly timer: NodeJS.Timeout;
  private closing = false;
  private lastId = 0;
  ready = true;

  /** @param lost the primary's store is gone for this worker: it cannot go on */
  constructor(path: string, worker: WorkerId, listener: StoreListener, lost: () => void) {
    this.link = connectLink(path, {
      message: (bytes) => {
        const told = readStoreMessage(bytes);
        if (told === null) {
          // The primary is trusted: it is the process that started this one.
          const answer = readLinkValue(bytes) as Answer | { event: StoreEvent };
          if ('event' in answer) listener(answer.event);
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
    }, 1000);
    this.timer.unref();
  }

  attach = this.method('attach');
  detach = this.method('detach');
  end = this.method('end');
  locate = this.method('locate');
  online = this.method('online');
  clients = this.method('clients');
  join = this.method('join');
  leave = this.method('leave');
  members = this.method('members');
  count = this.method('count');
  read = this.method('read');
  acknowledge = this.method('acknowledge');
  keepTicket = this.method('keepTicket');
  redeemTicket = this.method('redeemTicket');
  revoke = this.method('revoke');
  revocations = this.method('revocations');
  renew = this.method('renew');
  retire = this.method('retire');
  sweep = this.method('sweep');

  close(): Promise<void> {
    this.closing = true;
    clearInterval(this.timer);
    this.link.close();
    this.failAll('unavailable');
    return Promise.resolve();
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.begin((id) =>
      this.link.send(this.writer.append(id, request), request.body),
    ) as Promise<AppendResult>;
  }

  private method<M extends Method>(method: M): Store[M] {
    const call = (...args: unknown[]): Promise<unknown> => this.call(method, args);
    return call as Store[M];
  }

  private call(method: Method, args: unknown[]): Promise<unknown> {
    return this.begin((id) => this.link.send(write(method, { id, method, args })));
  }

  private begin(send: (id: number) => boolean): Promise<unknown> {
    if (!this.ready || this.pending.size >= PENDING_CALLS_LIMIT) {
      return Promise.reject(new GatewayError('unavailable'));
    }
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject, startedAt: performance.now() });
      if (!send(id)) {
        this.pending.delete(id);
        reject(new GatewayError('unavailable'));
      }
    });
  }

  private settle(answer: Answer): void {
    const pending = this.pending.get(answer.id);
    if (pending === undefined) return;
    this.pending.delete(answer.id);
    if ('error' in answer) pending.reject(new GatewayError(answer.error.code, answer.error.message));
    else pending.resolve(answer.result);
  }

  /** Calls are answered in order, so the oldest stand first. */
  private failLate(): void {
    const limit = performance.now() - CALL_TIMEOUT_MS;
    for (const [id, pending] of this.pending) {
      if (pending.startedAt > limit) break;
      this.pending.delete(id);
      pending.reject(new GatewayError('unknown_outcome'));
    }
  }

  private failAll(code: 'unknown_outcome' | 'unavailable'): void {
    for (const pending of this.pending.values()) pending.reject(new GatewayError(code));
    this.pending.clear();
  }
}
