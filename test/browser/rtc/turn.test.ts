// Two pages that may only use a TURN server connect through a real coturn, with credentials that the gateway made.
import { afterEach, describe, expect, test } from '@jest/globals';
import { tokenOf, until } from '../../gateway-process.js';
import { LOCAL_CALLS, startTurnServer, type TurnProcess } from '../../turn-server.js';
import { Stage } from './scene.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const NEW_SECRET = 'the-secret-that-follows-it';
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What bob's `onPeer` sends back, and the pair of candidates that it went by. */
const CALL = `(async () => {
  const peer = await client.peer('bob', { iceTransportPolicy: 'relay' });
  window.peer = peer;
  const channel = (window.channel = await peer.createDataChannel('c', {}, { timeoutMs: 20000 }));
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

/** How a page reaches the relay that its call goes by. */
const WAY_TO_RELAY = `(async () => {
  const stats = await peer.peer.getStats();
  const used = [...stats.values()].filter(({ type, nominated }) => type === 'candidate-pair' && nominated);
  return [...new Set(used.map(({ localCandidateId }) => stats.get(localCandidateId).relayProtocol))];
})()`;

const urlsOf = ({ port }: TurnProcess): [udp: string, tcp: string] => {
  const url = `turn:127.0.0.1:${String(port)}?transport=`;
  return [`${url}udp`, `${url}tcp`];
};

async function openStage(turn: TurnProcess, env: Record<string, string>): Promise<Stage> {
  const [TURN_URLS] = urlsOf(turn);
  const stage = await Stage.open(['Chromium', 'Chromium'], { TURN_URLS, TURN_SECRET: SECRET, ...env });
  closers.push(() => stage.close());
  return stage;
}

async function open(env: Record<string, string>, secrets = [SECRET]) {
  const turn = await startTurnServer(secrets);
  closers.push(() => turn.stop());
  return { turn, stage: await openStage(turn, env) };
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

  test('connects over TCP where the network takes no UDP to the server', async () => {
    const turn = await startTurnServer([SECRET], `${LOCAL_CALLS}no-udp\n`);
    closers.push(() => turn.stop());
    const stage = await openStage(turn, { TURN_URLS: urlsOf(turn).join() });
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    expect([await alice.evaluate(WAY_TO_RELAY), await bob.evaluate(WAY_TO_RELAY)]).toEqual([
      ['tcp'],
      ['tcp'],
    ]);
  }, 90_000);

  test('connects with either secret, and a call goes on, while the secret is changed', async () => {
    const { turn, stage } = await open({}, [SECRET, NEW_SECRET]);
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    const after = await openStage(turn, { TURN_SECRET: NEW_SECRET });
    const [late, called] = after.pages;
    await called.evaluate(ANSWER);
    expect(await late.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    expect(await alice.evaluate(`echo(channel, 'still')`)).toBe('still');
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

  test('goes on over another server when its own dies, the only one of its region', async () => {
    const [near, far] = [await startTurnServer([SECRET]), await startTurnServer([SECRET])];
    closers.push(
      () => near.stop(),
      () => far.stop(),
    );
    // Servers are told apart by their hosts.
    const farUrl = urlsOf(far)[0].replace('127.0.0.1', 'localhost');
    const stage = await openStage(near, {
      TURN_URLS: `eu=${urlsOf(near)[0]},us=${farUrl}`,
      TURN_REGION: 'eu',
      TURN_CHECK_MS: '200',
    });
    const [alice, bob] = stage.pages;
    await bob.evaluate(ANSWER);
    expect(await alice.evaluate(CALL)).toEqual(['through the relay', ['relay']]);
    expect(far.output()).not.toContain('ALLOCATE processed, success');
    await near.stop();
    expect(await alice.evaluate(`echo(channel, 'still')`)).toBe('still');
    expect(far.output()).toContain('ALLOCATE processed, success');
  }, 150_000);

  test('restarts with credentials that were renewed in band', async () => {
    const { turn, stage } = await open({ TURN_TTL_S: '20' });
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
    // The server takes them, and the call goes on.
    await until(() => turn.output().includes(`new, realm=<signalbox.test>, username=<${String(renewed)}>`));
    expect(await alice.evaluate(`echo(channel, 'still')`)).toBe('still');
  }, 150_000);
});

test.each(['Chromium', 'Firefox'])(
  'each end of a call in %s takes an allocation for each URL of a server, whatever way it will go',
  async (browser) => {
    const turn = await startTurnServer([SECRET]);
    closers.push(() => turn.stop());
    const stage = await Stage.open([browser, browser], {
      TURN_URLS: urlsOf(turn).join(),
      TURN_SECRET: SECRET,
    });
    closers.push(() => stage.close());
    const taken = (): number => turn.output().match(/ALLOCATE processed, success/g)?.length ?? 0;
    const gather = (urls: string): string => `(async () => {
      const iceServers = client.iceServers.map((server) => ({ ...server, urls: ${urls} }));
      const connection = new RTCPeerConnection({ iceServers });
      connection.createDataChannel('c');
      await connection.setLocalDescription();
      await until(() => connection.iceGatheringState === 'complete');
      connection.close();
    })()`;
    await stage.pages[0].evaluate(gather('server.urls.slice(0, 1)'));
    const byUdp = taken();
    await stage.pages[0].evaluate(gather('server.urls'));
    const byBoth = taken() - byUdp;
    process.stdout.write(
      `${browser}: allocations of a connection, by UDP ${String(byUdp)}, by UDP and TCP ${String(byBoth)}\n`,
    );
    // More than one where the machine has several addresses.
    expect(byUdp).toBeGreaterThan(0);
    expect(byBoth).toBe(2 * byUdp);
  },
  90_000,
);

test('a client without the permission gets no TURN server', async () => {
  const { stage } = await open({ STUN_URLS: 'stun:127.0.0.1:9' });
  const [page] = stage.pages;
  const token = tokenOf('carol', { send: ['*'] });
  await page.evaluate(`client.close()`);
  await page.evaluate(`connectClient('${stage.gateway.url}', '${token}')`);
  expect(await page.evaluate('client.iceServers')).toEqual([{ urls: ['stun:127.0.0.1:9'] }]);
}, 60_000);
