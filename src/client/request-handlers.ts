// Who answers requests: handlers by event, each request once; the code that answers is loaded for the first one.
import { GatewayError } from '../protocol/errors.js';
import type { Caller } from './caller.js';
import { PATIENT } from './calls.js';
import type { RequestHandler } from './events.js';
import type { LateCode } from './late-code.js';
import { isNewer } from './reader.js';
import type { Responder } from './responder.js';
import { nothing } from './results.js';

/** Handles that are remembered so that a request delivered again is not executed again. */
const HANDLES_LIMIT = 10_000;

type Handler = RequestHandler<unknown, unknown>;

export class RequestHandlers {
  readonly #caller: Caller;
  readonly #late: LateCode;
  readonly #exposeErrors: boolean;
  readonly #handlers = new Map<string, Handler>();
  readonly #seen = new Map<string, number>();

  constructor(caller: Caller, late: LateCode, exposeErrors: boolean) {
    this.#caller = caller;
    this.#late = late;
    this.#exposeErrors = exposeErrors;
  }

  /** @throws TypeError where the event has a handler: two answers to one question make no sense */
  handle(event: string, handler: Handler): () => void {
    if (this.#handlers.has(event)) throw new TypeError(`There is a request handler for ${event} already.`);
    this.#handlers.set(event, handler);
    return () => {
      if (this.#handlers.get(event) === handler) this.#handlers.delete(event);
    };
  }

  /** True the first time that a handle is seen. */
  accept(handle: string): boolean {
    return isNewer(this.#seen, handle, 1, HANDLES_LIMIT);
  }

  answer(handle: string, ...message: Parameters<Handler>): void {
    const handler = this.#handlers.get(message[2].event);
    this.#respond(handle, (responder) => responder.answer(handler, handle, ...message));
  }

  refuse(handle: string, error: unknown): void {
    this.#respond(handle, (responder) => responder.refuse(handle, error));
  }

  /** In the order of the requests, also while the code is on its way. */
  #respond(handle: string, run: (responder: Responder) => Promise<void>): void {
    const caller = this.#caller;
    this.#late.use(
      ({ Responder }) => void run(new Responder(caller, this.#exposeErrors)),
      (cause) => {
        caller.report(new GatewayError('unavailable', undefined, { cause }));
        // Nothing was executed: whoever asked may ask again.
        caller
          .call({ type: 'reject', handle, code: 'unavailable', text: '' }, nothing, PATIENT)
          .catch(caller.report);
      },
    );
  }
}
