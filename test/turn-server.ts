// A real coturn for tests, on a free port of the loopback interface, with the secrets it is given.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTurnServer } from '../scripts/test-tools.mjs';
import { until } from './gateway-process.js';
import { freePort } from './redis-server.js';

export interface TurnProcess {
  readonly port: number;
  output(): string;
  stop(): Promise<void>;
}

/** @param secrets any of them is accepted */
export async function startTurnServer(secrets: string[]): Promise<TurnProcess> {
  const program = findTurnServer();
  if (program === null) throw new Error('no coturn: npm test installs one where it may');
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-turn-'));
  const child = spawn(
    program,
    [
      ...['-n', '--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', `--listening-port=${String(port)}`],
      ...['--use-auth-secret', ...secrets.map((secret) => `--static-auth-secret=${secret}`)],
      ...['--realm=signalbox.test', '--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--verbose'],
      // Peers of these tests are on the loopback interface, which a server on the Internet must never relay to.
      ...['--allow-loopback-peers', `--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
  );
  let output = '';
  const exited = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await until(() => {
    if (child.exitCode !== null) throw new Error(`coturn ended:\n${output}`);
    return output.includes('UDP listener opened');
  });
  return {
    port,
    output: () => output,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}
