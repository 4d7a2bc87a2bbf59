// A producer that has a consumer for itself, and a stream to it at its pace: node examples/pair.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { gateway, token } from './gateway.mjs';

const LINES = 20;
const url = await gateway();
const { Client } = await import('../dist/client/index.js');
const connect = async (name, other) => {
  const perm = { send: [other], streams: [other], list: [other] };
  const client = new Client(url, { token: token(name, perm) });
  await client.connect();
  return client;
};

if (process.argv[2] === 'consumer') {
  const client = await connect('consumer', 'producer');
  let over;
  await client.onPair((from, meta) => {
    console.log(`consumer (${process.pid}): ${from.client} asks for a pair, for ${meta}`);
    return (pair) => {
      pair.onMessage('greeting', (text) => console.log(`consumer: ${text}`));
      pair.onRequest('count', () => LINES);
      pair.onStream('lines', async ({ readable }) => {
        let lines = 0;
        for await (const line of readable) {
          // It takes its time, and the producer waits.
          await new Promise((resolve) => setTimeout(resolve, 10));
          if (++lines % 5 === 0) console.log(`consumer: ${line.slice(0, 40)}`);
        }
        return lines;
      });
      over = pair.closed.then(({ code }) => console.log(`consumer: the pair is over, ${code}`));
    };
  });
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
  process.on('message', async () => {
    // The producer may know it sooner.
    await over;
    await client.close();
    process.exit(0);
  });
} else {
  const child = fork(new URL(import.meta.url), ['consumer']);
  await once(child, 'message');
  const client = await connect('producer', 'consumer');
  const free = async () => (await client.available()).clients.join() || 'nobody';
  console.log(`producer (${process.pid}): free is ${await free()}`);
  const pair = await client.pair('consumer', { meta: 'twenty long lines' });
  console.log(`producer: free is ${await free()}`);
  // Who is in a pair can be in no other one.
  await client.pair('consumer').catch(({ code }) => console.log(`producer: a second pair is ${code}`));
  // Without an acknowledgement, with one, and a stream with its answer.
  await pair.send('greeting', 'hello, nobody else hears this');
  const wanted = await pair.request('count', null);
  const { writable, reply } = await pair.openStream('lines', { sendBufferBytes: 64 * 1024 });
  const writer = writable.getWriter();
  for (let line = 1; line <= wanted; line++) {
    await writer.ready;
    await writer.write(`line ${line} of ${wanted}, a very l${'o'.repeat(20_000)}ng one`);
  }
  await writer.close();
  console.log(`producer: the consumer has read ${await reply} lines`);
  await pair.close();
  console.log(`producer: free is ${await free()}`);
  const ended = once(child, 'exit');
  child.send('end');
  await ended;
  await client.close();
  process.exit(0);
}
