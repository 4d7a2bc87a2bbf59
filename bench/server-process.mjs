// Starts the server under test in processes of its own, waits until it takes connections, and stops it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { processTree } from './machine.mjs';

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;
/** Most of a server's own words that are kept, characters: shown when it fails. */
const OUTPUT_LIMIT = 16_384;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class ServerProcess {
  #child;
  #output = '';

  static async start(system) {
    const port = await freePort();
    const server = new ServerProcess(system, port);
    try {
      await server.#untilReady(system);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  constructor(system, port) {
    const { script, nodeArgs = [], args = [], env } = system.server(port);
    this.port = port;
    this.#child = spawn(process.execPath, [...nodeArgs, script, ...args], {
      env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (text) => (this.#output = (this.#output + text).slice(-OUTPUT_LIMIT));
    this.#child.stdout.setEncoding('utf8').on('data', keep);
    this.#child.stderr.setEncoding('utf8').on('data', keep);
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
    while (!(await system.isReady(this.port, this.#output))) {
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
    const timer = setTimeout(() => {
      for (const pid of tree) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone already.
        }
      }
    }, STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
  }
}
