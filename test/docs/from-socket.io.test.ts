// The migration guide is true: its blocks compile against the built package as a stranger has it, and its chat runs.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import ts from 'typescript';
import { startGateway, tokenOf, until } from '../gateway-process.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const guide = readFileSync(join(root, 'docs', 'from-socket.io.md'), 'utf8');
let folder: string;

/** What the blocks of the guide speak of and do not make themselves. */
const PRELUDE = `
import { Client } from 'signalbox/client';
declare const token: string;
declare const backend: Client;
`;

function blocksOf(language: string): string[] {
  return [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, code = '']) => code,
  );
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'signalbox-guide-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'signalbox'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('every block of TypeScript in the guide compiles', () => {
  const files = blocksOf('ts').map((code, at) => {
    const file = join(folder, `block-${at}.mts`);
    writeFileSync(file, `${PRELUDE}${code}\nexport {};\n`);
    return file;
  });
  expect(files.length).toBeGreaterThan(3);
  const program = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  });
  const found = ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, start = 0, messageText }) =>
        `${file?.text.slice(start, start + 80) ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  expect(found).toEqual([]);
});

test('the chat of the guide carries lines, refuses, and tells who left', async () => {
  for (const code of blocksOf('js')) {
    const [, name = ''] = /^\/\/ (\S+)/.exec(code) ?? [];
    writeFileSync(join(folder, name), code);
  }
  const [, serverPerm = '', clientPerm = ''] = /--perm '([^']+)'[\s\S]*--perm '([^']+)'/.exec(guide) ?? [];
  const gateway = await startGateway({ PRESENCE_GRACE_MS: '100' });
  const children: ChildProcess[] = [];
  let output = '';
  const start = async (file: string, name: string, env: Record<string, string>): Promise<ChildProcess> => {
    const child = fork(join(folder, file), [name], {
      env: { ...process.env, GATEWAY: gateway.url, ...env },
      execArgv: [],
      silent: true,
    });
    children.push(child);
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const gone = once(child, 'exit').then(() => Promise.reject(new Error(`${file} ended: ${output}`)));
    await Promise.race([once(child, 'message'), gone]);
    gone.catch(() => undefined);
    return child;
  };
  try {
    await start('server.mjs', 'server', { SERVER_TOKEN: tokenOf('chat-server', JSON.parse(serverPerm)) });
    const startClient = (name: string): Promise<ChildProcess> =>
      start('client.mjs', name, { TOKEN: tokenOf(name, JSON.parse(clientPerm)) });
    // In the room first: it sees only who comes after it.
    await startClient('bob');
    const alice = await startClient('alice');
    alice.send('hello there');
    await until(() => output.includes('bob reads alice: hello there'));
    await until(() => output.includes('alice got {"number":1}'));
    alice.send('x'.repeat(101));
    await until(() => output.includes('alice got {"refused":"too long"}'));
    // Who comes and goes between two looks of the presence feed was never there.
    await until(() => /bob sees: came .*alice/.test(output));
    alice.send('');
    await until(() => /bob sees: .*left alice/.test(output));
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await gateway.stop();
  }
});

test('the guide names no module, file or setting that is not there', () => {
  const settings = [...guide.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map(([, name = '']) => name);
  const configuration = readFileSync(join(root, 'docs', 'configuration.md'), 'utf8');
  expect(settings.length).toBeGreaterThan(3);
  expect(settings.filter((name) => !configuration.includes(`\`${name}\``))).toEqual([]);
  const links = [...guide.matchAll(/\]\(([^)#]+)/g)].map(([, path = '']) => path);
  for (const path of links) expect(readFileSync(join(root, 'docs', path)).length).toBeGreaterThan(0);
});
