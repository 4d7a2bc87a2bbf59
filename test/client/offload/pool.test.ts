// A pool of threads, in Node's worker threads: what is shipped, what comes back, and what becomes of threads that die or hang.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  OffloadError,
  type OffloadOptions,
  OffloadPool,
  type OffloadScope,
} from '../../../src/client/offload/offload.js';

/** What functions find in their thread. */
declare const offload: OffloadScope;
declare const LIMITS: Map<string, Date>;
declare const double: (n: number) => number;

const pools: OffloadPool[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signalbox-offload-'));
});
afterEach(() => {
  for (const pool of pools.splice(0)) pool.terminate();
  rmSync(folder, { recursive: true });
});

function open(options: OffloadOptions = {}): OffloadPool {
  const pool = new OffloadPool({ threads: 1, ...options });
  pools.push(pool);
  return pool;
}

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const failureOf = (promise: Promise<unknown>): Promise<OffloadError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as OffloadError,
  );

const FUNCTIONS = {
  add: (a: number, b: number) => a + b,
  async later(ms: number) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ms;
  },
  echo: (value: unknown) => value,
  hang: () => {
    for (;;);
  },
  end: () => process.exit(3),
};

describe('registerFunctions', () => {
  test('ships functions, which are called with cloned data and return promises', async () => {
    const run = await open().registerFunctions(FUNCTIONS);
    expect(await run.add(1, 2)).toBe(3);
    expect(await run.later(1)).toBe(1);
    const value = { when: new Date(5), map: new Map([[1, new Uint8Array([2])]]), none: undefined };
    expect(await run.echo(value)).toEqual(value);
  });

  test('gives functions their constants, as serialize-javascript writes them', async () => {
    const run = await open().registerFunctions(
      { time: (name: string) => LIMITS.get(name)?.getTime() },
      { constants: { LIMITS: new Map([['a', new Date(7)]]) } },
    );
    expect(await run.time('a')).toBe(7);
  });

  test('throws for what has no source text or is no function', async () => {
    const pool = open();
    const bound = FUNCTIONS.add.bind(null);
    // eslint-disable-next-line @typescript-eslint/no-extraneous-class -- something that cannot be called
    const Class = class {} as unknown as () => void;
    for (const run of [bound, Math.max, Class, 'text' as unknown as () => void])
      await expect(pool.registerFunctions({ run })).rejects.toThrow(TypeError);
    expect(pool.threads).toBe(0);
  });

  test('says of a function that uses its surroundings what it cannot see', async () => {
    const surroundings = 5;
    const run = await open().registerFunctions({ read: () => surroundings });
    const error = await failureOf(run.read());
    expect(error).toMatchObject({ code: 'rejected', cause: { name: 'ReferenceError' } });
    expect(error.message).toMatch(
      /surroundings is not defined \(a shipped function sees nothing of the place/,
    );
  });

  test('reaches threads that run already and threads that are started later', async () => {
    const pool = open({ threads: 2 });
    const first = await pool.registerFunctions({ one: () => 1, later: FUNCTIONS.later });
    const slow = first.later(50);
    const second = await pool.registerFunctions({ two: () => 2 });
    expect(await Promise.all([slow, second.two(), first.one(), second.two()])).toEqual([50, 2, 1, 2]);
    expect(pool.threads).toBe(2);
  });
});

describe('loadScripts', () => {
  test('loads files in order, from a path and a URL, and calls what they provide or leave', async () => {
    const pool = open();
    const a = script(
      'a.js',
      'var double = (n) => n * 2; var box = { held: 4, get() { return this.held; } };',
    );
    const b = script('b.js', 'offload.provide({ four: () => double(2) });');
    await pool.loadScripts(a, pathToFileURL(b));
    expect(await pool.call('four')).toBe(4);
    expect(await pool.call('box.get')).toBe(4);
    const run = await pool.registerFunctions({ six: () => double(3) });
    expect(await run.six()).toBe(6);
  });

  test('loads over HTTP, and rejects where the server refuses', async () => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/good.js' ? 200 : 404).end('var good = () => 1;');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    try {
      const pool = open();
      expect(await failureOf(pool.loadScripts(`${origin}/missing.js`))).toMatchObject({ code: 'rejected' });
      await pool.loadScripts(`${origin}/good.js`);
      expect(await pool.call('good')).toBe(1);
    } finally {
      server.close();
    }
  });

  test('rejects for a script that throws, and the pool goes on without it', async () => {
    const pool = open();
    const bad = script('bad.js', 'throw new Error("no")');
    const error = await failureOf(pool.loadScripts(bad));
    expect(error).toMatchObject({ code: 'rejected', cause: { message: 'no' } });
    expect(error.stack).toContain('bad.js:1');
    const run = await pool.registerFunctions(FUNCTIONS);
    expect(await run.add(1, 1)).toBe(2);
  });
});

