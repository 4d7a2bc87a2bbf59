// Calls of tabs under the hub's own refs.
import { expect, test } from '@jest/globals';
import { HubCalls } from '../../../src/client/tabs/hub-calls.js';
import { HubTab } from '../../../src/client/tabs/hub-tab.js';
import type { ToTab } from '../../../src/client/tabs/tab-messages.js';
import type { ClientFrame, GatewayFrame, SendFrame } from '../../../src/protocol/frame.js';
import type { ClientId, EventName } from '../../../src/protocol/ids.js';
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

/** A tab at a hub whose connection, the session's second, is up. */
function welcomedTab() {
  const written: ClientFrame[] = [];
  const told: GatewayFrame[] = [];
  const calls = callsOf(written);
  const tab = tabThatHears(told);
  tab.connections = 1;
  calls.welcomed(true, 2);
  return { written, told, calls, tab };
}

test('who begins anew under the same place hears no answer to what it said before, and its numbers are new ones', () => {
  const { written, told, calls, tab } = welcomedTab();
  const { ref } = calls.call(tab, 1, send(5));
  calls.message(tab, 2, { ...send(6, 1), options: { delivered: true } }, 1);
  calls.noted(tab, 2);
  calls.beginAnew(tab);
  const [first] = written as SendFrame[];
  calls.answer({ type: 'error', ref, code: 'not_found', text: 'no', expected: null });
  calls.answer({ type: 'ok', ref: first?.ref ?? 0, result: { id: '1-0' } });
  calls.delivered({ type: 'delivered', by: 'bob' as ClientId, seq: first?.seq ?? 0 });
  expect(told).toEqual([]);
  calls.message(tab, 3, send(6, 1), 1);
  calls.noted(tab, 3);
  expect((written as SendFrame[]).map(({ seq }) => seq)).toEqual([first?.seq, (first?.seq ?? 0) + 1]);
});

test('that the gateway knows a number which was never written is no acceptance', () => {
  const { written, told, calls, tab } = welcomedTab();
  calls.message(tab, 1, send(6, 1), 1);
  calls.noted(tab, 1);
  const [first] = written as SendFrame[];
  calls.answer({ type: 'ok', ref: first?.ref ?? 0, result: { id: null } });
  expect(told).toMatchObject([{ type: 'error', ref: 6, code: 'unknown_outcome' }]);
});

test.each(['unknown', 'not heard'])(
  'a tab does not keep for sure what ended with an outcome that is %s',
  (how) => {
    const written: ClientFrame[] = [];
    const posted: ToTab[] = [];
    const calls = callsOf(written);
    const tab = new (class extends HubTab {
      override post(message: ToTab): void {
        posted.push(message);
      }
    })('tab', () => undefined);
    Object.assign(tab, { connections: 1, isAttached: true });
    calls.welcomed(true, 2);
    calls.message(tab, 1, send(6, 1), 1);
    calls.noted(tab, 1);
    const [first] = written as SendFrame[];
    posted.length = 0;
    const ref = first?.ref ?? 0;
    if (how === 'unknown') calls.answer({ type: 'ok', ref, result: { id: null } });
    else {
      tab.isAttached = false;
      calls.answer({ type: 'error', ref, code: 'forbidden', text: 'no', expected: null });
    }
    expect(posted[0]).toEqual(['keep', 1, ref, first?.seq]);
  },
);
