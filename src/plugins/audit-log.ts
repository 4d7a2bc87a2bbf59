// The audit log: who came, went, joined, left and spoke, a line of JSON each; never what was said.
import { createWriteStream } from 'node:fs';
import type { PluginFactory, PluginSession } from '../plugin/plugin.js';

/** Bytes that wait for the disk; past it lines are dropped, and the next one says how many. */
const WAITING_LIMIT_BYTES = 4 * 1024 * 1024;

const auditLog: PluginFactory = async (context, options) => {
  const { file } = Object(options) as { file?: unknown };
  if (typeof file !== 'string') throw new TypeError('options.file must be the path of a file');
  // Each worker appends whole lines to the same file.
  const stream = createWriteStream(file, { flags: 'a' });
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => {
      resolve();
    });
    stream.once('error', reject);
  });
  let dropped = 0;
  stream.on('error', (error) => {
    context.log.error({ err: error }, 'the audit log cannot be written');
  });
  const write = (what: string, session: PluginSession, more: object = {}): void => {
    if (stream.writableLength > WAITING_LIMIT_BYTES) {
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
        stream.end(resolve);
      }),
  };
};
export default auditLog;
