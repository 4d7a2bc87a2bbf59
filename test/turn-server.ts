// A real coturn for tests, on a free port of the loopback interface, with the secrets it is given.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTurnServer } from '../scripts/test-tools.mjs';
import { until } from './gateway-process.js';
import { freePort } from './free-port.js';

export interface TurnProcess {
  readonly port: number;
  output(): string;
  stop(): Promise<void>;
}

/** For calls on this machine, whose peers are where a server on the Internet must never relay to. */
export const LOCAL_CALLS =
  'use-auth-secret\nrealm=signalbox.test\nno-cli\nno-tls\nno-dtls\nallow-loopback-peers\n';

export interface TurnPlace {
  /** Where it listens and relays. */
  address?: string;
  /** More of them: of IPv6. */
  others?: readonly string[];
  /** What comes before the command: another machine. */
  wrap?: readonly string[];
  /** The one of a server that was stopped. */
  port?: number;
}

/** @param secrets any of them is accepted */
export async function startTurnServer(
  secrets: string[],
  configuration = LOCAL_CALLS,
  { address = '127.0.0.1', others = [], wrap = [], port: wanted }: TurnPlace = {},
): Promise<TurnProcess> {
  const program = findTurnServer();
  if (program === null) throw new Error('no coturn: npm test installs one where it may');
  const port = wanted ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-turn-'));
  const file = join(folder, 'turnserver.conf');
  const secretLines = secrets.map((secret) => `static-auth-secret=${secret}\n`).join('');
  writeFileSync(file, `${configuration}\n${secretLines}`);
  const [command, ...before] = [...wrap, program];
  const child = spawn(
    command,
    [
      ...before,
      ...['-c', file, '--verbose', '--log-file=stdout', `--listening-port=${String(port)}`],
      ...[address, ...others].flatMap((one) => [`--listening-ip=${one}`, `--relay-ip=${one}`]),
      ...[`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
  );
  let output = '';
  const exited = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // Where both are opened TCP is first.
  const last = configuration.includes('no-udp\n') ? 'TCP listener opened' : 'UDP listener opened';
  await until(() => {
    if (child.exitCode !== null) throw new Error(`coturn ended:\n${output}`);
    return output.includes(last);
  });
  return {
    port,
    output: () => output,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
