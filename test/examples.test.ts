// Every example runs, as its first line says; call.mjs has a file of its own.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { findPython } from '../scripts/test-tools.mjs';
import type { Page } from 'playwright-core';
import { launchChromium } from './browser/chromium.js';
import { endExamples, run } from './example-process.js';
import { startGateway, tokenOf, until } from './gateway-process.js';
import { freePort } from './free-port.js';

afterEach(endExamples);

test('request-reply.mjs answers between two processes', async () => {
  const example = run(process.execPath, ['examples/request-reply.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  expect(example.output()).toContain('1 + 2 + … + 100 = 5050');
  expect(example.output()).toContain('somebody-else is not_found');
  expect(example.output()).toContain('product has no_handler');
});

test('an example that is killed leaves no gateway behind', async () => {
  const port = await freePort();
  const example = run(process.execPath, ['examples/chat.mjs', 'ann'], { PORT: String(port) });
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => {
        resolve(false);
      });
    });
  await until(answers);
  example.child.kill('SIGKILL');
  await until(async () => !(await answers()));
});

test('protobuf.mjs: a schema and a class on the way, and who lacks them is told', async () => {
  const example = run(process.execPath, ['examples/protobuf.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  expect(example.output()).toContain('bob has Ada, 36, mathematics and poetry');
  expect(example.output()).toContain('bob has a Vector: 3, -4');
  expect(example.output()).toContain('alice has "Hello Ada!"');
  expect(example.output()).toContain('carol: unknown_encoding 8, 28 bytes');
  expect(example.output()).toContain("alice's request to carol: unknown_encoding");
});

test('offload.mjs runs functions and a loaded script off the main thread', async () => {
  const example = run(process.execPath, ['examples/offload.mjs']);
  expect(await example.ended).toBe(0);
  expect(example.output()).toContain('is pako found? yes! (object)');
  expect(example.output()).toContain('78498 primes below a million');
  expect(example.output()).toContain('the main thread was free meanwhile');
  expect(example.output()).toMatch(/100000 bytes became \d{2,3}, 0 are left here/);
  expect(example.output()).toContain('rejected: RangeError, more than 100');
  expect(example.output()).toContain('a call without end: timeout; the next one: 25');
});

test('pair.mjs: a producer has a consumer for itself, and both are free after it', async () => {
  const example = run(process.execPath, ['examples/pair.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  expect(example.output()).toContain('free is consumer');
  expect(example.output()).toContain('free is nobody');
  expect(example.output()).toContain('a second pair is busy');
  expect(example.output()).toContain('the consumer has read 20 lines');
  expect(example.output()).toContain('consumer: the pair is over, normal');
});

test('service.mjs: two processes share the calls, and a topic tells when they are gone', async () => {
  const example = run(process.execPath, ['examples/service.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  expect(example.output()).toContain('the last square is 361, and 20 were told in the topic');
  expect(example.output()).toContain('publish is forbidden');
  expect(example.output()).toContain('square is not_found');
});

test('webhooks.mjs is told who comes and goes, and refuses what is not signed', async () => {
  const example = run(process.execPath, ['examples/webhooks.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  const lines = example.output().trim().split('\n');
  expect(lines[0]).toBe('refused: not signed by the gateway');
  expect(lines.at(-1)).toBe('told 4 times');
  const told = lines.slice(1, -1).map((line) => line.replace(/ after \d+ ms$/, ' after …'));
  expect(told.map((line) => line.replace(/^\d /, '')).sort()).toEqual([
    'connect ann',
    'disconnect ann after …',
    'occupied lobby',
    'vacated lobby after …',
  ]);
  expect(told.map((line) => Number(line[0]))).toEqual([1, 2, 3, 4]);
});

test('verbs.mjs goes through every verb of messages, rooms and streams', async () => {
  const example = run(process.execPath, ['examples/verbs.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  const stored = (name: string): string => `${name} stored 200000 bytes of copy.jpg`;
  expect(example.output().trim().split('\n')).toEqual([
    'hello, acknowledged: true',
    'broadcast: bob hears all, carol hears all',
    'sent: bob hears one, carol hears list, carol hears session',
    [
      'room: alice hears with me, bob hears with me, bob hears without me',
      'carol hears with me, carol hears without me, carol hears without me and bob',
    ].join(', '),
    `stream to one: ${stored('bob')}`,
    `stream to a room: ${stored('bob')}, ${stored('carol')}`,
    `stream to everybody: ${stored('bob')}, ${stored('carol')}`,
    'left in the room: alice',
  ]);
});

test('fifty-sockets.mjs opens fifty sockets that all hear one message', async () => {
  const example = run(process.execPath, ['examples/fifty-sockets.mjs'], { PORT: String(await freePort()) });
  expect(await example.ended).toBe(0);
  expect(example.output()).toMatch(/50 sockets connected in \d+ ms\n50 of 50 heard one message/);
});

test('chat.mjs carries lines between two terminals', async () => {
  const PORT = String(await freePort());
  const alice = run(process.execPath, ['examples/chat.mjs', 'alice'], { PORT });
  await until(() => alice.output().includes('you are alice in lobby'));
  const bob = run(process.execPath, ['examples/chat.mjs', 'bob'], { PORT });
  await until(() => bob.output().includes('you are bob in lobby with alice'));
  await until(() => alice.output().includes('* bob came'));
  bob.child.stdin?.write('hello from the other terminal\n');
  await until(() => alice.output().includes('bob: hello from the other terminal'));
  bob.child.stdin?.write('\n');
  await until(() => alice.output().includes('* bob left'));
  alice.child.stdin?.write('\n');
  expect([await alice.ended, await bob.ended]).toEqual([0, 0]);
});

test('send-file.mjs sends a file between two terminals, and nothing over a file that is there', async () => {
  const PORT = String(await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'signalbox-file-'));
  try {
    const sent = randomBytes(3_000_000);
    await writeFile(join(folder, 'original'), sent);
    const inbox = join(folder, 'inbox');
    const bob = run(process.execPath, ['examples/send-file.mjs', 'receive', 'bob', inbox], { PORT });
    await until(() => bob.output().includes('bob takes files'));
    const send = ['examples/send-file.mjs', 'send', 'bob', join(folder, 'original')];
    const alice = run(process.execPath, send, { PORT });
    expect(await alice.ended).toBe(0);
    expect(alice.output()).toContain('bob has the same bytes');
    // Not by toEqual, which takes seconds for a few megabytes.
    expect(sent.equals(await readFile(join(inbox, 'original')))).toBe(true);
    await until(() => bob.output().includes(createHash('sha256').update(sent).digest('hex')));
    const again = run(process.execPath, send, { PORT });
    expect(await again.ended).toBe(1);
    expect(again.output()).toContain('rejected');
    expect(await readdir(inbox)).toEqual(['original']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('page-files.mjs moves a file from page to page, which begins through the gateway and ends directly', async () => {
  const env = { PORT: String(await freePort()), PAGE_PORT: String(await freePort()) };
  const example = run(process.execPath, ['examples/page-files.mjs'], env);
  await until(() => example.output().includes('in two tabs'));
  const chromium = await launchChromium();
  try {
    const faults: string[] = [];
    const open = async (): Promise<Page> => {
      const page = await chromium.newPage();
      page.on('pageerror', (error) => faults.push(error.message));
      await page.goto(`http://127.0.0.1:${env.PAGE_PORT}/`);
      return page;
    };
    const [alice, bob] = [await open(), await open()];
    const sent = randomBytes(4_000_000);
    await alice.getByLabel('File').setInputFiles({ name: 'a <b>name</b>', mimeType: '', buffer: sent });
    await until(async () => (await alice.getByLabel('To').locator('option').count()) === 1);
    const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    // A fast machine may be through before there is a direct way; the next file finds the connection that the first one made.
    for (let files = 1, isDirect = false; !isDirect; files++) {
      await alice.getByRole('button', { name: 'Send' }).click();
      const saved = bob.getByRole('link', { name: 'save 4000000 bytes' });
      await until(async () => (await saved.count()) === files);
      const [download] = await Promise.all([bob.waitForEvent('download'), saved.first().click()]);
      expect(hash(await readFile(await download.path()))).toBe(hash(sent));
      const lines = [alice, bob].map((page) => page.locator('li').first());
      await until(async () => (await lines[0]?.innerText())?.includes('has all 4000000 bytes'));
      const told = await Promise.all(lines.map((line) => line.innerText()));
      for (const text of told) expect(text).toContain('a <b>name</b>');
      isDirect = told.every((text) => /now direct;.* direct \d+\.\d MB/.test(text));
      expect(isDirect || files < 5).toBe(true);
    }
    expect(faults).toEqual([]);
  } finally {
    await chromium.close();
  }
}, 60_000);

test('the Python client passes the vectors of the protocol', async () => {
  const example = run(python(), ['examples/python/test_vectors.py', 'docs/protocol-vectors.json']);
  expect(await example.ended).toBe(0);
  expect(example.output()).toMatch(/\d{3} passed, 0 failed/);
});

test('the Python client holds a live conversation', async () => {
  const gateway = await startGateway();
  try {
    const args = [
      'examples/python/conversation.py',
      `${gateway.url}/v1/connect`,
      tokenOf('alice'),
      tokenOf('bob'),
    ];
    const example = run(python(), args);
    await example.ended;
    expect(example.output()).toMatch(/\d+ passed, 0 failed/);
  } finally {
    await gateway.stop();
  }
});

function python(): string {
  const found = findPython();
  if (found === null)
    throw new Error('no Python with msgpack and websockets: npm test installs them where it may');
  return found;
}
