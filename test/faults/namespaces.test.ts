// Machines made of network namespaces: they reach each other, can be parted and healed, and leave nothing behind.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Machines, makeMachines } from './namespaces.js';
import { run, type Running } from './processes.js';

let machines: Machines;
let servers: Running[];

const SERVER = `
  require('node:net').createServer((socket) => socket.end(socket.remoteAddress)).listen(7000, () => console.log('ready'));
`;
const CLIENT = `
  const socket = require('node:net').connect({ host: process.argv[1], port: 7000 });
  socket.setTimeout(700, () => process.exit(1));
  socket.on('error', () => process.exit(1));
  socket.on('data', (data) => { console.log(String(data).replace('::ffff:', '')); process.exit(0); });
`;

beforeEach(async () => {
  machines = makeMachines(['a', 'b']);
  servers = await Promise.all(
    ['a', 'b'].map((name) => run([process.execPath, '-e', SERVER], /ready/, { wrap: machines.wrap(name) })),
  );
});

afterEach(async () => {
  machines.close();
  await Promise.all(servers.map(({ exited }) => exited));
});

/** Address that the server of `to` sees; null where nothing comes back. */
function reach(from: string | null, to: string): string | null {
  const wrap = from === null ? [] : machines.wrap(from);
  const [file, ...args] = [...wrap, process.execPath, '-e', CLIENT, machines.addressOf(to)];
  const { status, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

test('machines reach each other and are reached from outside, until they are parted, and again when healed', () => {
  expect(reach('a', 'b')).toBe(machines.addressOf('a'));
  expect(reach(null, 'b')).toBe(machines.outsideAddress);

  machines.partition('a', 'b');
  expect([reach('a', 'b'), reach('b', 'a')]).toEqual([null, null]);
  expect(reach(null, 'a')).toBe(machines.outsideAddress);

  machines.heal();
  expect(reach('b', 'a')).toBe(machines.addressOf('b'));

  machines.partition('b', 'outside', 'to a');
  expect(reach(null, 'b')).toBeNull();
  expect(reach('a', 'b')).toBe(machines.addressOf('a'));
  machines.heal();

  machines.link('a', 'down');
  expect(reach(null, 'a')).toBeNull();
  machines.link('a', 'up');
  expect(reach(null, 'a')).toBe(machines.outsideAddress);
});

test('closing kills what runs on the machines and takes all of them away', async () => {
  const mark = `sbx${process.pid}`;
  const left = (): string =>
    ['netns list', '-o link show']
      .map((args) => spawnSync('ip', args.split(' '), { encoding: 'utf8' }).stdout)
      .join('\n');
  expect(left()).toContain(mark);
  machines.close();
  expect(await Promise.all(servers.map(({ exited }) => exited))).toEqual(['SIGKILL', 'SIGKILL']);
  expect(left()).not.toContain(mark);
});
