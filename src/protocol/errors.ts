// The two error classes: the peer broke the protocol, or the gateway (or the network) could not do it.
import { CODES, type Code } from './codes.js';

/**
 * The other side's fault: bytes or fields that the protocol forbids. `code` is a name of the code table;
 * `ref` is the reference of the refused call, 0 where the frame had none that could be read.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly ref: number;
  /** Of a payload that could not be read: its codec, 0–15, … */
  codec?: number;
  /** … and its bytes, inflated; a copy. */
  data?: Uint8Array;
  constructor(
    readonly code: Code,
    message: string = CODES[code].text,
    options: ErrorOptions & { ref?: number } = {},
  ) {
    super(message, options);
    this.ref = options.ref ?? 0;
  }
}

/** Not the caller's fault, or a refusal: `code` is a name of the code table. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  constructor(
    readonly code: Code,
    message: string = CODES[code].text,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
