// Both claims of a pair, or none: always in the order of the names, so that of crossing claims one gets both.
import type { ClientId, PairId } from '../protocol/ids.js';
import type { Store } from '../session/store/store.js';

type Claims = Pick<Store, 'claimPair' | 'freePair'>;

/** False where one of the two is in another pair, or is being asked into one: nothing is claimed then. */
export async function claimBoth(
  store: Claims,
  clients: readonly [ClientId, ClientId],
  pair: PairId,
  leaseMs: number,
): Promise<boolean> {
  const [first, second] = clients[0] < clients[1] ? clients : [clients[1], clients[0]];
  try {
    if (!(await store.claimPair(first, pair, leaseMs))) return false;
    if (await store.claimPair(second, pair, leaseMs)) return true;
  } catch (error) {
    // Either may have happened.
    await freeBoth(store, clients, pair);
    throw error;
  }
  await freeBoth(store, [first, first], pair);
  return false;
}

/** What cannot be freed now lapses by itself. */
export async function freeBoth(
  store: Claims,
  clients: readonly [ClientId, ClientId],
  pair: PairId,
): Promise<void> {
  await Promise.allSettled([...new Set(clients)].map((client) => store.freePair(client, pair)));
}
