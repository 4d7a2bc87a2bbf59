// Who answers requests: handlers by event, each request once; the code that answers is loaded for the first one.
import { PATIENT } from './call-options.js';
import type { Caller } from './caller.js';
import type { RequestHandler } from './events.js';
import type { LateCode } from './late-code.js';
import { isNewer } from './reader.js';
import type { Responder } from './responder.js';

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

  /** Once for each handle, in the order of the requests, also while the code that answers is on its way. */
  take(handle: string, run: (responder: Responder) => void): void {
    if (!isNewer(this.#seen, handle, 1, HANDLES_LIMIT)) return;
    const caller = this.#caller;
    this.#late.use(
      ({ Responder }) => run(new Responder(caller, this.#handlers, this.#exposeErrors)),
      (error) => {
        caller.report(error);
        // Nothing was executed: whoever asked may ask again. Written at once, because calls wait for the same code.
        const refusal = { type: 'reject', handle, code: 'unavailable', text: '' } as const;
        if (!caller.tryWrite(refusal))
          caller.call(PATIENT, (verbs, options) => verbs.call(refusal, options)).catch(caller.report);
      },
    );
  }
}
