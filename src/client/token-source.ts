// Where access tokens come from: a fixed string, or a function whose last answer is kept until it is used up.
import { GatewayError } from '../protocol/errors.js';

// What can stand in the Sec-WebSocket-Protocol header (RFC 9110 §5.6.2, less the marks that no JWT has).
const TOKEN = /^[\w.~-]+$/;
/** A token this close to its end is not worth a handshake, ms. */
const MARGIN_MS = 5_000;

export class TokenSource {
  #kept = '';
  #goodUntil = 0;

  constructor(
    private readonly source: string | (() => string | Promise<string>),
    private readonly now: () => number,
  ) {}

  /** A token that is good as far as is known. Rejects with `unavailable` where the function fails, `invalid_token` for no token. */
  async get(): Promise<string> {
    if (typeof this.source === 'string') return checked(this.source);
    return this.now() < this.#goodUntil ? this.#kept : this.renew();
  }

  async renew(): Promise<string> {
    if (typeof this.source === 'string')
      throw new GatewayError('token_expired', 'A fixed token cannot be refreshed.');
    let token: string;
    try {
      token = await this.source();
    } catch (cause) {
      throw new GatewayError('unavailable', 'The token function failed.', { cause });
    }
    // Good for one use until the gateway says for how long.
    this.#goodUntil = 0;
    this.#kept = checked(token);
    return this.#kept;
  }

  /** What the gateway says about the last token. */
  learn(expiresInMs: number): void {
    this.#goodUntil = this.now() + expiresInMs - MARGIN_MS;
  }

  /** The last token is used up, or was refused. Returns whether another one can be had. */
  forget(): boolean {
    this.#goodUntil = 0;
    return typeof this.source !== 'string';
  }
}

function checked(token: unknown): string {
  if (typeof token === 'string' && TOKEN.test(token)) return token;
  throw new GatewayError('invalid_token', 'That is not an access token.');
}
