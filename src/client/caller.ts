// What rooms and the responder have of the client: to make calls, and to tell what no promise can.
import type { Payload } from '../protocol/frame.js';
import type { EventName } from '../protocol/ids.js';
import type { CallFrame, CallOptions } from './calls.js';

/** A frame that carries data of the application. */
export type Carrier = Extract<CallFrame, { payload: Payload; event?: EventName }>;

export const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array() };

/** Makes the result of an answer. */
export type Parse<Result> = (answer: unknown) => Result | Promise<Result>;

export interface Caller {
  call<Result>(frame: CallFrame, parse: Parse<Result>, options?: CallOptions): Promise<Result>;
  /** A call that carries data. */
  callWith<Result>(
    data: unknown,
    frame: Carrier,
    parse: Parse<Result>,
    options?: CallOptions,
  ): Promise<Result>;
  /** `printed` goes to the console where nobody listens to `error`. */
  readonly report: (error: unknown, printed?: unknown) => void;
}
