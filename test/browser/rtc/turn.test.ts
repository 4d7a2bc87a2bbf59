// Two pages that may only use a TURN server connect through a real coturn, with credentials that the gateway made.
import { afterEach, describe, expect, test } from '@jest/globals';
import { tokenOf } from '../../gateway-process.js';
import { startTurnServer } from '../../turn-server.js';
import { Stage } from './scene.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What bob's `onPeer` sends back, and the pair of candidates that it went by. */
const CALL = `(async () => {
  const peer = await client.peer('bob', { iceTransportPolicy: 'relay' });
  window.peer = peer;
  const channel = await peer.createDataChannel('c', {}, { timeoutMs: 20000 });
  const back = await echo(channel, 'through the relay');
  const stats = await peer.peer.getStats();
  const types = new Set();
  for (const report of stats.values())
    if (report.type === 'candidate-pair' && report.nominated) types.add(stats.get(report.localCandidateId).candidateType);
  return [back, [...types]];
})()`;
const ANSWER = `client.onPeer((peer) => {
  window.peer = peer;
  peer.on('datachannel', (channel) => channel.addEventListener('message', ({ data }) => channel.send(data)));
}, { iceTransportPolicy: 'relay' }).then(() => true)`;

async function open(env: Record<string, string>, secrets = [SECRET]) {
  const turn = await startTurnServer(secrets);
  closers.push(() => turn.stop());
  const stage = await Stage.open(['Chromium', 'Chromium'], {
    TURN_URLS: `turn:127.0.0.1:${String(turn.port)}`,
    TURN_SECRET: SECRET,
    ...env,
  });
  closers.push(() => stage.close());
  return { turn, stage };
}

describe('a call that may only use relays', () => {
  test('connects through coturn with the credentials of the welcome', async () => {
    const { turn, stage } = await open({});
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    // The server knows both by their client ids.
    expect(turn.output()).toMatch(/user <\d+:alice>/);
    expect(turn.output()).toMatch(/user <\d+:bob>/);
  }, 90_000);

  test('connects while the secret is changed and the server knows only the other one', async () => {
    const { stage } = await open({ TURN_SECRET: 'the-new-secret-of-coturn', TURN_SECRET_2: SECRET });
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
  }, 90_000);

  test('fails, and says why, when the credentials are of a wrong secret', async () => {
    const { stage } = await open({ TURN_SECRET: 'a-secret-that-nobody-knows' });
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    const call = `(async () => {
      const peer = await client.peer('bob', { iceTransportPolicy: 'relay' });
      const code = await peer.createDataChannel('c', {}, { timeoutMs: 5000 }).catch((error) => error.code);
      return [code, peer.errors.some((error) => error.kind === 'ice' && error.code === 401)];
    })()`;
    expect(await alice.evaluate(call)).toEqual(['timeout', true]);
  }, 90_000);

  test('restarts with credentials that were renewed in band', async () => {
    const { turn, stage } = await open({ TURN_TTL_S: '60' });
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    const first = await alice.evaluate('client.iceServers[0].username');
    const renewed = await alice.evaluate(
      `until(() => client.iceServers[0].username !== '${String(first)}' && client.iceServers[0].username, 60000)`,
    );
    await alice.evaluate('peer.restartIce()');
    await alice.evaluate(
      `until(() => peer.peer.getConfiguration().iceServers[0].username === '${String(renewed)}')`,
    );
    await alice.evaluate('peer.agreed()');
    await alice.evaluate(`until(() => peer.peer.iceConnectionState.match(/connected|completed/))`);
    await alice.evaluate(`new Promise((resolve) => setTimeout(resolve, 0))`);
    expect(turn.output()).toContain(String(renewed));
  }, 150_000);
});

test('a client without the permission gets no TURN server', async () => {
  const { stage } = await open({ STUN_URLS: 'stun:127.0.0.1:9' });
  const [page] = stage.pages;
  const token = tokenOf('carol', { send: ['*'] });
  await page.evaluate(`client.close()`);
  await page.evaluate(`connectClient('${stage.gateway.url}', '${token}', 'msgpack')`);
  expect(await page.evaluate('client.iceServers')).toEqual([{ urls: ['stun:127.0.0.1:9'] }]);
}, 60_000);
