// npm run load [-- SCENARIO…] [--stop-worker]: starts a gateway (or takes TARGET) and runs artillery's scenarios on it.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const artilleryCli = createRequire(import.meta.url).resolve('artillery/bin/run');
const SCENARIOS = readdirSync(path('scenarios/')).map((file) => file.replace(/\.yml$/, ''));

const USAGE = `usage: npm run load [-- SCENARIO…] [--stop-worker]
  scenarios      ${SCENARIOS.join(', ')} (default: all, one after the other)
  --stop-worker  freezes one worker for some seconds in the middle of each: the run must turn red
  TARGET=ws://…  takes that gateway instead of starting one; JWT_SECRET must be its secret`;

/** How long a load may run before a worker is stopped, and for how long; shorter than the watchdog's patience (5 s). */
const STOP_AFTER_MS = 6000;
const STOP_FOR_MS = 4000;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'stop-worker': { type: 'boolean', default: false } },
  });
  const unknown = positionals.find((name) => !SCENARIOS.includes(name));
  if (unknown !== undefined) throw new Error(`no scenario ${unknown}`);
  const { TARGET: target, JWT_SECRET: secret } = process.env;
  if (target && !secret) throw new Error('TARGET needs JWT_SECRET beside it, to sign tokens with');
  if (target && values['stop-worker'])
    throw new Error('--stop-worker is for a gateway that this command starts');
  return {
    scenarios: positionals.length > 0 ? positionals : SCENARIOS,
    stopWorker: values['stop-worker'],
    target,
    secret: target ? secret : randomBytes(32).toString('hex'),
  };
}

/** A gateway with two workers on this machine, with the limits that it ships with. */
async function startGateway(secret) {
  const adminKey = randomBytes(24).toString('hex');
  const child = spawn(process.execPath, [path('../dist/cli.js'), 'start'], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_PORT: '0',
      ADMIN_KEY: adminKey,
      WORKERS: '2',
      JWT_SECRET: secret,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const { port, adminPort } = await readyLine(child);
  return {
    target: `ws://127.0.0.1:${port}`,
    stopWorker: async () => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/workers`, {
        headers: { Authorization: `Bearer ${adminKey}` },
      });
      const [{ id, pid }] = (await response.json()).workers;
      console.log(`\nStopping worker ${id} (pid ${pid}) for ${STOP_FOR_MS / 1000} s.\n`);
      process.kill(pid, 'SIGSTOP');
      return () => process.kill(pid, 'SIGCONT');
    },
    close: async () => {
      child.kill('SIGTERM');
      const [code] = await exited;
      if (code !== 0) throw new Error(`the gateway ended with ${code}`);
    },
  };
}

/** Ports from the log; what comes after is read and dropped, warnings are shown. */
function readyLine(child) {
  let rest = '';
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the gateway did not start (${code})`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.includes('"signalbox is ready"')) resolve(JSON.parse(line));
        else if (/"level":"(warn|error|fatal)"|"level":[456]0/.test(line)) console.log(`gateway: ${line}`);
      }
    });
  });
}

/** @returns artillery's exit code: not 0 when a threshold fails */
async function runScenario(name, target, secret) {
  const child = spawn(
    process.execPath,
    [artilleryCli, 'run', '--target', target, path(`scenarios/${name}.yml`)],
    {
      cwd: path('.'),
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, JWT_SECRET: secret, ARTILLERY_DISABLE_TELEMETRY: 'true' },
    },
  );
  const [code, signal] = await once(child, 'exit');
  return code ?? `killed by ${signal}`;
}

async function stopInTheMiddle(gateway, ended) {
  const pause = (ms) => Promise.race([ended, new Promise((resolve) => setTimeout(resolve, ms))]);
  await pause(STOP_AFTER_MS);
  const go = await gateway.stopWorker();
  await pause(STOP_FOR_MS);
  go();
}

async function main(options) {
  const gateway = options.target ? null : await startGateway(options.secret);
  const target = options.target ?? gateway.target;
  const results = [];
  try {
    for (const name of options.scenarios) {
      console.log(`\n── ${name} on ${target} ──`);
      const running = runScenario(name, target, options.secret);
      if (options.stopWorker) await stopInTheMiddle(gateway, running);
      results.push({ name, code: await running });
    }
  } finally {
    await gateway?.close();
  }
  console.log('');
  for (const { name, code } of results)
    console.log(`${code === 0 ? '✓' : '✗'} ${name}${code === 0 ? '' : ` (artillery: ${code})`}`);
  return results.every(({ code }) => code === 0) ? 0 : 1;
}

let options;
try {
  options = readOptions();
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(2);
}
process.exitCode = await main(options);
