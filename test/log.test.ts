// The log of a process: structured, without secrets, and never in the way of the process that writes it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';

/** Runs `body` with a `log` in a process of its own, whose stdout the log is. */
function spawnLogger(
  body: string,
  stdout: 'pipe' | number = 'pipe',
  env: Record<string, string> = {},
): ChildProcess {
  const program = `
    import { parseConfig } from '${new URL('../dist/config.js', import.meta.url).href}';
    import { connectionLogger, createLog } from '${new URL('../dist/log.js', import.meta.url).href}';
    const log = createLog(parseConfig(process.env), { node: 'n1' });
    ${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', stdout, 'inherit', 'ipc'],
  });
}

async function linesOf(child: ChildProcess): Promise<Record<string, unknown>[]> {
  const [output] = await Promise.all([child.stdout === null ? '' : text(child.stdout), once(child, 'exit')]);
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('createLog', () => {
  test('writes lines with time, place and the fields of the connection', async () => {
    const child = spawnLogger(`
      connectionLogger(log, { client: 'alice', session: 's1', address: '192.0.2.1' }).info({ code: 1000 }, 'bye');
      log.debug('not at this level');
      process.disconnect();`);
    expect(await linesOf(child)).toEqual([
      {
        level: 30,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        pid: child.pid,
        node: 'n1',
        client: 'alice',
        session: 's1',
        address: '192.0.2.1',
        code: 1000,
        msg: 'bye',
      },
    ]);
  });

  test('hides tokens and headers when they slip in', async () => {
    const child = spawnLogger(`
      log.info({ token: 'x.SECRET.y', frame: { token: 'SECRET' } });
      log.info({ headers: { authorization: 'SECRET', cookie: 'SECRET', 'sec-websocket-protocol': 'bearer.SECRET', host: 'h' } });
      process.disconnect();`);
    const lines = await linesOf(child);
    expect(JSON.stringify(lines)).not.toContain('SECRET');
    expect(lines[1]).toMatchObject({ headers: { host: 'h' } });
  });

  test('writes everything when the process exits right behind the last line', async () => {
    const child = spawnLogger(`
      for (let i = 0; i < 1000; i++) log.info({ i }, 'x'.repeat(100));
      log.fatal('the last words');
      process.exit(3);`);
    const lines = await linesOf(child);
    expect(lines).toHaveLength(1001);
    expect(lines.at(-1)).toMatchObject({ level: 60, msg: 'the last words' });
    expect(child.exitCode).toBe(3);
  });

  // faults.md F39
  test('stops nobody and keeps no more than its limit when its reader stops, and says then what it dropped', async () => {
    const child = spawnLogger(`
      const before = process.memoryUsage.rss();
      for (let round = 0; round < 64; round++) {
        for (let i = 0; i < 1000; i++) log.info('x'.repeat(1000));
        await new Promise(setImmediate);
      }
      process.send({ grownMb: (process.memoryUsage.rss() - before) / 2 ** 20 });
      process.once('message', () => process.disconnect());`);
    const [{ grownMb }] = await once(child, 'message');
    expect(grownMb).toBeLessThan(48);
    child.send('go on');
    const lines = await linesOf(child);
    expect(lines.length).toBeLessThan(4000);
    const dropped = lines.filter(({ msg }) => String(msg).startsWith('log lines were dropped'));
    expect(dropped.length).toBeGreaterThan(0);
    expect(lines.length - dropped.length + Number(dropped[0]?.lines)).toBe(64_000);
  });

  // faults.md F38
  const full = '/dev/full';
  if (existsSync(full)) {
    test('does not end the process when the disk is full', async () => {
      const file = openSync(full, 'w');
      const child = spawnLogger(
        `log.info('one');
        setTimeout(() => { log.info('two'); process.send('alive'); process.disconnect(); }, 50);`,
        file,
      );
      closeSync(file);
      expect(await once(child, 'message')).toEqual(['alive', undefined]);
      expect((await once(child, 'exit'))[0]).toBe(0);
    });
  }

  test('does not end the process when its reader is gone', async () => {
    const child = spawnLogger(`
      process.once('message', () => {
        log.info('to nobody');
        setTimeout(() => { log.info('again'); process.disconnect(); }, 50);
      });
      process.send('up');`);
    await once(child, 'message');
    child.stdout?.destroy();
    await once(child.stdout ?? child, 'close');
    child.send('go on');
    expect((await once(child, 'exit'))[0]).toBe(0);
  });
});
