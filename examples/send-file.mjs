// A file from one terminal to another: node examples/send-file.mjs receive bob downloads
// and in a second one:                 node examples/send-file.mjs send bob some-file
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { log, progress } from '@clack/prompts';
import { gateway, token } from './gateway.mjs';

const [verb, bob = 'bob', path = verb === 'send' ? undefined : '.'] = process.argv.slice(2);
if ((verb !== 'send' && verb !== 'receive') || path === undefined) {
  console.error(
    'node examples/send-file.mjs receive <name> [folder]\nnode examples/send-file.mjs send <name> <file>',
  );
  process.exit(2);
}
const url = await gateway();
const { Client } = await import('../dist/client/index.js');

/** Hashes what passes, and moves the bar; ends with the hash in hexadecimal. */
function watched(size, label) {
  const hash = createHash('sha256');
  const bar = progress({ max: Math.max(size, 1), indicator: 'timer' });
  bar.start(label);
  return {
    async *through(chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bar.advance(chunk.length);
        yield chunk;
      }
    },
    done() {
      const sum = hash.digest('hex');
      bar.stop(`${label}: SHA-256 ${sum}`);
      return sum;
    },
    failed: (error) => bar.error(`${label}: ${error.code ?? error.message}`),
  };
}

if (verb === 'receive') {
  // It takes streams and opens none.
  const client = new Client(url, { token: () => token(bob, {}) });
  await mkdir(path, { recursive: true });
  client.onStream('file', async ({ readable }, from, { name, size }) => {
    const watch = watched(size, `${basename(name)} from ${from.client}`);
    try {
      // A name from outside is no path, and writes over nothing that is there.
      const file = await open(join(path, basename(name)), 'wx');
      await pipeline(Readable.fromWeb(readable), watch.through, file.createWriteStream());
      // The sender's `reply`.
      return watch.done();
    } catch (error) {
      watch.failed(error);
      throw error;
    }
  });
  await client.connect();
  log.info(`${bob} takes files into ${path}; Ctrl+C ends`);
  process.on('SIGINT', () => void client.close().then(() => process.exit(0)));
} else {
  const alice = `sender-${process.pid}`;
  const client = new Client(url, { token: () => token(alice, { send: [bob], streams: [bob] }) });
  await client.connect();
  const { size } = await stat(path);
  const watch = watched(size, `${basename(path)} to ${bob}`);
  try {
    const stream = await client.openStream(bob, 'file', { meta: { name: basename(path), size } });
    await pipeline(createReadStream(path), watch.through, Writable.fromWeb(stream.writable));
    const sum = watch.done();
    const same = (await stream.reply) === sum;
    log[same ? 'success' : 'error'](same ? `${bob} has the same bytes` : `${bob} has other bytes`);
    process.exitCode = same ? 0 : 1;
  } catch (error) {
    watch.failed(error);
    process.exitCode = 1;
  }
  await client.close();
  process.exit();
}
