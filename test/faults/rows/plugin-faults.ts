// Plugins that misbehave: whoever they have nothing to do with does not notice.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guest } from '../guest.js';
import { waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** It sees every frame of everybody, and does as a message of the one client `mallory` says. */
const PLUGIN = `export default ({ decode }) => ({
  frameIn(session, frame) {
    if (session.client !== 'mallory' || frame.type !== 'send') return undefined;
    const how = decode(frame.payload);
    if (how === 'throw') throw new Error('bad by design');
    if (how === 'reject') return Promise.reject(new Error('bad by design'));
    if (how === 'hang') return new Promise(() => undefined);
    if (how === 'loop') for (;;);
    return 42;
  },
})`;

async function badPlugin(scene: Scene): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'faults-plugin-'));
  scene.atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'bad.mjs');
  writeFileSync(file, PLUGIN);
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url, PLUGINS: JSON.stringify([file]) } });
  await scene.crowd({ urls: [gateway.url], clients: scene.quick ? 30 : 60, ratePerSecond: 100 });
  await scene.load.talk();
  const mallory = await guest(gateway.url, 'mallory');
  scene.atEnd(() => mallory.close());
  await mallory.connect();
  for (let i = 0; i < 50; i++)
    for (const how of ['throw', 'reject', 'hang', 'rubbish'])
      await mallory.send('u0', 'bad', how, { volatile: true });
  await scene.calm(2_000);
  const { resumed, fresh } = await scene.load.returns();
  scene.expect(resumed + fresh === 0, `${resumed + fresh} connections ended`);
  const faults = await gateway.metric('plugin_faults_total');
  scene.figures.faults = faults;
  scene.expect(faults > 0, 'the plugin had no faults');
  await scene.fault('a loop without end', async () => {
    const pids = (await gateway.workers()).map(({ pid }) => pid);
    await mallory.send('u0', 'bad', 'loop', { volatile: true });
    await mallory.close();
    await waitFor('the watchdog', async () =>
      (await gateway.readyWorkers()).some(({ pid }) => !pids.includes(pid)),
    );
    scene.figures.backMs = await scene.healed();
  });
  await scene.calm(1_000);
  return await scene.judge();
}

export const rows: readonly Row[] = [
  { id: 'F47', title: 'a plugin that throws, hangs, answers rubbish, loops', quick: true, run: badPlugin },
];
