// The signals of a client where standing offers are in play: who took whose, and which of two ends goes on where both called.
import { pick } from '../../protocol/fields.js';
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import { standingMachine } from './crossing-negotiation.js';
import type { CrossingPort, Exchange } from './gateway-signaling.js';
import { isFor, isFrom, type Line, NOBODY, type Sender } from './line.js';
import type { Signal } from './signal.js';
import type { SignalingMechanism } from './signaling.js';
import type { RTCSignalingPeer } from './signaling-peer.js';
import type { Standing, TakenEnd } from './standing.js';

/** Most callers whose words wait, and most words of each: more are said again. */
const CALLERS_LIMIT = 8;
const WORDS_LIMIT = 8;
/** What a holder has said of its own call may come so much later than what its standing offer says, by the slower way, ms. */
const OVERTAKEN_MS = 2_000;

/** What it needs of the client's peers. */
export interface CrossingPeers {
  readonly all: ReadonlySet<RTCSignalingPeer>;
  /** Somebody takes calls: it is told of a peer with that end. */
  accept(from: Sender, end: TakenEnd): void;
}

interface Entry {
  readonly standing: Standing;
  /** The end that it was given to, as far as the gateway told, or that one itself. */
  taker: string | null;
  /** Its taker has another end of this client already. */
  isRefused: boolean;
}

interface Taken {
  readonly session: string;
  /** When the standing offer's end has first said something itself: its holder's own call is over by then. */
  spokeAt: number | null;
}

type Word = readonly [signal: Signal, from: Sender];

/**
 * A call is said to whoever is there (`to` null), and each end goes on with the first one that it hears of. So who has called somebody and hears
 * that this one has its standing offer does not know yet which of its two ends is heard there: the caller's words wait until one is addressed.
 */
export class Crossing implements CrossingPort {
  /** This client leaves standing offers, and says of its calls that they are: the gateway gives none to whom it calls. */
  isHolder = false;
  readonly #exchange: Exchange;
  readonly #environment: Environment;
  #peers: CrossingPeers | null = null;
  readonly #entries = new Map<string, Entry>();
  /** By the identity of who said them. */
  readonly #waiting = new Map<string, Word[]>();
  /** Whose standing offers were taken. */
  readonly #tookFrom = new WeakMap<Line, Taken>();
  /** Those to which their other end has said something: it goes on with them. */
  readonly #addressed = new WeakSet<Line>();

  /** The one of these signals. */
  static of(exchange: Exchange, environment = REAL_ENVIRONMENT): Crossing {
    const { crossing } = exchange;
    if (crossing instanceof Crossing) return crossing;
    return (exchange.crossing = new Crossing(exchange, environment));
  }

  private constructor(exchange: Exchange, environment: Environment) {
    this.#exchange = exchange;
    this.#environment = environment;
  }

  /** From now on this client leaves standing offers. */
  hold(peers: CrossingPeers): void {
    this.isHolder = true;
    this.#peers = peers;
  }

  /** Somebody was called and has not answered: it may be told of its call only now. */
  get isCalling(): boolean {
    return [...this.#exchange.lines].some(isUnanswered);
  }

  /** Who takes it has it from now on. */
  stand(standing: Standing): void {
    this.#entries.set(standing.id, { standing, taker: null, isRefused: false });
  }

  /** Nobody takes it any more. One that a peer was made of is not this object's to close. */
  withdraw({ id, connection }: Standing): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    if (entry.taker !== null) this.#waiting.delete(entry.taker);
    connection.close();
  }

  options({ route: [id, heard], ...body }: Signal, isVolatile: boolean): { standing?: string } {
    if (heard !== null) return {};
    // Who can cross an offer wants the one that may stand there.
    if (isVolatile && body.type === 'offer' && body.cross === true) return { standing: id };
    return this.isHolder ? { standing: '' } : {};
  }

  hears(signal: Signal | null, data: unknown, from: Sender, trace: string | null): boolean {
    if (signal === null) {
      if (typeof data === 'string' && trace !== null) this.#handedOut(data, trace);
      return true;
    }
    Object.assign(signal, marksOf(signal, data));
    const [, to] = signal.route;
    if (to !== null) return this.#isAddressed(signal, to, from);
    if (trace === null || signal.type !== 'offer' || signal.standing !== true)
      return this.#isCall(signal, from);
    this.#took(trace, signal, from);
    return true;
  }

