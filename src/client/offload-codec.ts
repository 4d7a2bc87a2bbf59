// The page's half of the codec of `offload: true`: data on their way to be encoded by the worker, and data that it has decoded.
import { GatewayError } from '../protocol/errors.js';
import type { Payload } from '../protocol/frame.js';
import { formOf, MIN_VALUES, pack, type Parcel, unpack } from './offload-forms.js';
import type { LoadingPayload } from './payload-encoder.js';
import type { ReadPayload } from './payloads.js';

export type EncodeTask = [kind: 'encode', id: number, parcel: Parcel];
export type EncodeReport =
  [kind: 'encoded', id: number, encoding: number, data: ArrayBuffer] | [kind: 'unencodable', id: number];

/** Most bytes that one worker encodes at a time; what comes beyond is encoded on the page, which so cannot run ahead of it. */
const ENCODING_LIMIT_BYTES = 8 * 1024 * 1024;

/** What the worker puts into a frame in place of its payload: what it encoded last. */
export interface Attachment {
  readonly id: number;
  readonly bytes: number;
}

interface Job {
  readonly bytes: number;
  resolve(payload: Payload): void;
  reject(error: GatewayError): void;
}

/** The worker, as far as it encodes. */
export interface EncodingPort {
  post(task: EncodeTask): void;
  /** Whether it still writes frames. */
  isOpen(): boolean;
}

/** What one worker has to encode. */
export class Encodings {
  readonly #port: EncodingPort;
  readonly #jobs = new Map<number, Job>();
  #bytes = 0;
  #last = 0;
  /** What the frame that is being written carries. */
  attached: Attachment | null = null;

  constructor(port: EncodingPort) {
    this.#port = port;
  }

  get isDone(): boolean {
    return this.#jobs.size === 0;
  }

  /** Null for what the page has to encode itself: what is too small to be worth it, what would not arrive as it is, and what nothing can encode. */
  start(data: unknown): LoadingPayload | null {
    const id = ++this.#last;
    let bytes: number;
    try {
      const form = formOf(data);
      if (form === null || form.values < MIN_VALUES || this.#bytes + form.bytes > ENCODING_LIMIT_BYTES)
        return null;
      ({ bytes } = form);
      this.#port.post(['encode', id, pack(data, form)]);
    } catch {
      // A getter threw, or the platform does not clone it after all.
      return null;
    }
    const ready = new Promise<Payload>((resolve, reject) => this.#jobs.set(id, { bytes, resolve, reject }));
    this.#bytes += bytes;
    // A call that fails by itself does not wait for it.
    ready.catch(() => {});
    return {
      bytes,
      ready,
      isAtHand: () => id === this.#last && this.#port.isOpen(),
      carry: (write) => {
        this.attached = { id, bytes };
        try {
          write();
        } finally {
          this.attached = null;
        }
      },
    };
  }

  take(report: EncodeReport): void {
    const job = this.#jobs.get(report[1]);
    if (job === undefined) return;
    this.#jobs.delete(report[1]);
    this.#bytes -= job.bytes;
    if (report[0] === 'encoded') job.resolve({ encoding: report[2], data: new Uint8Array(report[3]) });
    else job.reject(new GatewayError('bad_payload'));
  }

  /** The worker is gone, with what it had. */
  fail(): void {
    for (const job of this.#jobs.values()) job.reject(new GatewayError('unavailable'));
    this.#jobs.clear();
  }
}

/** Data that came decoded beside their frames, by the buffer of the frame. */
export class Decodings {
  readonly #parcels = new WeakMap<object, Parcel>();

  add(frame: object, parcel: Parcel): void {
    this.#parcels.set(frame, parcel);
  }

  /** `read`, but for payloads whose data are here. */
  reading(read: ReadPayload): ReadPayload {
    return (payload, ...rest) => {
      const { buffer } = payload.data;
      const parcel = this.#parcels.get(buffer);
      // A clone belongs to whom it is handed to.
      this.#parcels.delete(buffer);
      return parcel === undefined ? read(payload, ...rest) : unpack(parcel);
    };
  }
}
