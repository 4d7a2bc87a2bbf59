// Signaling over a client's gateway: volatile messages, and kept ones, which come also after a resume, where those were lost.
import { GatewayError } from '../../protocol/errors.js';
import { parseSignal, type Signal, SIGNAL_EVENT } from './signal.js';
import type { LineInfo, LineReceiver, SignalingLine, SignalingMechanism } from './signaling.js';
import type { Standing } from './standing.js';

/** After a refusal that may pass, ms. */
const RETRY_MS = 2_000;

/** Ends of others that are over, as far as this client's ends heard of them: most that are remembered. */
const OVER_LIMIT = 256;

/** As much of a `Client` as signaling needs. */
export interface GatewayClient {
  readonly id: string | null;
  readonly state: string;
  /** See `Client.isShared`. */
  readonly isShared?: boolean;
  /** With credentials that are good now. */
  readonly iceServers: RTCIceServer[];
  /** Resolves when connected. */
  connect(): Promise<void>;
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
  on(event: 'stateLost', listener: () => unknown): () => void;
  /** See `Client.on`. */
  on(event: 'gap', listener: (gap: { room: string | null }) => unknown): () => void;
}

interface Sender {
  client: string;
  session: string;
}

/** In the place of an end that was closed. */
const NOBODY: LineReceiver = {
  onSignal: () => {},
  onResync: () => {},
  onDropped: () => {},
  onFailed: () => {},
  onEnded: () => {},
};

interface Line {
  readonly info: LineInfo;
  receiver: LineReceiver;
  /** Identities of the two ends, as far as they were seen. */
  local: string | null;
  remote: string | null;
  /** The session of the other end, of which nothing but a `hello` was heard. */
  greeted: string | null;
  /** The session whose standing offer it took, until more is heard of that end. */
  tookFrom: string | null;
  /** Set while what was refused waits to be said again. */
  retry: ReturnType<typeof setTimeout> | null;
}

/** Signals over a client. Any number of these for one client share it: signals of one are no strangers to the other. */
export class GatewaySignaling implements SignalingMechanism {
  readonly #exchange: Exchange;

  constructor(client: GatewayClient) {
    this.#exchange = Exchange.of(client);
  }

  /** See `SignalingMechanism.connect`. */
  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    return this.#exchange.connect(info, receiver);
  }

  /** Somebody begins to talk to this client and no peer waits for it: who makes one at once takes the call. */
  onStranger(listener: StrangerListener): void {
    this.#exchange.strangers.push(listener);
  }

  /** From now on this client leaves standing offers, and says whom it calls. @internal */
  hold(): void {
    this.#exchange.isHolder = true;
  }

  /** Somebody was called and has not answered: it may be told of its call only now. @internal */
  get isCalling(): boolean {
    return this.#exchange.isCalling;
  }

  /** Who takes it is told to `onStranger` with it: the peer that is made of it at once has the call. @internal */
  stand(standing: Standing): void {
    this.#exchange.standing.set(standing.id, { standing, taker: null });
  }

  /** Nobody takes it any more. One whose taker was heard is not this object's to close. @internal */
  withdraw(standing: Standing): void {
    if (this.#exchange.standing.delete(standing.id)) standing.connection.close();
  }
}

/** `standing`: it took that one, whose end is to be made now. */
type StrangerListener = (from: Sender, name: string, standing: Standing | null) => void;

/** All lines of one client. */
class Exchange {
  static readonly #all = new WeakMap<GatewayClient, Exchange>();
  readonly strangers: StrangerListener[] = [];
  /** Standing offers by the identities of their ends, and the end that took each, as far as the gateway told. */
  readonly standing = new Map<string, { standing: Standing; taker: string | null }>();
  /** It says of its calls that they are: it leaves standing offers. */
  isHolder = false;
  readonly #client: GatewayClient;
  readonly #lines = new Set<Line>();
  /** Identities; what one of them said may come once more when its end here is closed, and is no new call. */
  readonly #over = new Set<string>();

  static of(client: GatewayClient): Exchange {
    let exchange = Exchange.#all.get(client);
    if (exchange === undefined) Exchange.#all.set(client, (exchange = new Exchange(client)));
    return exchange;
  }

