// Who sends to whom: pairs of clients whose ends are held by different processes of the server, where it has several.
import { ownersOfPorts } from './machine.mjs';
import { shareOut } from './statistics.mjs';

/** Connects two clients for each pair; returns the pairs of each generator, and the share of pairs that go across processes. */
export async function connectPairs(system, server, generators, { pairs, atOnce = 1 }) {
  const shares = shareOut(pairs, generators.size);
  // One generator after the other, by default one client after the other: so every balancer spreads them evenly.
  const answers = await generators.askEach((index) => {
    const ids = Array.from({ length: shares[index] * 2 }, (_, i) => `bench-${index}-${i}`);
    return { type: 'connect', driver: system.driver, ports: server.ports, ids, atOnce };
  });
  const owners = ownersOfPorts(server.ports, server.pids);
  const holderOf = (port) => {
    const holder = owners.get(port);
    if (holder === undefined) throw new Error('a connection that no process of the server holds');
    return holder;
  };
  const paired = answers.map(({ ports }) =>
    pairAcross(ports.map(([id, port]) => ({ id, holder: holderOf(port) }))),
  );
  const all = paired.flat();
  return {
    pairs: paired.map((list) => list.map(([a, b]) => [a.id, b.id])),
    across: all.filter(([a, b]) => a.holder !== b.holder).length / all.length,
  };
}

/** Enough for V8 to have compiled what a message runs through, on a machine that is busy too. */
const WARM_MESSAGES = 60_000;
const WARM_LIMIT_MS = 10_000;

export async function warmUp(generators, pairs, { payload, window = 8, inFlight }) {
  const messages = WARM_MESSAGES / generators.size;
  await generators.askAll((index) => ({
    type: 'warmUp',
    pairs: pairs[index],
    window,
    inFlight: inFlight === undefined ? undefined : Math.ceil(inFlight / generators.size),
    payload,
    messages,
    limitMs: WARM_LIMIT_MS,
  }));
}

/**
 * Pairs as many as possible of different holders, and each two holders alike often: the largest group gives the first end, of the
 * other groups the one that it has been paired with least gives the second.
 */
export function pairAcross(clients) {
  const groups = new Map();
  for (const client of clients) groups.set(client.holder, [...(groups.get(client.holder) ?? []), client]);
  const made = new Map();
  const key = (a, b) => [a, b].sort().join();
  const times = (a, b) => made.get(key(a, b)) ?? 0;
  const pairs = [];
  for (let left = clients.length; left > 1; left -= 2) {
    const open = [...groups.keys()].filter((holder) => groups.get(holder).length > 0);
    open.sort((a, b) => groups.get(b).length - groups.get(a).length);
    const [first, ...others] = open;
    others.sort((a, b) => times(first, a) - times(first, b) || groups.get(b).length - groups.get(a).length);
    const second = others[0] ?? first;
    made.set(key(first, second), times(first, second) + 1);
    pairs.push([groups.get(first).pop(), groups.get(second).pop()]);
  }
  return pairs;
}
