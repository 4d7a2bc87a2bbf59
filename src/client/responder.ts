// Answers requests of other clients: one handler per event, each request executed at most once.
import { CODES, type Code } from '../protocol/codes.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import type { MessageInfo, RequestHandler, Sender } from './events.js';

export interface ResponderPort {
  reply(handle: string, result: unknown): Promise<void>;
  reject(handle: string, code: Code, text: string): Promise<void>;
  onFailure(error: unknown): void;
}

export interface IncomingRequest {
  handle: string;
  from: Sender;
  info: MessageInfo;
}

/** Handles that are remembered so that a request delivered again is not executed again. */
const HANDLES_LIMIT = 10_000;
/** Longest text of a rejection, characters; the protocol allows more, nobody reads more. */
const TEXT_LIMIT_CHARACTERS = 200;

export class Responder {
  readonly #handlers = new Map<string, RequestHandler<unknown, unknown>>();
  readonly #seen = new Set<string>();

  constructor(
    private readonly port: ResponderPort,
    private readonly exposeErrors: boolean,
  ) {}

  /** @throws TypeError where the event has a handler: two answers to one question make no sense */
  handle(event: string, handler: RequestHandler<unknown, unknown>): () => void {
    if (this.#handlers.has(event)) throw new TypeError(`There is a request handler for ${event} already.`);
    this.#handlers.set(event, handler);
    return () => {
      if (this.#handlers.get(event) === handler) this.#handlers.delete(event);
    };
  }

  /** True the first time that a handle is seen. */
  accept(handle: string): boolean {
    if (this.#seen.has(handle)) return false;
    this.#seen.add(handle);
    if (this.#seen.size > HANDLES_LIMIT) {
      for (const oldest of this.#seen) {
        this.#seen.delete(oldest);
        break;
      }
    }
    return true;
  }

  async answer({ handle, from, info }: IncomingRequest, data: unknown): Promise<void> {
    const handler = this.#handlers.get(info.event);
    try {
      if (handler === undefined) throw new GatewayError('no_handler');
      await this.port.reply(handle, await handler(data, from, info));
    } catch (error) {
      await this.refuse(handle, error);
    }
  }

  async refuse(handle: string, error: unknown): Promise<void> {
    const { code, text } = this.#rejection(error);
    // What a handler did not mean to throw is for this application's developer.
    if (code === 'rejected' && !isTyped(error)) this.port.onFailure(error);
    try {
      await this.port.reject(handle, code, text.slice(0, TEXT_LIMIT_CHARACTERS));
    } catch (failure) {
      // Closed before the answer: the asking side gets its time-out.
      if (!isTyped(failure) || failure.code !== 'closed') this.port.onFailure(failure);
    }
  }

  /** The text of an unforeseen error may tell a stranger about this application's inside: it stays here unless asked for. */
  #rejection(error: unknown): { code: Code; text: string } {
    if (isTyped(error)) {
      return { code: CODES[error.code].close === null ? error.code : 'rejected', text: error.message };
    }
    const text = this.exposeErrors && error instanceof Error ? error.message : CODES.rejected.text;
    return { code: 'rejected', text };
  }
}

function isTyped(error: unknown): error is GatewayError | ProtocolError {
  return error instanceof GatewayError || error instanceof ProtocolError;
}