  private constructor(client: GatewayClient) {
    this.#client = client;
    client.onMessage(SIGNAL_EVENT, (data, from, { trace } = { trace: null }) => {
      if (typeof data === 'string') {
        this.#handedOut(data, trace);
        return;
      }
      const signal = parseSignal(data);
      if (signal === null) return;
      if (trace !== null && signal.route[1] === null) this.#took(trace, signal, from);
      else this.#receive(signal, from);
    });
    client.on('stateLost', () => this.#lost());
    client.on('gap', ({ room }) => room === null && this.#lost());
    client.on('state', (state, { code }) => {
      // Sent away by the gateway, a call goes on as long as it can.
      if (state === 'closed' && code === 'closed') for (const { receiver } of this.#lines) receiver.onEnded();
    });
  }

  get isCalling(): boolean {
    return [...this.#lines].some(({ local, remote }) => local !== null && remote === null);
  }

  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    const { id: local = null } = info;
    const ends = { local, remote: null, greeted: null, tookFrom: null };
    const line: Line = { info, receiver, ...ends, retry: null };
    this.#lines.add(line);
    return {
      isReliable: false,
      hasSureWay: true,
      ready: this.#client.connect(),
      send: (signal, to, isSure) => {
        line.local = signal.route[0];
        if (isSure) this.#keep(line, signal, to ?? info.remoteId);
        else this.#send(line, signal, to ?? info.remoteId);
      },
      close: () => {
        this.#lines.delete(line);
        if (line.retry !== null) clearTimeout(line.retry);
        this.#noteOver(line.remote);
        // The client keeps what it shall do about refusals for a while.
        line.receiver = NOBODY;
      },
    };
  }

  #noteOver(identity: string | null): void {
    if (identity === null) return;
    const [oldest] = this.#over;
    if (oldest !== undefined && this.#over.size >= OVER_LIMIT) this.#over.delete(oldest);
    this.#over.add(identity);
  }

  /** A third of the work of a kept one, and faster. */
  #send(line: Line, signal: Signal, to: string): void {
    const [id, heard, seq] = signal.route;
    const onRefused = (): void => line.receiver.onDropped(seq);
    // Who can cross an offer wants the one that may stand there.
    const crosses = signal.type === 'offer' && signal.cross && heard === null;
    const standing = crosses ? { standing: id } : this.#calling(signal);
    this.#client.send(to, SIGNAL_EVENT, signal, { volatile: true, onRefused, ...standing }).catch(onRefused);
  }

  #keep(line: Line, signal: Signal, to: string): void {
    // Whatever the application's calls do: a negotiation that began goes on when the connection is back.
    const options = { whenOffline: 'queue', ...this.#calling(signal) } as const;
    this.#client.send(to, SIGNAL_EVENT, signal, options).catch((error: unknown) => {
      line.receiver.onFailed(error);
      const code = error instanceof GatewayError ? error.code : null;
      // Who is not there will ask for it when it comes; what may pass is tried again.
      if (code === 'unavailable' || code === 'unknown_outcome' || code === 'queue_full' || code === 'offline')
        this.#retryLater(line);
    });
  }

