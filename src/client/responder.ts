// Answers requests of other clients: one handler per event, each request executed at most once.
import { CODES, type Code } from '../protocol/codes.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import { PATIENT } from './call-options.js';
import type { Caller } from './caller.js';
import type { RequestHandler } from './events.js';

/** Longest text of a rejection, characters; the protocol allows more, nobody reads more. */
const TEXT_LIMIT_CHARACTERS = 200;

type Handler = RequestHandler<unknown, unknown>;

export class Responder {
  readonly #caller: Caller;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #exposeErrors: boolean;

  constructor(caller: Caller, handlers: ReadonlyMap<string, Handler>, exposeErrors: boolean) {
    this.#caller = caller;
    this.#handlers = handlers;
    this.#exposeErrors = exposeErrors;
  }

  async answer(handle: string, ...[data, from, info]: Parameters<Handler>): Promise<void> {
    const handler = this.#handlers.get(info.event);
    try {
      if (handler === undefined) throw new GatewayError('no_handler');
      const result = await handler(data, from, info);
      await this.#caller.call(
        PATIENT,
        (verbs, made, copy) => verbs.reply(handle, info.event, copy, made),
        result,
      );
    } catch (error) {
      await this.#refuse(handle, error);
    }
  }

  /** No handler can have the data: told here with their bytes, and to whoever asked by its code. */
  async unreadable(handle: string, error: unknown): Promise<void> {
    this.#caller.report(error);
    await this.#refuse(handle, error);
  }

  async #refuse(handle: string, error: unknown): Promise<void> {
    const { code, text } = this.#rejection(error);
    // What a handler did not mean to throw is for this application's developer.
    if (!isTyped(error)) this.#caller.report(error, `request rejected: ${String(error)}`);
    const frame = { type: 'reject', handle, code, text: text.slice(0, TEXT_LIMIT_CHARACTERS) } as const;
    await this.#caller
      .call(PATIENT, (verbs, options) => verbs.call(frame, options))
      .catch((failure: unknown) => {
        // Closed before the answer: the asking side gets its time-out.
        if (!isTyped(failure) || failure.code !== 'closed') this.#caller.report(failure);
      });
  }

  /** The text of an unforeseen error may tell a stranger about this application's inside: it stays here unless asked for. */
  #rejection(error: unknown): { code: Code; text: string } {
    if (isTyped(error)) {
      return { code: CODES[error.code].close === null ? error.code : 'rejected', text: error.message };
    }
    const text = this.#exposeErrors && error instanceof Error ? error.message : CODES.rejected.text;
    return { code: 'rejected', text };
  }
}

function isTyped(error: unknown): error is GatewayError | ProtocolError {
  return error instanceof GatewayError || error instanceof ProtocolError;
}
