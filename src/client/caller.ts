// What rooms and the responder have of the client: to make calls, and to tell what no promise can.
import type { ClientFrame, Payload } from '../protocol/frame.js';
import type { EventName } from '../protocol/ids.js';
import type { CallFrame } from './call-queue.js';
import type { CallOptions } from './calls.js';
import type { AnswerTo } from './results.js';

/** A frame that carries data of the application. */
export type Carrier = Extract<CallFrame, { payload: Payload; event?: EventName }>;

export const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array() };

export interface Caller {
  call<Frame extends CallFrame>(frame: Frame, options?: CallOptions): Promise<AnswerTo<Frame>>;
  /** A call that carries data. */
  callWith<Frame extends Carrier>(
    data: unknown,
    frame: Frame,
    options?: CallOptions,
  ): Promise<AnswerTo<Frame>>;
  /** False where there is no connection. */
  readonly tryWrite: (frame: ClientFrame) => boolean;
  /** `printed` goes to the console where nobody listens to `error`. */
  readonly report: (error: unknown, printed?: unknown) => void;
}