describe('call', () => {
  test('moves what is named, both ways', async () => {
    const pool = open();
    await pool.registerFunctions({
      reverse: (bytes: Uint8Array) => {
        const moved = bytes.reverse();
        return offload.transfer(moved, [moved.buffer as ArrayBuffer]);
      },
    });
    const bytes = new Uint8Array([1, 2, 3]);
    const back = await pool.call('reverse', [bytes], { transfer: [bytes.buffer] });
    expect([...(back as Uint8Array)]).toEqual([3, 2, 1]);
    expect(bytes.length).toBe(0);
  });

  test('rejects with what the function threw: name, message, code, and the stacks of both threads', async () => {
    const pool = open();
    await pool.registerFunctions({
      deep: () => {
        const inner = (): never => {
          throw Object.assign(new RangeError('too deep'), { code: 'E_DEEP' });
        };
        return inner();
      },
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a careless function does
      text: () => Promise.reject('only a text'),
    });
    const error = await failureOf(pool.call('deep'));
    expect(error).toBeInstanceOf(OffloadError);
    expect(error).toMatchObject({
      code: 'rejected',
      message: 'RangeError: too deep',
      cause: { name: 'RangeError', message: 'too deep', code: 'E_DEEP' },
    });
    expect(error.stack).toMatch(/at inner[^]*called from[^]*pool\.test/);
    expect(await failureOf(pool.call('text'))).toMatchObject({
      code: 'rejected',
      cause: { message: 'only a text' },
    });
  });

  test('rejects with no_handler for an unknown function, bad_payload for what cannot be cloned', async () => {
    const pool = open();
    await pool.registerFunctions({ echo: FUNCTIONS.echo, make: () => () => 1 });
    expect(await failureOf(pool.call('nobody.home'))).toMatchObject({ code: 'no_handler' });
    expect(await failureOf(pool.call('echo', [() => 1]))).toMatchObject({ code: 'bad_payload' });
    expect(await failureOf(pool.call('make'))).toMatchObject({ code: 'bad_payload' });
    expect(await pool.call('echo', [1])).toBe(1);
  });

  test('runs as many at once as there are threads, and starts none before it is needed', async () => {
    const pool = open({ threads: 3 });
    const run = await pool.registerFunctions(FUNCTIONS);
    expect(pool.threads).toBe(1);
    const calls = [1, 2, 3, 4, 5].map((ms) => run.later(20 + ms));
    expect([pool.threads, pool.waiting]).toEqual([3, 2]);
    expect(await Promise.all(calls)).toEqual([21, 22, 23, 24, 25]);
  });

  test('rejects with queue_full beyond the queue, and takes calls again when it is shorter', async () => {
    const pool = open({ queueLimitCalls: 1 });
    const run = await pool.registerFunctions(FUNCTIONS);
    const running = [run.later(20), run.later(21)];
    expect(await failureOf(run.later(22))).toMatchObject({ code: 'queue_full' });
    await Promise.all(running);
    expect(await run.later(1)).toBe(1);
  });
});

describe('a thread that', () => {
  test('hangs is ended by the time-out, and its successor has all functions', async () => {
    const pool = open();
    const run = await pool.registerFunctions(FUNCTIONS);
    await pool.registerFunctions({ double: (n: number) => 2 * n });
    const hung = failureOf(pool.call('hang', [], { timeoutMs: 50 }));
    const waiting = run.add(2, 2);
    expect(await hung).toMatchObject({ code: 'timeout' });
    expect(await waiting).toBe(4);
    expect(await pool.call('double', [4])).toBe(8);
    expect(pool.threads).toBe(1);
  });

  test('runs an aborted call is ended; a call that is aborted while it waits ends no thread', async () => {
    const pool = open();
    const run = await pool.registerFunctions(FUNCTIONS);
    const aborting = new AbortController();
    const waiting = new AbortController();
    const hung = failureOf(pool.call('hang', [], { signal: aborting.signal }));
    const behind = failureOf(pool.call('add', [1, 1], { signal: waiting.signal }));
    const after = run.add(1, 2);
    waiting.abort();
    expect(await behind).toMatchObject({ code: 'aborted' });
    aborting.abort('enough');
    expect(await hung).toMatchObject({ code: 'aborted', cause: 'enough' });
    expect(await after).toBe(3);
  });

  test('dies rejects its call with provider_gone, and no other', async () => {
    const pool = open({ threads: 2 });
    const run = await pool.registerFunctions(FUNCTIONS);
    const other = run.later(100);
    const behind = failureOf(pool.call('end'));
    expect(await behind).toMatchObject({ code: 'provider_gone' });
    expect(await other).toBe(100);
    expect(await Promise.all([run.add(1, 2), run.add(3, 4)])).toEqual([3, 7]);
  });

  test('fails beside its calls counts as dead', async () => {
    const pool = open();
    const run = await pool.registerFunctions({
      ...FUNCTIONS,
      fuse: () =>
        void setTimeout(() => {
          throw new Error('later');
        }, 100),
    });
    await run.fuse();
    expect(await failureOf(run.later(1_000))).toMatchObject({
      code: 'provider_gone',
      cause: { message: 'later' },
    });
    expect(await run.add(1, 2)).toBe(3);
  });
});

describe('terminate', () => {
  test('rejects what runs, what waits and what comes with closed, once and for all', async () => {
    const pool = open();
    const run = await pool.registerFunctions(FUNCTIONS);
    const calls = [
      failureOf(pool.call('hang')),
      failureOf(run.add(1, 2)),
      failureOf(pool.loadScripts('x.js')),
    ];
    pool.terminate();
    pool.terminate();
    calls.push(failureOf(run.add(1, 2)), failureOf(pool.registerFunctions(FUNCTIONS)));
    for (const call of calls) expect(await call).toMatchObject({ code: 'closed' });
    expect([pool.threads, pool.waiting]).toEqual([0, 0]);
  });
});

test('a pool refuses a size that is none', () => {
  expect(() => new OffloadPool({ threads: 0 })).toThrow(TypeError);
});
