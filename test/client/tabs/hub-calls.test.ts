// Calls of tabs under the hub's own refs.
import { expect, test } from '@jest/globals';
import { HubCalls } from '../../../src/client/tabs/hub-calls.js';
import { HubTab } from '../../../src/client/tabs/hub-tab.js';
import type { GatewayFrame, SendFrame } from '../../../src/protocol/frame.js';
import type { EventName } from '../../../src/protocol/ids.js';
import { NO_PAYLOAD } from '../../../src/protocol/payload.js';
import { ManualEnvironment } from '../fixture.js';

test('the refusal of a volatile message finds back to its tab, as long as it is one of the newest 256', () => {
  const calls = new HubCalls(
    {
      id: 'hub',
      environment: new ManualEnvironment(),
      acceptTimeoutMs: 1_000,
      offlineQueueLimitBytes: 1_000,
      home: { id: 'home', keep: () => undefined },
      open: true,
      congested: false,
      write: () => undefined,
      onFrozen: () => undefined,
      onAnswer: () => undefined,
    },
    1,
  );
  const told: number[] = [];
  const tab = new (class extends HubTab {
    override readonly isAttached = true;
    override write(frame: GatewayFrame): void {
      if (frame.type === 'error') told.push(frame.ref);
    }
  })('tab', () => undefined);
  const send = (ref: number): SendFrame => {
    return {
      type: 'send',
      ref,
      seq: 0,
      options: {},
      to: 'bob',
      event: 'e' as EventName,
      payload: NO_PAYLOAD,
    };
  };
  const refs = Array.from({ length: 257 }, (_, index) => calls.call(tab, 0, send(index + 1)).ref);
  for (const ref of refs) calls.answer({ type: 'error', ref, code: 'not_found', text: 'no', expected: null });
  expect(told).toEqual(refs.slice(1).map((_ref, index) => index + 2));
});
