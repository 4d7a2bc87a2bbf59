// A port for a server that is started a moment later: outside of those that the system gives out by itself.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below 32768, where Linux takes the ports of outgoing connections and of servers that ask for any: what was free there may be somebody's
 * before the server of the test has it, or while that is being started anew. And 10,000 above it, where a node of a Redis Cluster has
 * its second port.
 */
const [FIRST, END] = [12_000, 22_700];
const TRIES = 100;

export async function freePort(): Promise<number> {
  for (let tried = 0; tried < TRIES; tried++) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${String(FIRST)} to ${String(END)} is free`);
}

/** Whether a server can listen there now. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
