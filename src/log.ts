// Structured logs: one child per connection carries who it is; nothing secret and no payload ever goes in.
import { destination, type Logger, pino } from 'pino';
import type { Config } from './config.js';
import type { ClientId, SessionId } from './protocol/ids.js';

/** @param base fields of every line: the node or the worker */
export function createLog(config: Config, base: Record<string, string>): Logger {
  return pino(
    {
      level: config.server.logLevel,
      base: { pid: process.pid, ...base },
      timestamp: pino.stdTimeFunctions.isoTime,
      // A second net: no code logs these, and a header object that slips in stays harmless.
      redact: ['token', '*.token', '*.authorization', '*.cookie', '*["sec-websocket-protocol"]'],
    },
    // Synchronous: what a dying process says is the most important line, and connections log only at debug.
    destination({ fd: 1, sync: true }),
  );
}

export function connectionLogger(
  log: Logger,
  fields: { client: ClientId; session: SessionId; address: string },
): Logger {
  return log.child(fields);
}
