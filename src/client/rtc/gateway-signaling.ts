// Signaling over a client's gateway: volatile messages, and kept ones, which come also after a resume, where those were lost.
import { GatewayError } from '../../protocol/errors.js';
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import { randomId } from './dialogue.js';
import { addressOf, isFor, isFrom, type Line, NOBODY, type Sender } from './line.js';
import { type Rate, RateLimit } from './rate-limit.js';
import { parseSignal, type Signal, SIGNAL_EVENT } from './signal.js';
import type { LineInfo, LineReceiver, SignalingLine, SignalingMechanism } from './signaling.js';

/** After a refusal that may pass, ms. */
const RETRY_MS = 2_000;

/** Ends of others that are over, as far as this client's ends heard of them: most that are remembered. */
const OVER_LIMIT = 256;

/**
 * Answers to ends that this client knows nothing of: whoever may send to it would else decide how much it sends. Ten a second of the 200 frames that
 * the gateway takes by default, with room for all that a page with many calls is asked at once; to the same words once in less than the second
 * after which an end that heard no answer says them again.
 */
const ANSWERS: Rate = { limit: 50, withinMs: 5_000, ofOneLimit: 1, ofOneWithinMs: 500 };

/** As much of a `Client` as signaling needs. */
export interface GatewayClient {
  readonly id: string | null;
  readonly state: string;
  /** See `Client.isShared`. */
  readonly isShared?: boolean;
  /** With credentials that are good now. */
  readonly iceServers: RTCIceServer[];
  /** Resolves when connected; rejects with `aborted` by the signal. */
  connect(options?: { signal?: AbortSignal }): Promise<void>;
  /** See `Client.send`. */
  send(
    to: string,
    event: string,
    data: unknown,
    options?:
      | { volatile: true; onRefused: () => void; standing?: string }
      | { whenOffline: 'queue'; standing?: string },
  ): Promise<unknown>;
  /** See `Client.onMessage`. */
  onMessage(
    event: string,
    handler: (data: unknown, from: Sender, info?: { trace: string | null }) => unknown,
  ): () => void;
  /** See `Client.on`. */
  on(event: 'state', listener: (state: string, info: { code: string | null }) => unknown): () => void;
  /** See `Client.on`. */
  on(event: 'stateLost' | 'iceServers', listener: () => unknown): () => void;
  /** See `Client.on`. */
  on(event: 'gap', listener: (gap: { room: string | null }) => unknown): () => void;
}

/** Signals over a client. Any number of these for one client share it: signals of one are no strangers to the other. */
export class GatewaySignaling implements SignalingMechanism {
  /** @internal */
  readonly exchange: Exchange;

  constructor(client: GatewayClient) {
    this.exchange = Exchange.of(client);
  }

  /** See `SignalingMechanism.connect`. */
  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    return this.exchange.connect(info, receiver);
  }

  /** Somebody begins to talk to this client and no peer waits for it: who makes one at once takes the call. Returns a function that removes the listener. */
  onStranger(listener: (from: Sender, name: string) => void): () => void {
    this.exchange.strangers.add(listener);
    return () => this.exchange.strangers.delete(listener);
  }
}

/** What becomes of signals where standing offers are in play: see `crossing.ts`, which is loaded by who asks for them. */
export interface CrossingPort {
  /**
   * True where it deals with what came itself.
   * @param signal null where `data` is none
   * @param trace what the gateway tells with it
   */
  hears(signal: Signal | null, data: unknown, from: Sender, trace: string | null): boolean;
  /** What a signal is sent with. */
  options(signal: Signal, isVolatile: boolean): { standing?: string };
}

/** Who begins to talk, and no line is there for it. */
interface Stranger {
  readonly signal: Signal;
  readonly from: Sender;
  /** A line was made for it, and closed before it was told. */
  isRefused: boolean;
}

/** All lines of one client. */
export class Exchange {
  static readonly #all = new WeakMap<GatewayClient, Exchange>();
  readonly strangers = new Set<(from: Sender, name: string) => void>();
  crossing: CrossingPort | null = null;
  readonly lines = new Set<Line>();
  readonly #client: GatewayClient;
  /** Identities; what one of them said may come once more when its end here is closed, and is no new call. */
  readonly #over = new Set<string>();
  /** Set while listeners are told of it. */
  #stranger: Stranger | null = null;
  readonly #refusals = new RateLimit(ANSWERS);
  readonly #dismissals = new RateLimit(ANSWERS);
  readonly #environment: Environment;

  /** The one of that client. */
  static of(client: GatewayClient, environment = REAL_ENVIRONMENT): Exchange {
    let exchange = Exchange.#all.get(client);
    if (exchange === undefined) Exchange.#all.set(client, (exchange = new Exchange(client, environment)));
    return exchange;
  }

