// Pairs in a worker: what a session holds is let go when the session goes, whatever it has said of it before.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { PairId } from '../../src/protocol/ids.js';
import { Pairs } from '../../src/relay/pairs.js';
import { Refusals } from '../../src/session/refusals.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { Store } from '../../src/session/store/store.js';
import { createReceiver } from './receiver.js';

const PAIR = 'AAAAAAAAAAAAAAAAAAAAAA' as PairId;

describe('the pairs of a worker', () => {
  const ann = createReceiver('ann', 'ann');
  const bob = createReceiver('bob', 'bob');
  let registry: SessionRegistry;
  let pairs: Pairs;
  let told: string[];
  let renewed: number;
  let answerHold: () => void;
  let claims: PairId[];
  beforeEach(() => {
    [told, renewed, claims] = [[], 0, [PAIR]];
    registry = new SessionRegistry();
    registry.add(ann.session);
    const store: Partial<Store> = {
      holdPair: () => {
        renewed++;
        return new Promise((resolve) => (answerHold = () => resolve(true)));
      },
      pairsOf: () => Promise.resolve(claims),
      freePair: () => Promise.resolve(),
    };
    pairs = new Pairs({
      store: store as Store,
      registry,
      requests: { offerPair: () => undefined },
      letters: { unpair: (client, _session, _pair, code) => told.push(`${client} ${code}`) },
      refusals: new Refusals(60, () => undefined),
      leaseMs: 10_000,
    });
  });
  const frame = { type: 'holdPair', ref: 1, pair: PAIR, to: `bob#${bob.session.ref.session}` } as const;
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  test('a session that came back and said good-bye before it held its pair anew lets go of it', async () => {
    pairs.hold(ann.session, frame);
    answerHold();
    await settle();
    const later = createReceiver('ann', 'ann').session;
    registry.add(later);
    pairs.leave(later, true);
    await settle();
    expect(told).toEqual(['bob partner_gone']);
    renewed = 0;
    await pairs.step();
    expect(renewed).toBe(0);
  });

  test('nothing is held for a session that went while the store was asked', async () => {
    pairs.hold(ann.session, frame);
    registry.remove(ann.session);
    answerHold();
    await settle();
    renewed = 0;
    await pairs.step();
    expect(renewed).toBe(0);
  });

  test('a partner that is gone is told of when it was missed twice: who has ended the pair says so in the meantime', async () => {
    const { session, frames } = ann;
    pairs.hold(session, frame);
    answerHold();
    await settle();
    const step = async (): Promise<void> => {
      const stepping = pairs.step();
      answerHold();
      await stepping;
    };
    const gone = () => frames.filter(({ type }) => type === 'unpaired');
    claims = [];
    await step();
    expect(gone()).toEqual([]);
    claims = [PAIR];
    await step();
    claims = [];
    await step();
    expect(gone()).toEqual([]);
    await step();
    expect(gone()).toEqual([{ type: 'unpaired', pair: PAIR, code: 'partner_gone' }]);
  });
});
