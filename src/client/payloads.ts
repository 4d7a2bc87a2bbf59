// The application's data to payloads and back, in order, while the code that compresses may still be loading.
import { DEFLATED } from '../protocol/encoding.js';
import { GatewayError } from '../protocol/errors.js';
import type { Payload } from '../protocol/frame.js';
import { decodePayload, encodePayload } from '../protocol/payload.js';
import type { LoadingPayload } from './call.js';
import type * as compression from './compression.js';

type Compression = Pick<typeof compression, 'deflate' | 'inflate'>;

export interface PayloadSettings {
  codec: 'msgpack' | 'json';
  compressAboveBytes: number;
}

/** What to do with one received payload; both run in the order of arrival. */
export interface Receiver {
  onData(data: unknown): void;
  /** Always with a `code`: `bad_payload`, `too_big`, `queue_full`. */
  onFailure(error: unknown): void;
}

/** Below this an SDP or a candidate is not worth the dictionary, bytes. */
const SDP_THRESHOLD_BYTES = 100;
/** Most bytes that wait for the compression code; what comes beyond is refused with `queue_full`. */
const WAITING_LIMIT_BYTES = 8 * 1024 * 1024;

export class Payloads {
  #compression: Compression | null = null;
  #loading: Promise<Compression> | null = null;
  /** Received payloads behind the first that could not be inflated yet. */
  #waiting: (() => void)[] = [];
  #waitingBytes = 0;

  constructor(private readonly settings: PayloadSettings) {}

  /** @throws GatewayError `bad_payload` */
  encode(data: unknown): Payload | LoadingPayload {
    const payload = encodePayload(data, { codec: this.settings.codec });
    if (!this.#worthCompressing(data, payload)) return payload;
    if (this.#compression !== null) return this.#compression.deflate(payload);
    // The application may write into its bytes again before the code is there.
    const kept: Payload = { encoding: payload.encoding, data: payload.data.slice() };
    return {
      bytes: kept.data.byteLength,
      // Where the code cannot be loaded, the payload goes out as it is.
      ready: this.#load().then(
        ({ deflate }) => deflate(kept),
        () => kept,
      ),
    };
  }

  decode(payload: Payload, receiver: Receiver): void {
    if (this.#waiting.length === 0 && (this.#compression !== null || (payload.encoding & DEFLATED) === 0)) {
      this.#deliver(payload, receiver);
      return;
    }
    const bytes = payload.data.byteLength;
    if (this.#waitingBytes + bytes > WAITING_LIMIT_BYTES) {
      receiver.onFailure(
        new GatewayError('queue_full', 'Received too much while the compression code loads.'),
      );
      return;
    }
    this.#waitingBytes += bytes;
    this.#wait(() => this.#deliver(payload, receiver));
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
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        next();
        this.#waiting.shift();
      }
      this.#waitingBytes = 0;
    };
    this.#load().then(proceed, proceed);
  }

  #deliver(payload: Payload, receiver: Receiver): void {
    let data: unknown;
    try {
      data = decodePayload(payload, this.#compression === null ? {} : { inflate: this.#compression.inflate });
    } catch (error) {
      receiver.onFailure(error);
      return;
    }
    receiver.onData(data);
  }

  #worthCompressing(data: unknown, { data: { byteLength } }: Payload): boolean {
    const { compressAboveBytes } = this.settings;
    if (compressAboveBytes === Infinity) return false;
    return byteLength >= compressAboveBytes || (byteLength >= SDP_THRESHOLD_BYTES && isDescription(data));
  }

  #load(): Promise<Compression> {
    this.#loading ??= import('./compression.js').then(
      (loaded) => (this.#compression = loaded),
      (error: unknown) => {
        // The network may have been away; the next payload tries again.
        this.#loading = null;
        throw error;
      },
    );
    return this.#loading;
  }
}

/** An `RTCSessionDescription` or `RTCIceCandidate` by its fields. */
function isDescription(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  return (
    ('sdp' in data && typeof data.sdp === 'string') ||
    ('candidate' in data && typeof data.candidate === 'string')
  );
}
