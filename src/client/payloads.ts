// Received payloads to data, in order, while the code that inflates may still be loading.
import { DEFLATED } from '../protocol/encoding.js';
import { GatewayError } from '../protocol/errors.js';
import type { Payload } from '../protocol/frame.js';
import type { Serializers } from '../protocol/serializers.js';
import type * as compression from './compression.js';
import type { Lazy } from './lazy.js';

/** Most bytes that wait for the compression code; what comes beyond is refused with `queue_full`. */
const WAITING_LIMIT_BYTES = 8 * 1024 * 1024;

export type CompressionCode = Lazy<typeof compression>;

export type ReadPayload = Serializers['decode'];

export class Payloads {
  readonly #code: CompressionCode;
  readonly #settings: { readonly read: ReadPayload };
  /** Received payloads behind the first that could not be inflated yet. */
  readonly #waiting: (() => void)[] = [];
  #waitingBytes = 0;

  constructor(code: CompressionCode, settings: { readonly read: ReadPayload }) {
    this.#code = code;
    this.#settings = settings;
  }

  /**
   * Calls one of both, in the order of arrival; errors have the codes `bad_payload`, `unknown_encoding`, `too_big`, `queue_full`.
   * `reply`: whether it is the answer to what `event` names.
   */
  decode(
    payload: Payload,
    onData: (data: unknown) => void,
    onFailure: (error: unknown) => void,
    event: string,
    reply?: boolean,
  ): void {
    const deliver = (): void => {
      let data: unknown;
      try {
        data = this.#settings.read(payload, this.#code.loaded, event, reply);
      } catch (error) {
        onFailure(error);
        return;
      }
      onData(data);
    };
    const isLoaded = this.#code.loaded !== null || (payload.encoding & DEFLATED) === 0;
    if (isLoaded && this.#waiting.length === 0) return deliver();
    const bytes = this.#waitingBytes + payload.data.length;
    if (bytes > WAITING_LIMIT_BYTES) return this.#wait(() => onFailure(new GatewayError('queue_full')));
    this.#waitingBytes = bytes;
    this.#wait(deliver);
  }

  /** Runs after the payloads that arrived before. */
  inOrder(run: () => void): void {
    if (this.#waiting.length === 0) run();
    else this.#wait(run);
  }

  #wait(run: () => void): void {
    // While the queue runs it is not empty, so that what arrives in between stays behind it.
    if (this.#waiting.push(run) > 1) return;
    const proceed = (): void => {
      for (; this.#waiting.length > 0; this.#waiting.shift()) this.#waiting[0]?.();
      this.#waitingBytes = 0;
    };
    this.#code.load().then(proceed, proceed);
  }
}
