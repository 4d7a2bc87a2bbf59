// The pairs of a client: asks others into one, decides when it is asked, holds them over new connections, and hears when they end.
import { type Code, CODES } from '../../protocol/codes.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { isText, pick } from '../../protocol/fields.js';
import type { PairingFrame, UnpairedFrame } from '../../protocol/frame.js';
import { type EventName, isPairId, isSessionId, type PairId, parseAddress } from '../../protocol/ids.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from '../../protocol/limits.js';
import { type DataOptions, PATIENT } from '../call-options.js';
import type { Sender } from '../events.js';
import { Pair, PAIR_PREFIX, type PairClient } from './pair.js';
import type { ServicesPort } from './services.js';

/** Options of `Client.pair`. */
export interface PairOptions extends DataOptions {
  /** For the other side's handler, to decide. */
  meta?: unknown;
  /** Longest wait for the other side's decision, ms; default 10 000, at most 120 000. */
  timeoutMs?: number;
}
/**
 * Decides on a pair that somebody asks for: returns what begins it, which gets the pair and sets its handlers at once; anything
 * else refuses. Where it throws it refuses too, with the code of a `GatewayError`.
 */
export type PairHandler = (
  from: Sender,
  meta: unknown,
) => PairBeginning | undefined | null | false | Promise<PairBeginning | undefined | null | false>;
/** Begins a pair that was accepted: sets its handlers. */
export type PairBeginning = (pair: Pair) => unknown;

export interface PairsPort extends Omit<ServicesPort, 'room'> {
  readonly client: PairClient & { readonly sessionId: string | null };
}

/** What being asked into a pair is called where its data are encoded and decoded; the frame has the pair's id there. */
const ASKED_EVENT = '~pair' as EventName;
const ASK_TIMEOUT_MS = 10_000;
/** What the end that asked says when it has its handlers. */
const READY = `${PAIR_PREFIX}~`;
/** Handles of offers that are remembered: one that is made again is decided once. */
const SEEN_LIMIT = 64;

export class Pairs {
  readonly #port: PairsPort;
  readonly #pairs = new Map<string, Pair>();
  readonly #seen = new Set<string>();
  /** What is to be done when a pair is over. */
  readonly #onOver = new Map<string, () => void>();
  #handler: PairHandler | null = null;

  constructor(port: PairsPort) {
    this.#port = port;
  }

  /** See `Client.pair`. */
  async ask(to: string, options: PairOptions = {}): Promise<Pair> {
    const { meta, timeoutMs = ASK_TIMEOUT_MS, ...others } = options;
    const answer = await this.#port.caller.call(
      others,
      (verbs, made, copy) => verbs.pair(to, ASKED_EVENT, copy, made),
      meta,
      Math.min(timeoutMs, REQUEST_TIMEOUT_LIMIT_MS),
    );
    const { pair: id, session } = pick<{ pair: PairId; session: string }>(answer, {
      pair: isPairId,
      session: isText,
    }) ?? { pair: null, session: '' };
    const client = parseAddress(to)?.client;
    if (id === null || client === undefined || !isSessionId(session)) throw new ProtocolError('bad_frame');
    const partner = { client, session };
    await this.#hold(id, partner);
    const pair = this.#begin(id, partner, Promise.resolve());
    // When the caller has had its turn to set handlers.
    this.#port.clock.after(0, () => {
      pair.send('~', null).catch(() => {});
    });
    return pair;
  }

  /** See `Client.onPair`. @throws TypeError where there is a handler */
  listen(handler: PairHandler): () => void {
    if (this.#handler !== null) throw new TypeError('There is a handler for pairs already.');
    this.#handler = handler;
    return () => {
      if (this.#handler === handler) this.#handler = null;
    };
  }

  asked(frame: PairingFrame): void {
    const { handle, event: id, from: client, session } = frame;
    if (this.#seen.has(handle)) return;
    this.#seen.add(handle);
    const [oldest] = this.#seen;
    if (this.#seen.size > SEEN_LIMIT && oldest !== undefined) this.#seen.delete(oldest);
    const { late, caller, decode } = this.#port;
    late.use(({ Responder }) => {
      const responder = new Responder(
        caller,
        new Map([[ASKED_EVENT, (meta: unknown) => this.#decide(id, { client, session }, meta)]]),
        this.#port.exposeErrors,
      );
      decode(
        { ...frame, event: ASKED_EVENT },
        (...message) => void responder.answer(handle, ...message),
        (error) => void responder.unreadable(handle, error),
      );
    }, caller.report);
  }

  unpaired({ pair, code }: UnpairedFrame): void {
    this.#over(pair, code);
  }

  /** A new connection of the same session. */
  resumed(): void {
    for (const [id, pair] of this.#pairs)
      this.#hold(id, pair.partner).catch((error: unknown) => {
        // Where it is not known whether it goes on, the gateway tells.
        if (error instanceof GatewayError && error.code === 'partner_gone') this.#over(id, 'partner_gone');
      });
  }

  /** The session is another one, or over: so are its pairs. */
  end(code: Code): void {
    for (const id of [...this.#pairs.keys()]) this.#over(id, code);
  }

  async #decide(id: string, from: Sender, meta: unknown): Promise<unknown> {
    if (this.#handler === null) throw new GatewayError('no_handler');
    const begin = await this.#handler(from, meta);
    if (typeof begin !== 'function')
      throw new GatewayError('rejected', 'The other side does not want a pair.');
    await this.#hold(id, from);
    const { client } = this.#port;
    const heard = new Promise<void>((resolve) => {
      const remove = client.onMessage(READY, (_, { session }) => {
        if (session !== from.session) return;
        remove();
        resolve();
      });
      this.#onOver.set(id, remove);
    });
    const pair = this.#begin(id, from, heard);
    const failed = (error: unknown): void => {
      this.#port.caller.report(error);
      void pair.close().catch(this.#port.caller.report);
    };
    try {
      const begun: unknown = begin(pair);
      if (begun instanceof Promise) begun.catch(failed);
    } catch (error) {
      failed(error);
      throw error;
    }
    return { pair: id, session: client.sessionId };
  }

  #begin(id: string, partner: Sender, heard: Promise<void>): Pair {
    const pair = new Pair(id, partner, {
      client: this.#port.client,
      heard,
      part: (over) => this.#part(over),
    });
    this.#pairs.set(id, pair);
    return pair;
  }

  #hold(id: string, { client, session }: Sender): Promise<void> {
    return this.#port.caller.call(PATIENT, (verbs, made) =>
      verbs.call({ type: 'holdPair', ref: 0, pair: id as PairId, to: `${client}#${session}` }, made),
    );
  }

  #part({ id, partner: { client, session } }: Pair): Promise<void> {
    this.#over(id, 'normal');
    return this.#port.caller.call(PATIENT, (verbs, made) =>
      verbs.call({ type: 'endPair', ref: 0, pair: id as PairId, to: `${client}#${session}` }, made),
    );
  }

  #over(id: string, code: Code): void {
    this.#onOver.get(id)?.();
    this.#onOver.delete(id);
    const pair = this.#pairs.get(id);
    this.#pairs.delete(id);
    pair?.over(code in CODES ? code : 'partner_gone');
  }
}
