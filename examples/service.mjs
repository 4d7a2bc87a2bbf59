// Two processes that share the calls of a service, and a topic of it: node examples/service.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { gateway, token } from './gateway.mjs';

const url = await gateway();
const { Client } = await import('../dist/client/index.js');
const [, , role] = process.argv;

if (role !== undefined) {
  const client = new Client(url, { token: token(role, { services: { provide: ['square'] } }) });
  await client.connect();
  let served = 0;
  await client.provide('square', async (number) => {
    served++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.topic('square', 'done').publish('result', number * number);
    return number * number;
  });
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
  process.on('message', () => {
    console.log(`${role} (${process.pid}): ${served} calls`);
    client.close().then(() => process.exit(0));
  });
} else {
  const children = ['worker-1', 'worker-2'].map((name) => fork(new URL(import.meta.url), [name]));
  await Promise.all(children.map((child) => once(child, 'message')));
  const client = new Client(url, { token: token('customer', { services: { call: ['square'] } }) });
  await client.connect();
  let heard = 0;
  const topic = client.topic('square', 'done');
  topic.onMessage('result', () => heard++);
  const gone = new Promise((resolve) => {
    client.onOwner('square', (present) => present || resolve());
  });
  await topic.join();
  const squares = await Promise.all(Array.from({ length: 20 }, (_, i) => client.call('square', i)));
  console.log(`customer: the last square is ${squares.at(-1)}, and ${heard} were told in the topic`);
  // Nobody else writes there.
  await topic.publish('result', 0).catch(({ code }) => console.log(`customer: publish is ${code}`));
  for (const child of children) child.send('end');
  await gone;
  console.log('customer: nobody provides it any more');
  await client.call('square', 2).catch(({ code }) => console.log(`customer: square is ${code}`));
  await client.close();
  process.exit(0);
}
