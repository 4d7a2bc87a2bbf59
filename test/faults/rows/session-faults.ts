// Faults of identity: one session on many connections, several devices, tokens that run out.
import { pause, waitFor } from '../processes.js';
import { RawSession } from '../raw-session.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

async function twoNodes(scene: Scene, env: Record<string, string> = {}) {
  const redis = await scene.redis();
  const settings = { REDIS_URL: redis.url, ...env };
  return await Promise.all([scene.gateway({ env: settings }), scene.gateway({ env: settings })]);
}

/** Ten connections ask for one session at the same moment, at two nodes; then all of them again with what they were given. */
async function contend(scene: Scene): Promise<Outcome> {
  const nodes = await twoNodes(scene);
  const history = scene.history('contenders');
  const rounds = scene.quick ? 5 : 20;
  let mostLiving = 0;
  for (let round = 0; round < rounds; round++) {
    const name = `twin${round}`;
    const first = await new RawSession(nodes[0].url, name).settled();
    const { welcome } = first;
    if (welcome === null) throw new Error(`no welcome: ${String(first.closed)}`);
    const others = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        new RawSession(nodes[i % 2 === 0 ? 0 : 1].url, name, welcome).settled(),
      ),
    );
    const all = [first, ...others];
    const living = (): RawSession[] =>
      all.filter(({ closed, welcome: mine }) => closed === null && mine?.session === welcome.session);
    await waitFor('one living connection', () => living().length === 1, 5000).catch(() => undefined);
    // Whoever lost must not come to life again.
    await pause(200);
    mostLiving = Math.max(mostLiving, living().length);
    scene.expect(
      living().length === 1,
      `${living().length} connections of ${name} live (seed ${scene.options.seed})`,
    );
    const codes = [...new Set(all.flatMap(({ closed }) => (closed === null ? [] : [closed])))];
    scene.expect(
      codes.every((code) => code === 4503 || code === 4015),
      `losers were closed with ${codes.join()}, not with 4503`,
    );
    for (const raw of all) raw.cut();
  }
  await history.close();
  scene.figures.mostLiving = mostLiving;
  return scene.verdict();
}

/** No window: a token that runs out is refreshed in time, nobody notices. */
async function expireTokens(scene: Scene): Promise<Outcome> {
  const [a, b] = await twoNodes(scene, {
    TOKEN_EXPIRY_WARNING_MS: '3000',
    TOKEN_EXPIRY_GRACE_MS: '3000',
    TOKEN_LEEWAY_S: '0',
  });
  await scene.crowd({ urls: [a.url, b.url], clients: 30, ratePerSecond: 100, tokenLifeS: 6 });
  await scene.load.talk();
  await scene.calm(scene.quick ? 12_000 : 30_000);
  const outcome = await scene.judge();
  scene.expect(
    Object.keys(outcome.report.closes).length === 0,
    `connections ended: ${JSON.stringify(outcome.report.closes)}`,
  );
  return outcome;
}

/** Half of the devices of a client come and go; the limit holds over both nodes. */
async function manyDevices(scene: Scene): Promise<Outcome> {
  const limit = 5;
  const nodes = await twoNodes(scene, { SESSIONS_PER_CLIENT_LIMIT: String(limit) });
  const devices = await Promise.all(
    Array.from({ length: limit + 3 }, (_, i) =>
      new RawSession(nodes[i % 2 === 0 ? 0 : 1].url, 'person').settled(),
    ),
  );
  const open = devices.filter(({ closed, welcome }) => closed === null && welcome !== null);
  scene.expect(open.length === limit, `${open.length} sessions of one client where ${limit} are allowed`);
  const sessions = new Set(open.map(({ welcome }) => welcome?.session));
  scene.expect(sessions.size === open.length, 'two devices share a session');
  for (const device of devices) device.cut();
  scene.figures.open = open.length;
  return scene.verdict();
}

export const rows: readonly Row[] = [
  { id: 'F26', title: 'one session resumed ten times at once, at two nodes', quick: true, run: contend },
  { id: 'F27', title: 'more devices of a client than allowed, at two nodes', quick: false, run: manyDevices },
  { id: 'F33', title: 'tokens expire while connected', quick: false, run: expireTokens },
];
