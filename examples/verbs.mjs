// Every verb of a room and of streams, between three clients: node examples/verbs.mjs
import { gateway, token } from './gateway.mjs';

const url = await gateway();
const { Client } = await import('../dist/client/index.js');
const perm = {
  send: ['*'],
  streams: ['*'],
  rooms: { join: ['room'], publish: ['room'], presence: ['room'] },
};
const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(
  (name) => new Client(url, { token: token(name, perm) }),
);
const everybody = [alice, bob, carol];

/** Waits until as many as expected have told something, and prints it. */
function heard(title, expected) {
  const lines = [];
  let done;
  const all = new Promise((resolve) => (done = resolve));
  return {
    add: (line) => lines.push(line) === expected && done(),
    all: async () => {
      await all;
      console.log(`${title}: ${lines.sort().join(', ')}`);
    },
  };
}

await Promise.all(everybody.map((client) => client.connect()));

// A message, and one with an acknowledgement.
bob.onRequest('hello', (name) => name === 'alice');
console.log('hello, acknowledged:', await alice.request('bob', 'hello', 'alice'));

// Broadcast to everyone, without the sender.
const news = heard('broadcast', 2);
for (const client of everybody) client.onMessage('news', (text) => news.add(`${client.id} hears ${text}`));
await alice.broadcast('news', 'all');
await news.all();

// To one client, to several, to one session.
const direct = heard('sent', 3);
for (const client of everybody)
  client.onMessage('direct', (text) => direct.add(`${client.id} hears ${text}`));
await alice.send('bob', 'direct', 'one');
await alice.send(['carol'], 'direct', 'list');
await alice.send(`carol#${carol.sessionId}`, 'direct', 'session');
await direct.all();

// Rooms: to everybody in it, without the sender, without somebody.
await Promise.all(everybody.map((client) => client.room('room').join()));
const lines = heard('room', 3 + 2 + 1);
for (const client of everybody)
  client.room('room').onMessage('line', (text) => lines.add(`${client.id} hears ${text}`));
const room = alice.room('room');
await room.publish('line', 'with me');
await room.publish('line', 'without me', { self: false });
await room.publish('line', 'without me and bob', { self: false, except: ['bob'] });
await lines.all();

// Streams: what a listener returns is the acknowledgement.
for (const client of [bob, carol]) {
  client.onStream('image', async (stream, from, meta) => {
    let bytes = 0;
    for await (const chunk of stream.readable) bytes += chunk.length;
    return `${client.id} stored ${bytes} bytes of ${meta.name}`;
  });
}
async function pour(stream) {
  const writer = stream.writable.getWriter();
  for (let i = 0; i < 4; i++) await writer.write(new Uint8Array(50_000).fill(i));
  await writer.close();
  return stream.reply;
}
const meta = { name: 'copy.jpg' };
console.log('stream to one:', await pour(await alice.openStream('bob', 'image', { meta })));
const told = (results) =>
  results
    .map(({ data }) => data)
    .sort()
    .join(', ');
console.log('stream to a room:', told(await pour(await room.openStream('image', { meta }))));
console.log('stream to everybody:', told(await pour(await alice.openBroadcast('image', { meta }))));

// Leave one room, or all.
await bob.room('room').leave();
await carol.leaveAll();
console.log('left in the room:', (await room.members()).members.map(({ client }) => client).join(', '));
await Promise.all(everybody.map((client) => client.close()));
process.exit(0);
