// The audit log: who came, went, joined, left and spoke, a line of JSON each; never what was said.
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import type { PluginFactory, PluginSession } from '../plugin/plugin.js';

/** Bytes that wait for the disk; past it lines are dropped, and the next one says how many. */
const WAITING_LIMIT_BYTES = 4 * 1024 * 1024;
/** A file that could not be written is opened again after this long, ms. */
const REOPEN_MS = 1_000;

const auditLog: PluginFactory = async (context, options) => {
  const { file } = Object(options) as { file?: unknown };
  if (typeof file !== 'string') throw new TypeError('options.file must be the path of a file');
  let dropped = 0;
  let openedAt = 0;
  let stream: WriteStream;
  const open = (): WriteStream => {
    openedAt = performance.now();
    // Each worker appends whole lines to the same file.
    const opened = createWriteStream(file, { flags: 'a' });
    opened.on('error', (error) => {
      context.log.error({ err: error }, 'the audit log cannot be written');
    });
    return opened;
  };
  stream = open();
  await once(stream, 'open');
  const write = (what: string, session: PluginSession, more: object = {}): void => {
    // A disk that was full may have room again; a stream that failed once takes nothing any more.
    if (stream.destroyed && performance.now() - openedAt > REOPEN_MS) stream = open();
    if (stream.destroyed || stream.writableLength > WAITING_LIMIT_BYTES) {
      dropped++;
      return;
    }
    const { client, id, address } = session;
    const line = { at: new Date().toISOString(), what, client, session: id, address, ...more };
    stream.write(`${JSON.stringify(dropped === 0 ? line : { ...line, dropped })}\n`);
    dropped = 0;
  };
  return {
    opened(session, { resumed }) {
      write(resumed ? 'resumed' : 'connected', session);
    },
    closed(session, { code, over }) {
      write('disconnected', session, { code, over });
    },
    joined(session, room) {
      write('joined', session, { room });
    },
    left(session, room) {
      write('left', session, { room });
    },
    frameIn(session, frame) {
      if (frame.type === 'publish') write('published', session, { room: frame.room, event: frame.event });
      else if (frame.type === 'send' || frame.type === 'request')
        write(frame.type === 'send' ? 'sent' : 'requested', session, { to: frame.to, event: frame.event });
      else if (frame.type === 'broadcast') write('broadcast', session, { event: frame.event });
      return undefined;
    },
    close: () =>
      new Promise<void>((resolve) => {
        if (stream.destroyed) resolve();
        else stream.end(resolve);
      }),
  };
};
export default auditLog;
