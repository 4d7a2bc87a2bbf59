// Structured logs: one child per connection carries who it is; nothing secret and no payload ever goes in.
import { destination, type Logger, pino } from 'pino';
import type { Config } from './config.js';
import type { ClientId, SessionId } from './protocol/ids.js';

/** What may wait for a slow reader of the log, bytes; further lines are dropped and counted. */
const QUEUE_LIMIT_BYTES = 1024 * 1024;
/** POSIX's PIPE_BUF on Linux: the processes of a node share a pipe, and writes up to here do not mix there, bytes. */
const WRITE_LIMIT_BYTES = 4096;

/** @param base fields of every line: the node or the worker */
export function createLog(config: Config, base: Record<string, string>): Logger {
  // Asynchronous and bounded: a synchronous write to a pipe that nobody reads would stop the whole worker. Each line is
  // written at once, and what still waits when the process exits is written then.
  const stream = destination({
    dest: 1,
    sync: false,
    maxLength: QUEUE_LIMIT_BYTES,
    maxWrite: WRITE_LIMIT_BYTES,
  });
  const log = pino(
    {
      level: config.server.logLevel,
      base: { pid: process.pid, ...base },
      timestamp: pino.stdTimeFunctions.isoTime,
      // A second net: no code logs these, and a header object that slips in stays harmless.
      redact: ['token', '*.token', '*.authorization', '*.cookie', '*["sec-websocket-protocol"]'],
    },
    stream,
  );
  let dropped = 0;
  stream.on('drop', () => {
    dropped++;
  });
  stream.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    log.warn({ lines }, 'log lines were dropped: their reader was too slow');
  });
  // A full disk must not end the gateway: the line is lost, and nobody can be told.
  stream.on('error', () => undefined);
  return log;
}

export function connectionLogger(
  log: Logger,
  fields: { client: ClientId; session: SessionId; address: string },
): Logger {
  return log.child(fields);
}
