// A process of simulated clients; its parent (load.ts) says what to do next, one message at a time.
import { Population, type PopulationOptions } from './population.js';

export type ToLoad =
  | { verb: 'create'; options: PopulationOptions }
  | { verb: 'talk' | 'counts' | 'returns' | 'delays' | 'end' }
  | { verb: 'settle' | 'conclude'; timeoutMs: number };

let population: Population | null = null;

async function obey(order: ToLoad): Promise<unknown> {
  if (order.verb === 'create') {
    population = await Population.create(order.options);
    return population.counts;
  }
  if (population === null) throw new Error('no population yet');
  switch (order.verb) {
    case 'talk':
      population.talk();
      return null;
    case 'counts':
      return population.counts;
    case 'returns':
      return population.returns;
    case 'delays':
      return population.delaysMs;
    case 'settle':
      return await population.settle(order.timeoutMs);
    case 'conclude':
      await population.conclude(order.timeoutMs);
      return null;
    case 'end':
      await population.end();
      return null;
    default:
      return order satisfies never;
  }
}

process.on('message', (message) => {
  // Only load.ts sends, with its own numbers.
  const { id, order } = message as { id: number; order: ToLoad };
  obey(order).then(
    (answer) => process.send?.({ id, answer }),
    (error: unknown) => process.send?.({ id, error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.on('disconnect', () => process.exit(1));
