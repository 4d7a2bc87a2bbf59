// What each way of giving connections to workers (SCHEDULING) costs those who come while workers are rolled, killed or hang, and how even the workers are.
// node scripts/measure-scheduling.mjs [rounds] [workers] [arrivals per second] [fault…]; the ways in turn, so that all have the same minutes.
// WAYS=rr,none  RESIDENTS=400
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import jwt from 'jsonwebtoken';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const ROUNDS = Number(process.argv[2] ?? 3);
const WORKERS = Number(process.argv[3] ?? 2);
const RATE = Number(process.argv[4] ?? 100);
const WANTED = process.argv.slice(5);
const WAYS = (process.env.WAYS ?? 'rr,none').split(',');
const RESIDENTS = Number(process.env.RESIDENTS ?? 400);
const [SECRET, ADMIN_KEY] = [randomBytes(36).toString('base64'), randomBytes(24).toString('hex')];
/** Who has waited so long for its welcome was forgotten, ms. */
const SILENCE_MS = 15_000;
/** Newcomers go on for so long after all are back, ms: time for a worker to get its share. */
const AFTERWARDS_MS = 4_000;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds, what, limitMs = 60_000) {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await wait(10);
  }
}

async function startGateway(scheduling) {
  const child = spawn(process.execPath, [CLI, 'start'], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_PORT: '0',
      ADMIN_KEY,
      JWT_SECRET: SECRET,
      LOG_LEVEL: 'info',
      WORKERS: String(WORKERS),
      SCHEDULING: scheduling,
      WATCHDOG_TIMEOUT_MS: '5000',
      CRASH_LOOP_LIMIT: '0',
      CONNECTIONS_PER_ADDRESS_LIMIT: '0',
      HANDSHAKES_PER_SECOND_LIMIT: '0',
      PING_INTERVAL_MS: '300000',
      // Who is lost comes back as somebody new: what it was is not to be kept for it.
      RESUME_WINDOW_MS: '1000',
      PRESENCE_GRACE_MS: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  await until(() => output.includes('"signalbox is ready"') || child.exitCode !== null, 'the start');
  if (child.exitCode !== null) throw new Error(`the gateway ended: ${output}`);
  const { port, adminPort } = JSON.parse(
    output.split('\n').find((line) => line.includes('signalbox is ready')),
  );
  const workers = async () => {
    const url = `http://127.0.0.1:${adminPort}/api/v1/workers`;
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${ADMIN_KEY}` } });
    return (await answer.json()).workers;
  };
  const stop = async () => {
    const exited = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGTERM')) await exited;
  };
  return { child, port, workers, stop, output: () => output };
}

/** How many connections to the port each process holds, by the kernel. */
function sharesOf(port, pids) {
  const held = new Set();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === '01' && parseInt(local.split(':')[1], 16) === port) held.add(`socket:[${inode}]`);
  }
  return pids.map((pid) => {
    let count = 0;
    for (const file of readdirSync(`/proc/${pid}/fd`))
      try {
        if (held.has(readlinkSync(`/proc/${pid}/fd/${file}`))) count++;
      } catch {
        // Closed meanwhile.
      }
    return count;
  });
}

function textFrame(text) {
  const data = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | data.length, 0, 0, 0, 0]), data]);
}

/** One who comes, and comes again where its connection is lost. */
class Visitor {
  static #last = 0;
  /** `ok`, or how its first try ended. */
  outcome = null;
  waitedMs = 0;
  /** When it was lost; null while it is there, or before it was let in. */
  lostAt = null;
  awayMs = 0;
  #done = false;

  constructor(port) {
    this.port = port;
    this.name = `visitor-${++Visitor.#last}`;
    this.came = this.#come();
  }

  leave() {
    this.#done = true;
    this.socket?.destroy();
  }

  async #come() {
    const since = performance.now();
    const outcome = await this.#try();
    this.waitedMs = performance.now() - since;
    this.outcome = outcome;
  }

  async #comeBack() {
    this.lostAt = performance.now();
    while (!this.#done) {
      await wait(20 + 180 * Math.random());
      if (this.#done) return;
      if ((await this.#try()) === 'ok') break;
    }
    this.awayMs = Math.max(this.awayMs, performance.now() - this.lostAt);
    this.lostAt = null;
  }

  /** Resolves with `ok` at the welcome, otherwise with how it ended. */
  #try() {
    return new Promise((resolve) => {
      const token = jwt.sign({ perm: '*' }, SECRET, { subject: this.name, expiresIn: 3600 });
      const socket = createConnection({ port: this.port, host: '127.0.0.1' });
      this.socket = socket;
      let isConnected = false;
      let isIn = false;
      let bytes = Buffer.alloc(0);
      const silent = setTimeout(() => {
        resolve('silence');
        socket.destroy();
      }, SILENCE_MS);
      socket.on('connect', () => {
        isConnected = true;
        socket.write(
          'GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
            `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: signalbox.v1.json, bearer.${token}\r\n\r\n`,
        );
      });
      socket.on('data', (chunk) => {
        if (isIn) return;
        const isFirst = bytes.length === 0;
        bytes = Buffer.concat([bytes, chunk]);
        if (isFirst && bytes.includes('HTTP/1.1 101')) socket.write(textFrame('[0,1]'));
        if (!bytes.includes('[1,{')) return;
        isIn = true;
        clearTimeout(silent);
        bytes = Buffer.alloc(0);
        resolve('ok');
      });
      let error = null;
      socket.on('error', ({ code }) => (error = code));
      socket.on('close', () => {
        clearTimeout(silent);
        // goaway: told to come back, where a newcomer waits for a worker that drains.
        const isSentAway = bytes.includes('[8,');
        resolve(
          isSentAway ? 'sent away' : isConnected ? 'reset' : error === 'ECONNREFUSED' ? 'refused' : 'reset',
        );
        if (isIn && !this.#done) void this.#comeBack();
      });
    });
  }
}

/** Those who come at a steady rate, and stay. */
class Arrivals {
  visitors = [];
  #isOver = false;

  constructor(port) {
    this.running = this.#run(port);
  }

  async #run(port) {
    const since = performance.now();
    while (!this.#isOver) {
      const due = Math.floor(((performance.now() - since) / 1000) * RATE);
      while (this.visitors.length < due) this.visitors.push(new Visitor(port));
      await wait(5);
    }
  }

  async stop() {
    this.#isOver = true;
    await this.running;
    await Promise.all(this.visitors.map(({ came }) => came));
  }
}

const readyOf = async (gateway) => (await gateway.workers()).filter(({ state }) => state === 'ready');
const allReady = (gateway, but = []) =>
  until(
    async () => (await readyOf(gateway)).filter(({ pid }) => !but.includes(pid)).length === WORKERS,
    'all workers',
  );

/** The worker whose share of connections is the one that `choose` takes of all. */
async function pidOf(gateway, choose) {
  const pids = (await readyOf(gateway)).map(({ pid }) => pid);
  const shares = sharesOf(gateway.port, pids);
  return pids[shares.indexOf(choose(...shares))];
}

/** Ends, or stops, one worker; over when all are there again without it. */
const strike = (choose, signal) => async (gateway) => {
  const pid = await pidOf(gateway, choose);
  process.kill(pid, signal);
  await allReady(gateway, [pid]);
};

const FAULTS = {
  'roll (SIGHUP)': async (gateway) => {
    gateway.child.kill('SIGHUP');
    await until(() => gateway.output().includes('"rolled"'), 'the roll');
  },
  'kill -9 of the one with most': strike(Math.max, 'SIGKILL'),
  'kill -9 of the one with fewest': strike(Math.min, 'SIGKILL'),
  'five crashes': async (gateway) => {
    const killed = [];
    for (let i = 0; i < 5; i++) {
      const young = (await readyOf(gateway)).findLast(({ pid }) => !killed.includes(pid));
      killed.push(young.pid);
      process.kill(young.pid, 'SIGKILL');
      await allReady(gateway, killed);
    }
  },
  'a worker hangs': strike((first) => first, 'SIGSTOP'),
  'the one with fewest hangs': strike(Math.min, 'SIGSTOP'),
  'no descriptor left in one for 3 s': async (gateway) => {
    const [{ pid }] = await readyOf(gateway);
    const before = limitOf(pid);
    // What is open stays open; whatever comes is one too many.
    setLimit(pid, '3');
    await wait(3_000);
    setLimit(pid, before);
  },
};

function limitOf(pid) {
  const flags = ['--pid', String(pid), '--nofile', '-o', 'SOFT', '--noheadings'];
  return execFileSync('prlimit', flags, { encoding: 'utf8' }).trim();
}
function setLimit(pid, files) {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);
}

function outcomesOf(visitors) {
  const counts = { refused: 0, reset: 0, silence: 0, 'sent away': 0, ok: 0 };
  for (const { outcome } of visitors) counts[outcome]++;
  return counts;
}

async function measureFault(scheduling, name) {
  const gateway = await startGateway(scheduling);
  const residents = [];
  let arrivals = null;
  try {
    for (let i = 0; i < RESIDENTS; i += 20) {
      const batch = Array.from({ length: 20 }, () => new Visitor(gateway.port));
      residents.push(...batch);
      await Promise.all(batch.map(({ came }) => came));
    }
    arrivals = new Arrivals(gateway.port);
    await wait(1_500);
    const since = performance.now();
    await FAULTS[name](gateway);
    const all = () => [...residents, ...arrivals.visitors];
    await until(() => all().every(({ lostAt }) => lostAt === null), 'all back', 40_000);
    const backMs = performance.now() - since;
    await wait(AFTERWARDS_MS);
    await arrivals.stop();
    const counts = outcomesOf(arrivals.visitors);
    const shares = sharesOf(
      gateway.port,
      (await readyOf(gateway)).map(({ pid }) => pid),
    );
    return {
      ...counts,
      slowestMs: Math.max(...arrivals.visitors.map(({ waitedMs }) => waitedMs)),
      over100: arrivals.visitors.filter(({ waitedMs }) => waitedMs > 100).length,
      awayMs: Math.max(...all().map(({ awayMs }) => awayMs)),
      backMs,
      shares,
    };
  } finally {
    await arrivals?.stop();
    for (const visitor of [...residents, ...(arrivals?.visitors ?? [])]) visitor.leave();
    await gateway.stop();
  }
}

/** SIGTERM: what becomes of who comes meanwhile, and of who is there. */
async function measureDrain(scheduling) {
  const gateway = await startGateway(scheduling);
  const arrivals = new Arrivals(gateway.port);
  try {
    await wait(2_000);
    const since = performance.now();
    const before = arrivals.visitors.length;
    await gateway.stop();
    const endMs = performance.now() - since;
    await arrivals.stop();
    const counts = outcomesOf(arrivals.visitors);
    return { ...counts, slowestMs: 0, over100: 0, awayMs: 0, backMs: endMs, shares: [before] };
  } finally {
    await arrivals.stop();
    for (const visitor of arrivals.visitors) visitor.leave();
    await gateway.stop();
  }
}

/** Connections of each worker after so many that came a few at a time. */
async function measureSpread(scheduling) {
  const gateway = await startGateway(scheduling);
  const visitors = [];
  try {
    const pids = (await readyOf(gateway)).map(({ pid }) => pid);
    const spreads = [];
    // A small house: one now and then.
    for (let i = 0; i < 20; i++) {
      visitors.push(new Visitor(gateway.port));
      await wait(100);
    }
    spreads.push(sharesOf(gateway.port, pids));
    for (const count of [1_000, 10_000]) {
      const come = async () => {
        while (visitors.length < count) {
          const visitor = new Visitor(gateway.port);
          visitors.push(visitor);
          await visitor.came;
        }
      };
      await Promise.all(Array.from({ length: 32 }, come));
      spreads.push(sharesOf(gateway.port, pids));
    }
    return spreads;
  } finally {
    for (const visitor of visitors) visitor.leave();
    await gateway.stop();
  }
}

const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
const round = (ms) => (ms / 1000).toFixed(1);
const names = [...Object.keys(FAULTS), 'drain (SIGTERM)', 'spread'].filter(
  (name) => WANTED.length === 0 || WANTED.some((word) => name.includes(word)),
);
console.log(
  `${WORKERS} workers, ${RESIDENTS} connected, ${RATE} more per second; seconds; one row for each round\n`,
);
row([
  'fault',
  'way',
  'came',
  'refused',
  'reset',
  'no answer',
  'sent away',
  'waited > 100 ms',
  'longest wait',
  'longest away',
  'all back',
  'connections per worker',
]);
row(Array(12).fill('---'));
for (let at = 0; at < ROUNDS; at++)
  for (const name of names)
    for (const way of WAYS) {
      if (name === 'spread') {
        const spreads = await measureSpread(way);
        row([
          '20 one by one, 1,000, 10,000',
          way,
          ...Array(9).fill(''),
          spreads.map((shares) => shares.join(' ')).join('; '),
        ]);
        continue;
      }
      const found = name.startsWith('drain') ? await measureDrain(way) : await measureFault(way, name);
      const came = found.ok + found.refused + found.reset + found.silence + found['sent away'];
      row([
        ...[name, way, came, found.refused, found.reset, found.silence, found['sent away']],
        ...[
          found.over100,
          round(found.slowestMs),
          round(found.awayMs),
          round(found.backMs),
          found.shares.join(' '),
        ],
      ]);
    }
