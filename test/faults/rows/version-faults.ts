// Versions that meet during a deploy: the SDK of an earlier commit with today's gateway, and the reverse.
import { buildOf } from '../earlier-build.js';
import type { GatewayOptions } from '../gateway-node.js';
import type { LoadOptions } from '../load.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** What was delivered before: the last commit of `main` whose clients are in the field. */
const EARLIER = 'ae2867a';

/** Without a fault of anything else: nobody is sent away, everything arrives, as far as the older side promises. */
async function together(
  scene: Scene,
  gatewayOptions: GatewayOptions,
  load: Partial<LoadOptions>,
): Promise<Outcome> {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  const gateway = await scene.gateway({ env, ...gatewayOptions });
  await scene.crowd({ urls: [gateway.url], clients: 40, ratePerSecond: 150, ...load });
  await scene.load.talk();
  await scene.calm(scene.quick ? 3000 : 10_000);
  const { clients, connected } = await scene.load.counts();
  scene.expect(connected === clients, `${clients - connected} clients are not connected`);
  const outcome = await scene.judge();
  scene.figures.received = outcome.report.received;
  scene.expect(outcome.report.received > 0, 'nothing was received');
  scene.expect(Object.keys(outcome.report.closes).length === 0, 'connections ended');
  return outcome;
}

function earlierSdk(scene: Scene): Promise<Outcome> {
  return together(scene, {}, { sdk: buildOf(EARLIER, scene).sdk });
}

function earlierGateway(scene: Scene): Promise<Outcome> {
  return together(scene, { cli: buildOf(EARLIER, scene).cli }, {});
}

export const rows: readonly Row[] = [
  { id: 'F21', title: `SDK of ${EARLIER} with today's gateway`, quick: false, run: earlierSdk },
  { id: 'F21B', title: `today's SDK with the gateway of ${EARLIER}`, quick: false, run: earlierGateway },
];
