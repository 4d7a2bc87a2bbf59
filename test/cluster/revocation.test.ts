// Revocation: a token or a client that is not welcome any more is cut off everywhere, and does not come back.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { JSON_SUBPROTOCOL } from '../../src/protocol/subprotocol.js';
import { ADMIN_KEY, type GatewayProcess, tokenOf, until } from '../gateway-process.js';
import { type Deployment, deploy } from './deployment.js';

interface Connected {
  socket: WebSocket;
  closed: Promise<number>;
}

/** Resolves at the welcome, or with the close code where there is none. */
async function connect(gateway: GatewayProcess, token: string): Promise<Connected | number> {
  const socket = new WebSocket(`${gateway.url}/v1/connect`, [JSON_SUBPROTOCOL]);
  const closed = once(socket, 'close').then(([code]) => code as number);
  const welcome = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const [type] = JSON.parse(data.toString()) as number[];
      if (type === 1) resolve();
      if (type === 2) socket.send('[3]');
    });
  });
  await once(socket, 'open');
  socket.send(JSON.stringify([0, 1, token, null, null]));
  return await Promise.race([welcome.then(() => ({ socket, closed })), closed]);
}

async function connected(gateway: GatewayProcess, token: string): Promise<Connected> {
  const result = await connect(gateway, token);
  if (typeof result === 'number') throw new Error(`closed with ${String(result)}`);
  return result;
}

/** How a connection with this token ends: refused at once, or cut off where the worker had not heard yet. */
async function endOf(gateway: GatewayProcess, token: string): Promise<number> {
  const result = await connect(gateway, token);
  return typeof result === 'number' ? result : await result.closed;
}

async function revoke(gateway: GatewayProcess, body: unknown, key = ADMIN_KEY): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${String(gateway.adminPort)}/api/v1/revocations`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return response.status;
}

describe.each(['embedded', 'redis'] as const)('with the %s store', (store) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy(store);
  });
  afterAll(() => deployment.stop());
  const nodes = (): [GatewayProcess, GatewayProcess] => {
    const [here, there = here] = deployment.gateways;
    if (here === undefined || there === undefined) throw new Error('no gateway');
    return [here, there];
  };
  const seconds = () => Math.floor(Date.now() / 1000);

  test('a revoked token ends its connections on every node, and no others of the client', async () => {
    const [here, there] = nodes();
    const token = tokenOf('alice', '*', { jti: 'stolen' });
    const stolen = await connected(there, token);
    const own = await connected(there, tokenOf('alice', '*', { jti: 'own' }));
    expect(await revoke(here, { token: 'stolen' })).toBe(200);
    await expect(stolen.closed).resolves.toBe(4504);
    expect([4501, 4504]).toContain(await endOf(there, token));
    expect([4501, 4504]).toContain(await endOf(here, token));
    await until(async () => (await endOf(here, token)) === 4501);
    expect(own.socket.readyState).toBe(WebSocket.OPEN);
    own.socket.close();
  });

  test('a revoked client is cut off with all tokens that it had, and comes back with a newer one', async () => {
    const [here, there] = nodes();
    const old = tokenOf('mallory', '*', { iat: seconds() - 10, exp: seconds() + 600 });
    const [a, b] = [await connected(here, old), await connected(there, old)];
    expect(await revoke(here, { client: 'mallory', before: seconds() - 5 })).toBe(200);
    await expect(Promise.all([a.closed, b.closed])).resolves.toEqual([4504, 4504]);
    expect([4501, 4504]).toContain(await endOf(there, old));
    const back = await connected(there, tokenOf('mallory'));
    back.socket.close();
  });

  test.each([
    ['nothing', {}],
    ['both', { client: 'a', token: 'b' }],
    ['no client id', { client: 'a b' }],
    ['an empty token id', { token: '' }],
    ['a time that is none', { client: 'a', before: 'now' }],
    ['a longer time than a token lives', { client: 'a', ttlS: 1e9 }],
    ['an unknown field', { client: 'a', untl: 1 }],
    ['no JSON', 'client=a'],
    ['too long a body', JSON.stringify({ token: 'x'.repeat(5000) })],
  ])('a revocation of %s is refused', async (_, body) => {
    const [here] = nodes();
    expect(await revoke(here, body)).toBe(400);
  });

  test('without the operator’s key nothing is revoked', async () => {
    const [here] = nodes();
    expect(await revoke(here, { client: 'alice' }, 'guess')).toBe(401);
  });
});
