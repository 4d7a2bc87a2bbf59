// The command line: what goes to the terminal, where, and with which exit code.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { settingsMarkdown } from '../src/settings-markdown.js';
import { until } from './gateway-process.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
/** Ports that nobody else has. */
const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', WORKERS: '1' };
const SECRET = 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW';

async function run(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { PATH: process.env.PATH, ...env } });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { stdout, stderr, code: Number(code) };
}

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // As it should be: nobody is left.
  }
}

describe('signalbox token', () => {
  test('prints the token and nothing else', async () => {
    const perm = { send: ['bob'] };
    const { stdout, stderr, code } = await run(
      ['token', '--sub', 'alice', '--ttl', '15m', '--perm', JSON.stringify(perm)],
      { JWT_SECRET: SECRET, JWT_AUDIENCE: 'aud', JWT_ISSUER: 'iss', JWT_TYP: 'at+jwt' },
    );
    expect([stderr, code]).toEqual(['', 0]);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const claims = jwt.verify(stdout.trim(), SECRET, {
      algorithms: ['HS256'],
      audience: 'aud',
      issuer: 'iss',
      complete: true,
    });
    expect(claims.header.typ).toBe('at+jwt');
    expect(claims.payload).toMatchObject({ sub: 'alice', perm });
    const { exp, iat } = claims.payload as { exp: number; iat: number };
    expect(exp - iat).toBe(900);
  });

  test.each([
    ['without a client', ['token'], {}],
    ['with a bad client id', ['token', '--sub', 'a b'], {}],
    ['with a bad time', ['token', '--sub', 'a', '--ttl', 'soon'], {}],
    ['with no time at all', ['token', '--sub', 'a', '--ttl', '0s'], {}],
    ['with a longer time than the gateway takes', ['token', '--sub', 'a', '--ttl', '7d'], {}],
    ['with permissions that are no JSON', ['token', '--sub', 'a', '--perm', '{'], {}],
    ['with permissions that would permit nothing', ['token', '--sub', 'a', '--perm', '{"send":"*"}'], {}],
    ['with permissions that are not there', ['token', '--sub', 'a', '--perm', '{"sends":["*"]}'], {}],
    ['with an unknown option', ['token', '--sub', 'a', '--admin'], {}],
    ['without a key', ['token', '--sub', 'a'], { JWT_SECRET: '' }],
    [
      'with keys that it cannot sign with',
      ['token', '--sub', 'a'],
      { JWT_SECRET: '', JWKS_URL: 'https://idp.example/' },
    ],
    ['with a bad configuration', ['token', '--sub', 'a'], { PORT: 'abc' }],
    ['of a command that is not there', ['strat'], {}],
  ])('ends with 2, and says why on stderr only, %s', async (_name, args, env) => {
    const { stdout, stderr, code } = await run(args, { JWT_SECRET: SECRET, ...env });
    expect([stdout, code]).toEqual(['', 2]);
    expect(stderr).not.toBe('');
    expect(stderr).not.toContain(SECRET);
    // A mistake of the user is told in a sentence, not in a stack.
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('signalbox config', () => {
  test('prints every setting', async () => {
    expect(await run(['config'])).toEqual({ stdout: settingsMarkdown(), stderr: '', code: 0 });
  });

  test('says with --check that the environment is right, or everything that is not', async () => {
    expect((await run(['config', '--check'], { JWT_SECRET: SECRET })).code).toBe(0);
    const misspelled = await run(['config', '--check'], { JWT_SECRET: SECRET, WORKER: '4' });
    expect(misspelled.code).toBe(2);
    expect(misspelled.stderr).toContain('WORKER is no setting: WORKERS is');
    const { stdout, stderr, code } = await run(['config', '--check'], {
      PORT: 'abc',
      WORKERS: '0',
      JWT_SECRET: 'short',
    });
    expect([stdout, code]).toEqual(['', 2]);
    expect(stderr).toContain('3 mistakes');
    for (const name of ['PORT', 'WORKERS', 'JWT_SECRET']) expect(stderr).toContain(`\n  ${name} `);
  });
});

describe('signalbox start', () => {
  test('takes a mistyped command for no command of its own', async () => {
    expect((await run(['strat'])).stderr).toContain("unknown command 'strat'");
  });

  test('ends with 2 before it forks anything when the environment is wrong', async () => {
    const { stdout, stderr, code } = await run(['start'], { HOST: '0.0.0.0' });
    expect([stdout, code]).toEqual(['', 2]);
    expect(stderr).toContain('HOST');
  });

  test.each(['PORT', 'ADMIN_PORT'])(
    'ends with 1 and a sentence, no stack, where %s is taken',
    async (name) => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const { stdout, stderr, code } = await run(['start'], { ...FREE_PORTS, [name]: String(port) });
      other.close();
      expect(code).toBe(1);
      expect(stderr).toMatch(
        new RegExp(`^Port ${String(port)} of 127\\.0\\.0\\.1 cannot be used.*Set ${name} .*\n$`),
      );
      expect(stdout + stderr).not.toMatch(/^\s+at |"stack"/m);
    },
  );

  test('says why there is no connection to Redis, without a stack and without the password', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const { stdout, stderr, code } = await run(['start'], {
      ...FREE_PORTS,
      CRASH_LOOP_LIMIT: '1',
      REDIS_URL: `redis://:hidden-password@127.0.0.1:${String(port)}`,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The workers crash in a loop .*\n$/);
    expect(stdout).toContain(`no connection to Redis: connect ECONNREFUSED 127.0.0.1:${String(port)}`);
    expect(stdout + stderr).not.toMatch(/^\s+at |"stack"|hidden-password/m);
  });
});

test('npm start ends with 0 and a drained gateway when npm gets the SIGTERM', async () => {
  // A group of its own: whatever this leaves behind when it fails can be ended with it.
  const npm = spawn('npm', ['start', '--ignore-scripts'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...FREE_PORTS },
    detached: true,
  });
  const exited = once(npm, 'exit');
  let output = '';
  npm.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  try {
    await until(() => output.includes('"signalbox is ready"'));
    npm.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    await until(() => /"node":"\w+","msg":"drained"/.test(output));
  } finally {
    endGroup(npm.pid);
  }
});

test('signalbox --version and --help end with 0', async () => {
  expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/);
  const help = await run(['--help']);
  expect(help.code).toBe(0);
  for (const command of ['start', 'token', 'config']) expect(help.stdout).toContain(command);
});
