// Starts the server under test in processes of its own, waits until it takes connections, and stops it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { processTree } from './machine.mjs';

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 8_000;
/** Most of a server's own words that are kept, characters: shown when it fails. */
const OUTPUT_LIMIT = 16_384;

/** Different ones: all are open before the first is closed. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  for (const server of servers) server.close();
  await Promise.all(servers.map((server) => once(server, 'close')));
  return ports;
}

/** Those that run: whatever ends the benchmark ends them. */
const running = new Set();
process.once('exit', () => {
  for (const server of running) killAll(server.pids);
});

function killAll(pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
}

export class ServerProcess {
  #child;
  #output = '';

  static async start(system) {
    const server = new ServerProcess(system, await freePorts(system.ports ?? 1));
    try {
      await server.#untilReady(system);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  constructor(system, ports) {
    const { script, nodeArgs = [], args = [], env } = system.server(ports);
    this.ports = ports;
    this.#child = spawn(process.execPath, [...nodeArgs, script, ...args], {
      env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    this.#child.once('exit', () => running.delete(this));
    const keep = (text) => (this.#output = (this.#output + text).slice(-OUTPUT_LIMIT));
    this.#child.stdout.setEncoding('utf8').on('data', keep);
    this.#child.stderr.setEncoding('utf8').on('data', keep);
  }

  /** What it has printed, the end of it. */
  get output() {
    return this.#output;
  }

  /** All its processes: primary and workers. */
  get pids() {
    return processTree(this.#child.pid);
  }

  get #exited() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async #untilReady(system) {
    const deadline = Date.now() + START_LIMIT_MS;
    while (!(await system.isReady(this.ports, this.#output))) {
      if (this.#exited || Date.now() > deadline) {
        throw new Error(`${system.label} did not start:\n${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** By its own way of ending; what does not end in time is killed. */
  async stop() {
    if (this.#exited) return;
    const ended = once(this.#child, 'exit');
    const tree = this.pids;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => killAll(tree), STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
    // What signalbox warned of, or worse, is part of the result.
    for (const line of this.#output.split('\n'))
      if (/^\{"level":[456]0,/.test(line)) console.error(`      ${line}`);
  }
}
