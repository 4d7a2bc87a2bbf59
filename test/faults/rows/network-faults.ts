// Partitions between machines: gateways a and b and a Redis, each in a network namespace. Need root.
import { pause, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import { type Machines, makeMachines } from '../namespaces.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

interface Place {
  machines: Machines;
  a: GatewayNode;
  b: GatewayNode;
}

/** Clients come through a load balancer outside. */
async function populated(scene: Scene): Promise<Place> {
  const machines = makeMachines(['a', 'b', 'db']);
  scene.atEnd(() => machines.close());
  const redis = await scene.redis({ host: machines.addressOf('db'), wrap: machines.wrap('db') });
  const start = (name: string): Promise<GatewayNode> =>
    scene.gateway({
      host: machines.addressOf(name),
      wrap: machines.wrap(name),
      env: { REDIS_URL: redis.url, NODE_NAME: name },
    });
  const [a, b] = await Promise.all([start('a'), start('b')]);
  const front = await scene.proxy([a, b]);
  await scene.crowd({
    urls: [`ws://127.0.0.1:${front.port}`],
    clients: scene.quick ? 30 : 60,
    ratePerSecond: scene.quick ? 100 : 200,
  });
  await scene.load.talk();
  await scene.calm(1500);
  return { machines, a, b };
}

async function ended(scene: Scene, nodes: readonly GatewayNode[]): Promise<Outcome> {
  await scene.calm(2500);
  for (const node of nodes) scene.expect(!node.isOver, 'a gateway ended');
  return await scene.judge();
}

/** No window: nodes talk through Redis only. */
async function partNodes(scene: Scene): Promise<Outcome> {
  const { machines, a, b } = await populated(scene);
  machines.partition('a', 'b');
  await scene.calm(scene.quick ? 3000 : 10_000);
  const { clients, connected } = await scene.load.counts();
  scene.expect(connected === clients, `${clients - connected} clients lost their connection`);
  machines.heal();
  const outcome = await ended(scene, [a, b]);
  scene.expect(outcome.report.recoveryP99Ms === null, 'connections ended');
  return outcome;
}

function partFromStore(direction: 'both' | 'to a', quickMs: number, ms: number) {
  return async (scene: Scene): Promise<Outcome> => {
    const { machines, a, b } = await populated(scene);
    await scene.fault(`parting a from Redis (${direction})`, async () => {
      machines.partition('a', 'db', direction);
      await waitFor('a to say that it is not ready', async () => (await a.readiness()) !== 200);
      await pause(scene.quick ? quickMs : ms);
      const { clients, connected } = await scene.load.counts();
      scene.figures.connectedWhileParted = `${connected}/${clients}`;
      machines.heal();
      await waitFor('a to be ready again', async () => (await a.readiness()) === 200, 30_000);
      await scene.healed();
    });
    return await ended(scene, [a, b]);
  };
}

/** A machine whose cable is out: nobody says goodbye, the others take its clients over. */
async function pullCable(scene: Scene): Promise<Outcome> {
  const { machines, a, b } = await populated(scene);
  await scene.fault('pulling the cable of a', async () => {
    machines.link('a', 'down');
    await pause(scene.quick ? 3000 : 10_000);
    machines.link('a', 'up');
    await waitFor('a to be ready again', async () => (await a.readiness()) === 200, 60_000);
    await scene.healed(90_000);
  });
  return await ended(scene, [a, b]);
}

export const rows: readonly Row[] = [
  { id: 'F22', title: 'partition between two gateways', quick: false, run: partNodes },
  {
    id: 'F23',
    title: 'partition between a gateway and Redis',
    quick: false,
    run: partFromStore('both', 4000, 30_000),
  },
  {
    id: 'F24N',
    title: 'a gateway does not hear Redis, Redis hears it',
    quick: false,
    run: partFromStore('to a', 4000, 15_000),
  },
  { id: 'F30N', title: "a gateway's cable is out for a while", quick: false, run: pullCable },
];