  /** That end has it: the gateway handed it out. */
  #handedOut(id: string, taker: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.taker !== null) return;
    entry.taker = taker;
    entry.standing.onTaken();
  }

  /** What an end of this client asked for: the standing offer of whom it calls. */
  #took(id: string, signal: Signal, from: Sender): void {
    const [sender, , seq] = signal.route;
    const line = [...this.#exchange.lines].find(({ local, info }) => local === id && isFrom(from, info));
    const card: Signal = { ...signal, route: [sender, id, seq, 0] };
    // It has heard another end of that client first, and goes on with that.
    if (line === undefined || !isHeardFrom(line, sender)) return this.#exchange.dismiss(card, from);
    this.#tookFrom.set(line, { session: from.session, spokeAt: null });
    this.#exchange.pass(line, card, from);
  }

  /** To one end of this client, which its sender has heard of. */
  #isAddressed(signal: Signal, to: string, from: Sender): boolean {
    const [sender] = signal.route;
    const entry = this.#entries.get(to);
    if (entry !== undefined) {
      // Its words may be here before the gateway's.
      this.#handedOut(to, sender);
      // Nobody else has heard of it.
      if (entry.taker !== sender) return true;
      // It goes on with another one.
      if (signal.type === 'gone') this.#refuse(entry);
      else this.#begin(to, entry, signal, from);
      return true;
    }
    const line = [...this.#exchange.lines].find(({ local }) => local === to);
    if (line === undefined || !isFrom(from, line.info)) return false;
    // What it took was lost on its way to it, and cannot be honoured: as if there had been none.
    if (line.remote === null && signal.type === 'gone') {
      line.receiver.onResync();
      return true;
    }
    // It hears in a moment that its standing offer was taken, and goes on with that.
    if (!isHeardFrom(line, sender)) return this.#tookFrom.get(line)?.session === from.session;
    this.#addressed.add(line);
    // Said once more, because it was lost on its way.
    if (signal.type === 'offer' && signal.standing === true)
      this.#tookFrom.set(line, { session: from.session, spokeAt: null });
    const taken = this.#tookFrom.get(line);
    if (taken !== undefined) taken.spokeAt ??= this.#environment.now();
    // It was heard before the standing offer: what waits is for this end.
    for (const one of this.#entries.values()) if (one.taker === sender) this.#refuse(one);
    const words = this.#waiting.get(sender) ?? [];
    this.#waiting.delete(sender);
    for (const [word, source] of words) this.#exchange.receive(word, source);
    return false;
  }

  #refuse(entry: Entry): void {
    entry.isRefused = true;
    entry.standing.connection.close();
  }

  /** To whoever it is: true where it is not for the ends that there are, or waits. */
  #isCall(signal: Signal, from: Sender): boolean {
    const [sender] = signal.route;
    const lines = [...this.#exchange.lines].filter((line) => isFor(signal, from, line));
    if (lines.some(({ remote }) => remote === sender)) return false;
    // It called, too, before it heard that its standing offer was taken, with which its call goes on.
    if (lines.some((line) => this.#awaitsOwnCall(line, from))) return true;
    const own = lines.find(isUnanswered);
    const [id, entry] = [...this.#entries].find(([, { taker }]) => taker === sender) ?? [null, null];
    if (entry === null) return false;
    if (entry.isRefused || own !== undefined) this.#wait(sender, [signal, from]);
    else this.#begin(id, entry, signal, from);
    return true;
  }

  /** Later it calls again, before it has been heard that the last call is over. */
  #awaitsOwnCall(line: Line, { session }: Sender): boolean {
    const taken = this.#tookFrom.get(line);
    if (taken?.session !== session) return false;
    return taken.spokeAt === null || this.#environment.now() - taken.spokeAt < OVERTAKEN_MS;
  }

  #wait(sender: string, word: Word): void {
    const words = this.#waiting.get(sender) ?? [];
    if (words.length < WORDS_LIMIT) words.push(word);
    this.#waiting.set(sender, words);
    const [oldest] = this.#waiting.keys();
    if (oldest !== undefined && this.#waiting.size > CALLERS_LIMIT) this.#waiting.delete(oldest);
  }

  /** The end of a standing offer is made when its taker's call is there: something else may come before it. */
  #begin(id: string, entry: Entry, signal: Signal, from: Sender): void {
    const [sender] = signal.route;
    this.#wait(sender, [signal, from]);
    const words = this.#waiting.get(sender) ?? [];
    const call = words.find(([word]) => word.type === 'offer' && word.cross === true)?.[0];
    if (call === undefined || entry.isRefused) return;
    this.#waiting.delete(sender);
    this.#entries.delete(id);
    const { standing } = entry;
    // Browsers close some by themselves, as those of a page that is put aside. Who takes calls under a name has a configuration of its own.
    const isUsable = standing.connection.signalingState !== 'closed' && (call.name ?? '') === '';
    // A call that was refused before it was known to take the offer is no second one.
    if (isUsable && !this.#exchange.isOver(sender)) this.#open(standing, sender, from);
    const lines = [...this.#exchange.lines];
    const line = lines.find(({ local }) => local === id);
    if (line !== undefined) {
      for (const [word, source] of words) this.#exchange.pass(line, word, source);
      return;
    }
    standing.connection.close();
    // Who took it has its answer and would wait for the connection.
    this.#exchange.dismiss({ ...call, route: [sender, id, 0, 0] }, from);
    // And one that was made when it greeted would wait for its end, which is over then.
    const greeted = lines.find(({ remote }) => remote === sender);
    if (greeted !== undefined)
      this.#exchange.pass(greeted, { type: 'gone', route: [sender, greeted.local, 0, 0] }, from);
  }

  /** The peer that there is goes on with it, if nothing was ever said to that alone; else somebody calls. */
  #open(standing: Standing, taker: string, from: Sender): void {
    const end = this.#endOf(standing, taker, from);
    const { lines } = this.#exchange;
    for (const peer of this.#peers?.all ?? []) {
      const line = [...lines].find(({ receiver }) => receiver === peer.receiver);
      if (line === undefined || line.info.name !== '' || !isFrom(from, line.info)) continue;
      if (this.#addressed.has(line) || !isHeardFrom(line, taker)) continue;
      // Nobody is told that its end is over.
      lines.delete(line);
      if (line.retry !== null) clearTimeout(line.retry);
      line.receiver = NOBODY;
      peer.moveTo(end);
      return end.begin();
    }
    this.#peers?.accept(from, end);
  }

  #endOf(standing: Standing, taker: string, from: Sender): TakenEnd {
    const { id, connection, foundLater } = standing;
    return {
      connection,
      signaling: this.#mechanismOf(standing),
      crossing: (own) => standingMachine(own, standing.first),
      begin: () => {
        const line = [...this.#exchange.lines].find(({ local }) => local === id);
        // It speaks to its taker alone.
        if (line !== undefined) this.#exchange.pass(line, { type: 'ack', route: [taker, id, 0, 0] }, from);
        connection.dispatchEvent(new Event('negotiationneeded'));
        for (const candidate of [...foundLater])
          connection.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate }));
      },
    };
  }

  /** What it says first its taker has from the gateway; lost on the way, it is said again. */
  #mechanismOf({ id }: Standing): SignalingMechanism {
    return {
      id,
      connect: (info, receiver) => {
        const line = this.#exchange.connect(info, receiver);
        for (const one of this.#exchange.lines) if (one.receiver === receiver) one.local = id;
        let isGiven = true;
        return {
          ...line,
          send: (signal, to, isSure) => {
            if (!isGiven) line.send(signal, to, isSure);
            isGiven = false;
          },
        };
      },
    };
  }
}

function isUnanswered({ local, remote }: Line): boolean {
  return local !== null && remote === null;
}

function isHeardFrom({ remote }: Line, sender: string): boolean {
  return remote === null || remote === sender;
}

function isMark(value: unknown): value is true | undefined {
  return value === undefined || value === true;
}

function marksOf({ type }: Signal, data: unknown): { cross?: true; standing?: true } {
  if (type !== 'offer') return {};
  return pick<{ cross?: true; standing?: true }>(data, { cross: isMark, standing: isMark }) ?? {};
}
