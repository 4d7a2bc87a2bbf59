// Starts a Redis of its own, then the server under test beside it, once for each of its PORTs: the CPU of all counts, and all end together.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port: redisPort } = free.address();
free.close();
await once(free, 'close');

const redis = spawn(
  'redis-server',
  ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', 'noeviction'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
let said = '';
for await (const chunk of redis.stdout) {
  said += chunk;
  if (said.includes('Ready to accept connections')) break;
}
// The run asks it for its counters.
console.log(`redis on ${redisPort}`);

const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${redisPort}` };
const servers = process.env.PORT.split(',').map((port) =>
  spawn(process.execPath, process.argv.slice(2), { env: { ...env, PORT: port }, stdio: 'inherit' }),
);
let running = servers.length;
let status = 0;
for (const server of servers) {
  server.once('exit', (code) => {
    status ||= code ?? 1;
    // One that ends before its time takes the others along.
    for (const other of servers) other.kill('SIGTERM');
    if (--running > 0) return;
    redis.kill('SIGKILL');
    process.exit(status);
  });
}
process.once('SIGTERM', () => {
  for (const server of servers) server.kill('SIGTERM');
});