  private constructor(client: GatewayClient, environment: Environment) {
    this.#client = client;
    this.#environment = environment;
    client.onMessage(SIGNAL_EVENT, (data, from, info) => {
      const signal = parseSignal(data);
      if (this.crossing?.hears(signal, data, from, info?.trace ?? null) === true) return;
      if (signal !== null) this.receive(signal, from);
    });
    client.on('stateLost', () => this.#lost());
    client.on('gap', ({ room }) => room === null && this.#lost());
    client.on('state', (state, { code }) => {
      // Sent away by the gateway, a call goes on as long as it can.
      if (state === 'closed' && code === 'closed') for (const { receiver } of this.lines) receiver.onEnded();
    });
  }

  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    const line: Line = { info, receiver, local: null, remote: null, retry: null };
    this.lines.add(line);
    return {
      isReliable: false,
      hasSureWay: true,
      ready: this.#client.connect(),
      send: (signal, to, isSure) => {
        // Another end has its place, and nobody is told of this one.
        if (!this.lines.has(line)) return;
        line.local = signal.route[0];
        if (isSure) this.#keep(line, signal, to ?? info.remoteId);
        else this.#send(line, signal, to ?? info.remoteId);
      },
      close: () => {
        this.lines.delete(line);
        if (line.retry !== null) clearTimeout(line.retry);
        if (line.remote !== null) this.#noteOver(line.remote);
        else if (this.#stranger !== null && isFor(this.#stranger.signal, this.#stranger.from, line))
          this.#stranger.isRefused = true;
        // The client keeps what it shall do about refusals for a while.
        line.receiver = NOBODY;
      },
    };
  }

  /** What it says to whoever it is comes too late. */
  isOver(identity: string): boolean {
    return this.#over.has(identity);
  }

  #noteOver(identity: string): void {
    const [oldest] = this.#over;
    if (oldest !== undefined && this.#over.size >= OVER_LIMIT) this.#over.delete(oldest);
    this.#over.add(identity);
  }

  /** A third of the work of a kept one, and faster. */
  #send(line: Line, signal: Signal, to: string): void {
    const [, , seq] = signal.route;
    const onRefused = (): void => line.receiver.onDropped(seq);
    const options = { volatile: true, onRefused, ...this.crossing?.options(signal, true) } as const;
    this.#client.send(to, SIGNAL_EVENT, signal, options).catch(onRefused);
  }

  #keep(line: Line, signal: Signal, to: string): void {
    // Whatever the application's calls do: a negotiation that began goes on when the connection is back.
    const options = { whenOffline: 'queue', ...this.crossing?.options(signal, false) } as const;
    this.#client.send(to, SIGNAL_EVENT, signal, options).catch((error: unknown) => {
      line.receiver.onFailed(error);
      const code = error instanceof GatewayError ? error.code : null;
      // Who is not there will ask for it when it comes; what may pass is tried again.
      if (code === 'unavailable' || code === 'unknown_outcome' || code === 'queue_full' || code === 'offline')
        this.#retryLater(line);
    });
  }

  /** Once for all that was refused meanwhile: it says everything that is not acknowledged, and each of that may be refused again. */
  #retryLater(line: Line): void {
    if (!this.lines.has(line)) return;
    line.retry ??= setTimeout(() => {
      line.retry = null;
      line.receiver.onResync();
    }, RETRY_MS);
  }

  /** As if nobody left standing offers. */
  receive(signal: Signal, from: Sender): void {
    const [sender, to, seq] = signal.route;
    if (to !== null) {
      const line = [...this.lines].find(({ local }) => local === to);
      if (line !== undefined && !isFrom(from, line.info)) return;
      // Another session took the call, or this end is over.
      if (line === undefined || (line.remote ?? sender) !== sender) this.dismiss(signal, from);
      else this.pass(line, signal, from);
      return;
    }
    if (this.isOver(sender)) return;
    const line = this.#find(signal, from);
    if (line !== undefined) return this.pass(line, signal, from);
    // What begins with something later was refused before.
    if (seq > 1 || (signal.type !== 'hello' && signal.type !== 'offer')) return;
    const stranger: Stranger = { signal, from, isRefused: false };
    this.#stranger = stranger;
    try {
      for (const tell of this.strangers) tell(from, signal.name ?? '');
    } finally {
      this.#stranger = null;
      const made = this.#find(signal, from);
      if (made !== undefined) this.pass(made, signal, from);
      else if (stranger.isRefused) this.#refuse(signal, from);
    }
  }

  /** The end that was closed has not heard of the other one, which is told for it, surely as with every farewell. */
  #refuse({ route: [sender, , seq] }: Signal, from: Sender): void {
    // It calls again by its clock, and is refused then.
    if (!this.#refusals.admits(sender, this.#environment.now())) return;
    this.#noteOver(sender);
    const bye: Signal = { type: 'bye', route: [randomId(), sender, 1, seq] };
    this.#client.send(addressOf(from), SIGNAL_EVENT, bye, { whenOffline: 'queue' }).catch(() => {});
  }

  /** The line that this end talks to, or one that waits for whoever it is. */
  #find(signal: Signal, from: Sender): Line | undefined {
    const [sender] = signal.route;
    const lines = [...this.lines].filter((line) => isFor(signal, from, line));
    return lines.find(({ remote }) => remote === sender) ?? lines.find(({ remote }) => remote === null);
  }

  /** The line's end is the other one of this line from now on. */
  pass(line: Line, signal: Signal, from: Sender): void {
    line.remote = signal.route[0];
    line.receiver.onSignal(signal, addressOf(from));
  }

  /** That end is told that there is none here: quickly and seldom, as whoever may send to this client can ask for it. Where that is lost, it says its words once more. */
  dismiss({ type, route: [sender, to] }: Signal, from: Sender): void {
    // These wait for nothing.
    if (to === null || type === 'ack' || type === 'gone' || type === 'bye') return;
    if (!this.#dismissals.admits(`${sender} ${to}`, this.#environment.now())) return;
    const gone: Signal = { type: 'gone', route: [to, sender, 0, 0] };
    const options = { volatile: true, onRefused: () => {} } as const;
    this.#client.send(addressOf(from), SIGNAL_EVENT, gone, options).catch(() => {});
  }

  #lost(): void {
    for (const { receiver } of this.lines) receiver.onResync();
  }
}
