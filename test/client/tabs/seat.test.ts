// A client's place among the tabs, and what it notices of a hub.
import { expect, test } from '@jest/globals';
import { REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { Seat } from '../../../src/client/tabs/seat.js';

test('a tab that asked a silent hub in vain for long enough does not know any more what it did', () => {
  let now = 0;
  const seat = new Seat({
    platform: {
      channel: () => ({ onmessage: null, postMessage: () => undefined, close: () => undefined }),
      hold: () => new Promise(() => undefined),
      held: () => Promise.resolve([]),
      onPageHidden: () => () => undefined,
    },
    environment: { ...REAL_ENVIRONMENT, now: () => now, after: () => () => undefined },
    socketClass: () => {
      throw new Error('It makes no connection.');
    },
    acceptTimeoutMs: 1,
    connectTimeoutMs: 1,
    offlineQueueLimitBytes: 1,
    agent: '',
  });
  const seen = [0, 2_500, 5_000].map((at) => {
    now = at;
    seat.asks();
    return seat.isBehind;
  });
  expect(seen).toEqual([false, false, true]);
});
