// What plugins cost the way of a volatile message: CPU of one worker per message without plugins, with an empty middleware on
// frames in, and with one on frames in and out; in turns, in one run. node bench/plugins.mjs [rounds]
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../dist/client/index.js';
import { createGateway } from '../dist/index.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const MESSAGES = 20_000;
/** Under way at once. */
const WINDOW = 64;
const SECRET = randomBytes(32).toString('base64url');

/** CPU of all threads of a process, ms: finer than the ticks of `/proc/<pid>/stat`. */
function cpuMs(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ns = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Of a program of its own: a process has one gateway. */
async function serve(plugins) {
  const gateway = createGateway({
    PORT: 0,
    ADMIN_PORT: 'off',
    HOST: '127.0.0.1',
    WORKERS: 1,
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'error',
    MESSAGES_PER_SECOND_LIMIT: 1_000_000,
    MESSAGES_BURST_LIMIT: 1_000_000,
    CLIENT_MESSAGES_PER_SECOND_LIMIT: 1_000_000,
    ADDRESS_MESSAGES_PER_SECOND_LIMIT: 1_000_000,
    ...(plugins.length === 0 ? {} : { PLUGINS: JSON.stringify(plugins) }),
  });
  await gateway.listen();
  const tokens = ['alice', 'bob'].map((name) => gateway.token(name));
  process.send({ url: gateway.url, tokens, pid: gateway.workers()[0].pid });
  process.on('disconnect', () => void gateway.close());
}

async function start(name, plugins) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', JSON.stringify(plugins)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const { url, tokens, pid } = await new Promise((resolve) => child.once('message', resolve));
  const [alice, bob] = await Promise.all(
    tokens.map(async (token) => {
      const client = new Client(url, { token });
      await client.connect();
      return client;
    }),
  );
  return { name, child, pid, alice, bob, perMessage: [] };
}

async function round(side) {
  const before = cpuMs(side.pid);
  let heard = 0;
  let sent = 0;
  await new Promise((resolve) => {
    const send = () => {
      while (sent < MESSAGES && sent - heard < WINDOW) {
        sent++;
        void side.alice.send('bob', 'e', sent, { volatile: true });
      }
    };
    const stop = side.bob.onMessage('e', () => {
      heard++;
      if (heard === MESSAGES) {
        stop();
        resolve();
      } else if (sent - heard < WINDOW / 2) send();
    });
    send();
  });
  return ((cpuMs(side.pid) - before) / MESSAGES) * 1000;
}

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
  const module = (name, text) => {
    const file = join(directory, `${name}.mjs`);
    writeFileSync(file, `export default () => (${text});\n`);
    return file;
  };
  const frameIn = module('in', '{ frameIn: () => undefined }');
  const both = module('both', '{ frameIn: () => undefined, frameOut: () => true }');
  const decides = module('decides', '{ decides: true, frameIn: () => undefined }');
  const sides = await Promise.all([
    start('none', []),
    start('frames in', [frameIn]),
    start('in, decides', [decides]),
    start('in and out', [both]),
  ]);
  for (const side of sides) await round(side);
  for (let i = 0; i < ROUNDS; i++) for (const side of sides) side.perMessage.push(await round(side));
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const [none] = sides;
  for (const { name, perMessage } of sides) {
    const us = median(perMessage);
    console.log(
      `${name.padEnd(12)} ${us.toFixed(2)} µs of CPU per message, ${(us / median(none.perMessage)).toFixed(3)} × none`,
    );
  }
  await Promise.all(sides.flatMap(({ alice, bob }) => [alice.close(), bob.close()]));
  for (const { child } of sides) child.disconnect();
  rmSync(directory, { recursive: true });
}

if (process.argv[2] === 'serve') await serve(JSON.parse(process.argv[3]));
else await main();
