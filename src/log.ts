// Structured logs: one child per connection carries who it is; nothing secret and no payload ever goes in.
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';
import { LogWriter } from './log-writer.js';
import type { ClientId, SessionId } from './protocol/ids.js';

/**
 * @param base fields of every line: the node or the worker
 * @param countDropped told of lines that could not be written
 */
export function createLog(
  config: Config,
  base: Record<string, string>,
  countDropped?: (lines: number) => void,
): Logger {
  // Not pino's own destination: synchronous it stops with its reader, and asynchronous it tries for ever to write what
  // is left to a full disk at exit (sonic-boom 4.2).
  const tellDropped = (lines: number): void => {
    log.warn({ lines }, 'log lines were dropped: they could not be written as fast as they came');
  };
  const writer = new LogWriter(1, tellDropped, countDropped);
  process.once('exit', () => {
    writer.flushSync();
  });
  const log = pino(
    {
      level: config.server.logLevel,
      base: { pid: process.pid, ...base },
      timestamp: pino.stdTimeFunctions.isoTime,
      // A second net: no code logs these, and a header object that slips in stays harmless.
      redact: ['token', '*.token', '*.authorization', '*.cookie', '*["sec-websocket-protocol"]'],
    },
    writer,
  );
  return log;
}

export function connectionLogger(
  log: Logger,
  fields: { client: ClientId; session: SessionId; address: string },
): Logger {
  return log.child(fields);
}