  /** The gateway gives no standing offer of this client to whom it calls itself: that one would hear of two ends. */
  #calling({ route: [, heard] }: Signal): { standing?: string } {
    return this.isHolder && heard === null ? { standing: '' } : {};
  }

  /** Once for all that was refused meanwhile: it says everything that is not acknowledged, and each of that may be refused again. */
  #retryLater(line: Line): void {
    if (!this.#lines.has(line)) return;
    line.retry ??= setTimeout(() => {
      line.retry = null;
      line.receiver.onResync();
    }, RETRY_MS);
  }

  #receive(signal: Signal, from: Sender): void {
    const [sender, to, seq] = signal.route;
    if (to !== null) {
      const line = [...this.#lines].find(({ local }) => local === to);
      if (line !== undefined && !isFrom(from, line.info)) return;
      // What else its taker says may come before its offer does.
      if (this.#open(to, signal, from) || this.standing.has(to)) return;
      // Another session took the call, or this end is over.
      if (line === undefined || !isOfLine(line, signal, from)) {
        if (signal.type === 'gone' && line?.tookFrom === from.session) this.#noteOver(sender);
        return this.#dismiss(signal, from);
      }
      line.tookFrom = null;
      this.#pass(line, signal, from);
      return;
    }
    if (this.#over.has(sender)) return;
    for (const [id, { taker }] of this.standing) if (taker === sender && this.#open(id, signal, from)) return;
    const line = this.#find(signal, from);
    if (line !== undefined) return this.#pass(line, signal, from);
    // What begins with something later was refused before.
    if (seq > 1 || (signal.type !== 'hello' && signal.type !== 'offer')) return;
    // It called at the same time as this client, and hears that its standing offer was taken: its call goes on with that.
    if (this.#isCrossed(signal, from)) return this.#noteOver(sender);
    for (const tell of this.strangers) tell(from, signal.name ?? '', null);
    const made = this.#find(signal, from);
    if (made !== undefined) this.#pass(made, signal, from);
  }

  /** The gateway handed a standing offer out, to that end. */
  #handedOut(id: string, taker: string | null): void {
    const entry = this.standing.get(id);
    if (entry === undefined || taker === null || entry.taker !== null) return;
    entry.taker = taker;
    entry.standing.onTaken();
  }

  /** What an end of this client asked for: the standing offer of whom it calls. */
  #took(id: string, signal: Signal, from: Sender): void {
    const [sender] = signal.route;
    const line = [...this.#lines].find(({ local, info }) => local === id && isFrom(from, info));
    if (line === undefined || !isOfLine(line, signal, from))
      return this.#dismiss({ ...signal, route: [sender, id, 0, 0] }, from);
    if (line.remote !== sender) line.tookFrom = from.session;
    this.#pass(line, signal, from);
  }

  /** The end of a standing offer is made when its taker is heard. False where it was not. */
  #open(id: string, signal: Signal, from: Sender): boolean {
    const entry = this.standing.get(id);
    if (entry === undefined || signal.type !== 'offer' || signal.cross !== true) return false;
    const { standing } = entry;
    this.standing.delete(id);
    if (entry.taker === null) standing.onTaken();
    const own = [...this.#lines].filter(({ info, remote }) => remote === null && isFrom(from, info));
    for (const tell of this.strangers) tell(from, signal.name ?? '', standing);
    for (const line of own) this.#replaced(line, signal, from);
    const line = [...this.#lines].find(({ local }) => local === id);
    if (line === undefined) {
      standing.connection.close();
      // Who took it has its answer and would wait for the connection.
      this.#dismiss({ ...signal, route: [signal.route[0], id, 0, 0] }, from);
    } else this.#pass(line, signal, from);
    return true;
  }

  /** Where an own call goes on as the end that was taken, its taker is told before that says anything: what the call said may come yet. */
  #replaced(line: Line, { route: [sender] }: Signal, from: Sender): void {
    if (line.local === null || this.#lines.has(line)) return;
    const gone: Signal = { type: 'gone', route: [line.local, sender, 0, 0] };
    const options = { volatile: true, onRefused: () => {} } as const;
    this.#client.send(`${from.client}#${from.session}`, SIGNAL_EVENT, gone, options).catch(() => {});
  }

  #isCrossed({ name = '' }: Signal, from: Sender): boolean {
    return [...this.#lines].some(
      ({ info, tookFrom }) => isFrom(from, info) && info.name === name && tookFrom === from.session,
    );
  }

  /** The line that this end talks to, or one that waits for whoever it is. */
  #find({ route: [sender], name = '' }: Signal, from: Sender): Line | undefined {
    const lines = [...this.#lines].filter(({ info }) => isFrom(from, info) && info.name === name);
    return lines.find(({ remote }) => remote === sender) ?? lines.find(({ remote }) => remote === null);
  }

  #pass(line: Line, signal: Signal, from: Sender): void {
    line.remote = signal.route[0];
    if (signal.type === 'hello') line.greeted = from.session;
    else if (signal.route[2] > 0) line.greeted = null;
    line.receiver.onSignal(signal, `${from.client}#${from.session}`);
  }

  #dismiss({ type, route: [sender, to] }: Signal, from: Sender): void {
    if (to === null || type === 'gone' || type === 'bye') return;
    const gone: Signal = { type: 'gone', route: [to, sender, 0, 0] };
    // Nobody waits for it.
    this.#client.send(`${from.client}#${from.session}`, SIGNAL_EVENT, gone).catch(() => {});
  }

  #lost(): void {
    for (const { receiver } of this.#lines) receiver.onResync();
  }
}

/**
 * Whether the signal comes from the end that the line talks to. What said no more than hello may talk on as the end of its session's
 * standing offer.
 */
function isOfLine({ remote, greeted }: Line, signal: Signal, from: Sender): boolean {
  if (remote === null || remote === signal.route[0]) return true;
  return signal.type === 'offer' && signal.standing === true && greeted === from.session;
}

/** Whether the remote id of a line, `bob` or `bob#<session>`, means this one. */
function isFrom({ client, session }: Sender, { remoteId }: LineInfo): boolean {
  return remoteId === client || remoteId === `${client}#${session}`;
}
