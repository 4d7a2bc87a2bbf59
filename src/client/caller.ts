// What rooms and the responder have of the client: to make calls, and to tell what no promise can.
import type { ClientFrame } from '../protocol/frame.js';
import type { CallOptions, Made } from './call-options.js';
import type { Verbs } from './verbs.js';

/** How a call is made with the code for it. `data` are those of the application, as they were when it made the call. */
export type Make<Options extends CallOptions, Result> = (
  verbs: Verbs,
  options: Made<Options>,
  data: unknown,
) => Promise<Result>;

export interface Caller {
  /** `timeoutMs`: the longest wait. */
  call<Options extends CallOptions & { volatile?: boolean }, Result>(
    options: Options | undefined,
    make: Make<Options, Result>,
    data?: unknown,
    timeoutMs?: number,
  ): Promise<Result>;
  /** False where there is no connection. */
  readonly tryWrite: (frame: ClientFrame) => boolean;
  /** `printed` goes to the console where nobody listens to `error`. */
  readonly report: (error: unknown, printed?: unknown) => void;
}
