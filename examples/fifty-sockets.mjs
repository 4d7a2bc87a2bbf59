// Fifty sockets of a page at once, all of which hear everything: node examples/fifty-sockets.mjs [how many]
import { gateway, token } from './gateway.mjs';

const count = Number(process.argv[2] ?? 50);
const url = await gateway({
  CONNECTIONS_PER_ADDRESS_LIMIT: String(2 * count),
  SESSIONS_PER_CLIENT_LIMIT: String(count),
});
const { Client } = await import('../dist/client/index.js');

// One client with fifty sessions, as one user with fifty tabs.
const access = token('visitor', { send: ['visitor'] });
const sockets = Array.from({ length: count }, () => new Client(url, { token: access }));
let heard = 0;
const all = new Promise((resolve) => {
  for (const socket of sockets) socket.onMessage('hello', () => ++heard === count && resolve());
});
const begun = performance.now();
await Promise.all(sockets.map((socket) => socket.connect()));
console.log(`${count} sockets connected in ${Math.round(performance.now() - begun)} ms`);
await sockets[0].send('visitor', 'hello', 'all of you');
await all;
console.log(`${heard} of ${count} heard one message`);
await Promise.all(sockets.map((socket) => socket.close()));
process.exit(0);
