// Tabs that come, go, crash and freeze at random while all of them send: what was accepted came once and in order, and every tab that lived heard all.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayProcess, startGateway } from '../../gateway-process.js';
import { play } from './tabs-model.js';

/** More of them by `SEEDS=200`, others by `FIRST_SEED=201`. */
const SEEDS = Number(process.env.SEEDS ?? 4);
const FIRST_SEED = Number(process.env.FIRST_SEED ?? 1);

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({ WORKERS: '1' });
}, 30_000);
afterAll(async () => {
  await gateway.stop();
}, 30_000);

const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index);

test.each(
  seeds.flatMap((seed): [way: string, seed: number, isGentle: boolean][] => [
    ['come and go', seed, true],
    ['come, go, freeze, hang and lose what was said to them,', seed, false],
  ]),
)(
  'tabs that %s lose nothing and double nothing of what was accepted, seed %i',
  async (_way, seed, isGentle) => {
    const trace: string[] = [];
    const faults = await play({
      seed,
      url: gateway.url,
      isGentle,
      // Waits are long where nobody hangs: a slow machine is not to be taken for one who does. They are short where many do.
      speed: isGentle ? 0.2 : 10,
      trace: (line) => trace.push(line),
    });
    // What was played explains a fault.
    if (faults.length > 0) process.stdout.write(`seed ${String(seed)}:\n${trace.join('\n')}\n`);
    expect(faults).toEqual([]);
  },
  150_000,
);
