// Debian's nats-server with WebSocket on PORT: as it comes, without TLS and without accounts.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-nats-'));
const file = join(folder, 'nats.conf');
writeFileSync(
  file,
  `host: 127.0.0.1
port: -1
# Its default of 64 Ki connections stays.
websocket { host: 127.0.0.1, port: ${process.env.PORT}, no_tls: true, compression: false }
`,
);
const server = spawn('nats-server', ['-c', file], { stdio: 'inherit' });
server.once('exit', (code) => {
  rmSync(folder, { recursive: true });
  process.exit(code ?? 1);
});
process.once('SIGTERM', () => server.kill('SIGTERM'));
