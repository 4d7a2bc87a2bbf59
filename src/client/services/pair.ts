// One end of a pair: messages and requests that come from the partner alone, streams, and the end of it, once.
import type { Code } from '../../protocol/codes.js';
import { GatewayError } from '../../protocol/errors.js';
import type { RequestOptions, SendOptions } from '../call-options.js';
import type { MessageHandler, RequestHandler, Sender } from '../events.js';
import type { SendResult } from '../results.js';
import type { OnStreamOptions, OpenStreamOptions, StreamHandler } from '../streams/streams.js';
import type { Stream } from '../streams/stream.js';

/** Events and streams of pairs have names of their own; a pair's are one character shorter than six below the limit. */
export const PAIR_PREFIX = '~pair/';

/** As much of a `Client` as a pair needs. */
export interface PairClient {
  send(to: string, event: string, data: unknown, options?: SendOptions): Promise<SendResult>;
  request(to: string, event: string, data: unknown, options?: RequestOptions): Promise<unknown>;
  openStream(to: string, name: string, options?: OpenStreamOptions): Promise<Stream>;
  onMessage(event: string, handler: MessageHandler<unknown>): () => void;
  onRequest(event: string, handler: RequestHandler<unknown, unknown>): () => void;
  onStream(name: string, handler: StreamHandler, options?: OnStreamOptions): () => void;
}

export interface PairHost {
  readonly client: PairClient;
  /** Has the gateway end it; resolves when both are free. */
  readonly part: (pair: Pair) => Promise<void>;
  /** The partner has its handlers: what is said before nobody would hear. */
  readonly heard: Promise<void>;
}

/** A pair with one session of another client: nobody else can have either of the two clients for a pair while it lasts. */
export class Pair {
  /** Resolves with the reason when the pair is over: `normal` where either end ended it, `partner_gone`, or what ended this client. */
  readonly closed: Promise<{ code: Code }>;
  readonly #host: PairHost;
  readonly #removers: (() => void)[] = [];
  #isOver = false;
  #resolve: (end: { code: Code }) => void = () => {};
  #parting: Promise<void> | null = null;

  /** @internal made by `client.pair` and `client.onPair` */
  constructor(
    /** Names this pair for both ends. */
    readonly id: string,
    /** The other end. */
    readonly partner: Sender,
    host: PairHost,
  ) {
    this.#host = host;
    this.closed = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** A message to the partner: resolves when it is accepted, with `delivered: true` when its handler has it; see `Client.send`. */
  async send(event: string, data: unknown, options?: SendOptions): Promise<SendResult> {
    const to = await this.#ready();
    return this.#host.client.send(to, PAIR_PREFIX + event, data, options);
  }

  /** A message with an acknowledgement: what the partner's handler returns; see `Client.request`. */
  async request(event: string, data: unknown, options?: RequestOptions): Promise<unknown> {
    const to = await this.#ready();
    return this.#host.client.request(to, PAIR_PREFIX + event, data, options);
  }

  /** See `Client.openStream`. */
  async openStream(name: string, options?: OpenStreamOptions): Promise<Stream> {
    const to = await this.#ready();
    return this.#host.client.openStream(to, PAIR_PREFIX + name, options);
  }

  /** Calls `handler` for each message of `event` from the partner. Returns a function that removes it. */
  onMessage(event: string, handler: MessageHandler<unknown>): () => void {
    return this.#keep(
      this.#host.client.onMessage(PAIR_PREFIX + event, (data, from, info) => {
        if (this.#isPartner(from)) return handler(data, from, { ...info, event });
      }),
    );
  }

  /** Answers requests for `event` of the partner. Returns a function that removes the handler. @throws TypeError where it has one */
  onRequest(event: string, handler: RequestHandler<unknown, unknown>): () => void {
    return this.#keep(
      this.#host.client.onRequest(PAIR_PREFIX + event, (data, from, info) => {
        if (!this.#isPartner(from)) throw new GatewayError('no_handler');
        return handler(data, from, { ...info, event });
      }),
    );
  }

  /** Takes streams of the partner; see `Client.onStream`. Returns a function that removes the handler. */
  onStream(name: string, handler: StreamHandler, options?: OnStreamOptions): () => void {
    return this.#keep(
      this.#host.client.onStream(
        PAIR_PREFIX + name,
        (stream, from, meta) => {
          if (!this.#isPartner(from)) throw new GatewayError('no_handler');
          return handler(stream, from, meta);
        },
        options,
      ),
    );
  }

  /** Ends the pair. Resolves when both are free; idempotent. */
  close(): Promise<void> {
    if (this.#isOver) return this.#parting ?? Promise.resolve();
    this.over('normal');
    return (this.#parting = this.#host.part(this));
  }

  /** @internal */
  over(code: Code): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const remove of this.#removers.splice(0)) remove();
    this.#resolve({ code });
  }

  async #ready(): Promise<string> {
    await Promise.race([this.#host.heard, this.closed]);
    if (this.#isOver) throw new GatewayError('partner_gone');
    return `${this.partner.client}#${this.partner.session}`;
  }

  #isPartner({ client, session }: Sender): boolean {
    return !this.#isOver && client === this.partner.client && session === this.partner.session;
  }

  #keep(remove: () => void): () => void {
    if (this.#isOver) remove();
    else this.#removers.push(remove);
    return remove;
  }
}
