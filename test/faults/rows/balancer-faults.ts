// Load balancers that cut who is silent: nginx and HAProxy with an idle time-out of 5 s.
import { type Balancer, startBalancer } from '../balancer.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const IDLE_S = 5;

/** Clients that hardly speak: what they hear most is the gateway's ping. */
const SILENT = { clients: 60, ratePerSecond: 2, roomSize: 0 };

function idle(kind: Balancer, pingIntervalMs: number) {
  return async (scene: Scene): Promise<Outcome> => {
    const gateway = await scene.gateway({ env: { PING_INTERVAL_MS: String(pingIntervalMs) } });
    await scene.crowd({ ...SILENT, urls: [(await startBalancer(scene, kind, [gateway], IDLE_S)).url] });
    await scene.load.talk();
    await scene.calm((scene.quick ? 3 : 6) * IDLE_S * 1000);
    const isCut = pingIntervalMs >= IDLE_S * 1000;
    // Who is cut again and again is back again and again, but hardly ever all of them at one moment.
    if (isCut) await expectReturns(scene);
    else await scene.healed();
    const outcome = await scene.judge();
    const cuts = Object.values(outcome.report.closes).reduce((sum, count) => sum + count, 0);
    scene.figures.cuts = cuts;
    if (isCut) scene.expect(cuts > 0, 'the balancer did not cut');
    else
      scene.expect(
        cuts === 0,
        `the balancer cut in spite of the pings: ${JSON.stringify(outcome.report.closes)}`,
      );
    return outcome;
  };
}

/** Every client that was cut went on with its session. */
async function expectReturns(scene: Scene): Promise<void> {
  const { resumed, fresh } = await scene.load.returns();
  scene.figures.resumed = resumed;
  scene.expect(resumed >= SILENT.clients, `${resumed} resumes of ${SILENT.clients} clients`);
  scene.expect(fresh === 0, `${fresh} sessions were lost`);
}

export const rows: readonly Row[] = [
  {
    id: 'F44',
    title: 'nginx cuts after 5 s of silence, ping every 2 s',
    quick: false,
    run: idle('nginx', 2000),
  },
  { id: 'F44C', title: 'the same, ping too late: cut, and back', quick: false, run: idle('nginx', 25_000) },
  {
    id: 'F44H',
    title: 'HAProxy cuts after 5 s of silence, ping every 2 s',
    quick: false,
    run: idle('haproxy', 2000),
  },
  {
    id: 'F44HC',
    title: 'the same, ping too late: cut, and back',
    quick: false,
    run: idle('haproxy', 25_000),
  },
];
