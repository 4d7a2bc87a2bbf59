// What rooms and the responder have of the client: to make calls, and to tell what no promise can.
import type { ClientFrame } from '../protocol/frame.js';
import type { CallOptions, Made, MessageCallOptions } from './call-options.js';
import type { EncodedPayload } from './payloads.js';
import type { Verbs } from './verbs.js';

export interface Caller {
  call<Options extends CallOptions, Result>(
    options: Options | undefined,
    make: (verbs: Verbs, options: Made<Options>) => Promise<Result>,
  ): Promise<Result>;
  /** A call that carries data. */
  callWith<Options extends MessageCallOptions, Result>(
    data: unknown,
    options: Options | undefined,
    make: (verbs: Verbs, options: Made<Options>, payload: EncodedPayload) => Promise<Result>,
    /** Longest wait, ms. */
    timeoutMs?: number,
  ): Promise<Result>;
  /** False where there is no connection. */
  readonly tryWrite: (frame: ClientFrame) => boolean;
  /** `printed` goes to the console where nobody listens to `error`. */
  readonly report: (error: unknown, printed?: unknown) => void;
}
