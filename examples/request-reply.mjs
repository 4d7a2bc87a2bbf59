// Request and reply between two Node processes: node examples/request-reply.mjs
import { fork } from 'node:child_process';
import { gateway, token } from './gateway.mjs';

const url = await gateway();
const { Client } = await import('../dist/client/index.js');

if (process.argv[2] === 'calculator') {
  const client = new Client(url, { token: token('calculator', { send: ['customer-*'] }) });
  client.onRequest('sum', (numbers, from) => {
    console.log(`calculator (${process.pid}): ${from.client} wants the sum of ${numbers.length} numbers`);
    return numbers.reduce((sum, number) => sum + number, 0);
  });
  await client.connect();
  process.send('ready');
  process.on('message', () => client.close().then(() => process.exit(0)));
} else {
  const child = fork(new URL(import.meta.url), ['calculator']);
  await new Promise((resolve) => child.once('message', resolve));
  const client = new Client(url, { token: token('customer-1', { send: ['calculator'] }) });
  await client.connect();
  console.log(
    `customer-1 (${process.pid}): 1 + 2 + … + 100 =`,
    await client.request(
      'calculator',
      'sum',
      Array.from({ length: 100 }, (_, i) => i + 1),
    ),
  );
  // What the token does not permit looks like a client that does not exist.
  await client
    .request('somebody-else', 'sum', [])
    .catch(({ code }) => console.log(`customer-1: somebody-else is ${code}`));
  await client
    .request('calculator', 'product', [])
    .catch(({ code }) => console.log(`customer-1: product has ${code}`));
  child.send('end');
  await client.close();
  process.exit(0);
}
