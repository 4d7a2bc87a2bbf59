// Calls of tabs under the hub's own refs.
import { expect, test } from '@jest/globals';
import { HubCalls } from '../../../src/client/tabs/hub-calls.js';
import { HubTab } from '../../../src/client/tabs/hub-tab.js';
import type { ClientFrame, GatewayFrame, SendFrame } from '../../../src/protocol/frame.js';
import type { EventName } from '../../../src/protocol/ids.js';
import { msgpackCodec } from '../../../src/protocol/msgpack-codec.js';
import { NO_PAYLOAD } from '../../../src/protocol/payload.js';
import { ManualEnvironment } from '../fixture.js';

function callsOf(written: ClientFrame[] = []): HubCalls {
  return new HubCalls(
    {
      id: 'hub',
      environment: new ManualEnvironment(),
      acceptTimeoutMs: 1_000,
      offlineQueueLimitBytes: 1_000,
      home: { id: 'home', keep: () => undefined },
      open: true,
      congested: false,
      write: (frame) => written.push(frame),
      onFrozen: () => undefined,
      onAnswer: () => undefined,
    },
    2,
  );
}

function send(ref: number, seq = 0): SendFrame {
  return { type: 'send', ref, seq, options: {}, to: 'bob', event: 'e' as EventName, payload: NO_PAYLOAD };
}

/** A tab that remembers what it is told. */
function tabThatHears(told: GatewayFrame[]): HubTab {
  return new (class extends HubTab {
    override readonly isAttached = true;
    override write(frame: GatewayFrame): void {
      told.push(frame);
    }
  })('tab', () => undefined);
}

test.each([
  ['it heard all of the last hub', true, false, 'ok'],
  ['the last hub may have gone on without it', true, true, 'superseded'],
  ['the last hub may not have known of its note', false, false, 'superseded'],
])(
  'that the gateway has the number of a message already means that it was stored only where %s',
  (_when, isSure, isBehind, answer) => {
    const written: ClientFrame[] = [];
    const told: GatewayFrame[] = [];
    const calls = callsOf(written);
    const tab = tabThatHears(told);
    const bytes = (msgpackCodec.encodeClient(send(7, 1)) as Uint8Array).slice();
    Object.assign(tab, {
      connections: 1,
      isBehind,
      notes: [{ at: 3, ref: 40, number: 12, bytes, hub: 'old', isSure }],
    });
    calls.adopt(tab);
    calls.adopted();
    calls.welcomed(true, 2);
    calls.flush();
    expect(written).toMatchObject([{ ref: 40, seq: 12 }]);
    calls.answer({ type: 'ok', ref: 40, result: { id: null } });
    // Its client says it again under another ref, and knows no answer before.
    expect(told).toEqual([]);
    calls.message(tab, 4, send(8, 1), 1);
    expect(told).toMatchObject([
      answer === 'ok' ? { type: 'ok', ref: 8 } : { type: 'error', ref: 8, code: answer },
    ]);
  },
);

test('the refusal of a volatile message finds back to its tab, as long as it is one of the newest 256', () => {
  const calls = callsOf();
  const told: GatewayFrame[] = [];
  const tab = tabThatHears(told);
  const refs = Array.from({ length: 257 }, (_, index) => calls.call(tab, 0, send(index + 1)).ref);
  for (const ref of refs) calls.answer({ type: 'error', ref, code: 'not_found', text: 'no', expected: null });
  expect(told).toMatchObject(refs.slice(1).map((_ref, index) => ({ type: 'error', ref: index + 2 })));
});
