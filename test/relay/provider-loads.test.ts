// How busy providers are: own calls exactly, those of others by the provider's last word.
import { describe, expect, test } from '@jest/globals';
import type { SessionId, WorkerId } from '../../src/protocol/ids.js';
import { ProviderLoads } from '../../src/relay/provider-loads.js';

const [a, b, c] = ['a', 'b', 'c'] as [SessionId, SessionId, SessionId];
const places = [a, b, c].map((session) => ({
  session,
  generation: 1,
  worker: 'n.1' as WorkerId,
  connected: true,
}));

describe('the loads of providers', () => {
  test('go round among equals, and skip who has more calls of this worker', () => {
    const loads = new ProviderLoads(() => 0);
    const chosen = Array.from({ length: 6 }, () => loads.leastBusy(places)?.session);
    expect([...chosen].sort()).toEqual([a, a, b, b, c, c]);
    loads.begin(a);
    loads.begin(b);
    expect(Array.from({ length: 4 }, () => loads.leastBusy(places)?.session)).toEqual([c, c, c, c]);
    loads.end(a);
    loads.begin(c);
    expect(Array.from({ length: 4 }, () => loads.leastBusy(places)?.session)).toEqual([a, a, a, a]);
    expect(loads.leastBusy([])).toBeUndefined();
  });

  test('count the calls of others for a second after the provider told of them', () => {
    let now = 0;
    const loads = new ProviderLoads(() => now);
    loads.begin(a);
    loads.tell(a, 5);
    expect(loads.of(a)).toBe(5);
    loads.begin(a);
    expect(loads.of(a)).toBe(6);
    loads.end(a);
    loads.end(a);
    now = 999;
    expect(loads.of(a)).toBe(4);
    now = 1_000;
    expect(loads.of(a)).toBe(0);
    loads.tell(a, 3);
    loads.tell(a, 0);
    expect(loads.of(a)).toBe(0);
  });
});
