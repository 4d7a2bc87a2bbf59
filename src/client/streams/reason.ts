// Why a stream ends, as the other side is told.
import { type Code, CODES } from '../../protocol/codes.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';

/** The code of what an application aborts with. */
export function codeOf(reason: unknown): Code {
  const isTyped = reason instanceof GatewayError || reason instanceof ProtocolError;
  // What ends a connection is no word between two applications.
  return isTyped && CODES[reason.code].close === null ? reason.code : 'aborted';
}

export function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message.slice(0, 200) : '';
}
