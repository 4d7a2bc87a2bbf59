// The application's data to payloads and back, in order, while the code that compresses may still be loading.
import { DEFLATED } from '../protocol/encoding.js';
import { GatewayError } from '../protocol/errors.js';
import type { Payload } from '../protocol/frame.js';
import { decodePayload, encodePayload } from '../protocol/payload.js';
import { Lazy } from './lazy.js';

/** Below this an SDP or a candidate is not worth the dictionary, bytes. */
const SDP_THRESHOLD_BYTES = 100;
/** Most bytes that wait for the compression code; what comes beyond is refused with `queue_full`. */
const WAITING_LIMIT_BYTES = 8 * 1024 * 1024;

/** A payload that waits for the code that compresses it. */
export interface LoadingPayload {
  /** Its size before compression. */
  bytes: number;
  ready: Promise<Payload>;
}

export type EncodedPayload = Payload | LoadingPayload;

export class Payloads {
  readonly #compressAboveBytes: number;
  readonly #code = new Lazy(() => import('./compression.js'));
  /** Received payloads behind the first that could not be inflated yet. */
  readonly #waiting: (() => void)[] = [];
  #waitingBytes = 0;

  constructor(compressAboveBytes: number) {
    this.#compressAboveBytes = compressAboveBytes;
  }

  /** @throws GatewayError `bad_payload` */
  encode(data: unknown): EncodedPayload {
    const payload = encodePayload(data);
    const bytes = payload.data.length;
    const threshold = this.#compressAboveBytes;
    const isWorthIt = bytes >= threshold || (bytes >= SDP_THRESHOLD_BYTES && isDescription(data));
    if (threshold === Infinity || !isWorthIt) return payload;
    if (this.#code.loaded !== null) return this.#code.loaded.deflate(payload);
    // The application may write into its bytes again before the code is there.
    const kept: Payload = { ...payload, data: payload.data.slice() };
    return {
      bytes,
      // Where the code cannot be loaded, the payload goes out as it is.
      ready: this.#code.load().then(
        ({ deflate }) => deflate(kept),
        () => kept,
      ),
    };
  }

  /** Calls one of both, in the order of arrival; errors have the codes `bad_payload`, `too_big`, `queue_full`. */
  decode(payload: Payload, onData: (data: unknown) => void, onFailure: (error: unknown) => void): void {
    const deliver = (): void => {
      let data: unknown;
      try {
        data = decodePayload(payload, this.#code.loaded ?? {});
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

/** An `RTCSessionDescription` or `RTCIceCandidate` by its fields. */
function isDescription(data: unknown): boolean {
  return typeof data === 'object' && data !== null && ('sdp' in data || 'candidate' in data);
}
