// An application that is told who comes and goes, and checks who tells it: node examples/webhooks.mjs
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { gateway, token } from './gateway.mjs';

const secret = process.env.WEBHOOK_SECRET ?? randomBytes(32).toString('hex');

function isFromGateway(headers, body) {
  const timestamp = headers['x-signalbox-timestamp'] ?? '';
  const given = Buffer.from(headers['x-signalbox-signature'] ?? '');
  const hmac = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
  const wanted = Buffer.from(`v1=${hmac}`);
  const isRecent = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return isRecent && given.length === wanted.length && timingSafeEqual(given, wanted);
}

// What was told before: the same event may come again where an answer was lost. A real one keeps this in its database.
const known = new Set();
const heard = [];

const application = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  if (!isFromGateway(request.headers, body)) {
    console.log('refused: not signed by the gateway');
    response.writeHead(401).end();
    return;
  }
  // Answered first: the gateway sends the next ones only then.
  response.writeHead(204).end();
  for (const event of JSON.parse(body.toString()).events) {
    if (known.has(event.id)) continue;
    known.add(event.id);
    heard.push(event.type);
    const lasted = event.sinceMs === undefined ? '' : ` after ${event.atMs - event.sinceMs} ms`;
    console.log(`${event.seq} ${event.type} ${event.client ?? event.room}${lasted}`);
  }
}).listen(0, '127.0.0.1');
await once(application, 'listening');
const url = `http://127.0.0.1:${application.address().port}/webhooks`;

// Anybody could find the address out.
await fetch(url, { method: 'POST', body: '{"events":[{"type":"connect"}]}' });

const options = { url, secret, debounceMs: 200 };
const address = await gateway({ PLUGINS: JSON.stringify([{ module: 'webhooks', options }]) });
const { Client } = await import('../dist/client/index.js');
const client = new Client(address, { token: token('ann') });
await client.connect();
await client.room('lobby').join();
const toldOf = async (...types) => {
  while (!types.every((type) => heard.includes(type)))
    await new Promise((resolve) => setTimeout(resolve, 20));
};
await toldOf('connect', 'occupied');
// Back within the debounce: nobody is told.
await client.room('lobby').leave();
await client.room('lobby').join();
await client.close();
await toldOf('disconnect', 'vacated');
console.log(`told ${heard.length} times`);
process.exit(0);
