// Starts a Redis of its own, then the server under test beside it: the CPU of both counts, and both end together.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port } = free.address();
free.close();
await once(free, 'close');

const redis = spawn(
  'redis-server',
  ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', 'noeviction'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
let said = '';
for await (const chunk of redis.stdout) {
  said += chunk;
  if (said.includes('Ready to accept connections')) break;
}
const server = spawn(process.execPath, process.argv.slice(2), {
  env: { ...process.env, REDIS_URL: `redis://127.0.0.1:${port}` },
  stdio: 'inherit',
});
server.once('exit', (code) => {
  redis.kill('SIGKILL');
  process.exit(code ?? 1);
});
process.once('SIGTERM', () => server.kill('SIGTERM'));
