// The answer to the first offer of the other side is sent as it is when it may be sent, with what came meanwhile.
import { expect, test } from '@jest/globals';
import { Negotiation } from '../../../src/client/rtc/negotiation.js';
import { NegotiationDriver } from '../../../src/client/rtc/negotiation-driver.js';
import type { NegotiationSignal } from '../../../src/client/rtc/signal.js';

const OFFER = 'v=0\r\na=ice-ufrag:theirs\r\n';

function make() {
  const described = { type: 'answer', sdp: 'v=0\r\na=ice-ufrag:mine\r\n' };
  const connection = {
    signalingState: 'stable',
    localDescription: null as typeof described | null,
    currentLocalDescription: null,
    currentRemoteDescription: null,
    createOffer: () => Promise.resolve({}),
    setLocalDescription: () => {
      connection.localDescription = described;
      return Promise.resolve();
    },
    setRemoteDescription: () => Promise.resolve(),
    restartIce: () => {},
  };
  const errors: unknown[] = [];
  let waits = 0;
  const sent: NegotiationSignal[] = [];
  let release = (): void => {};
  const nothing = (): void => {};
  const driver = new NegotiationDriver(connection, new Negotiation(() => true), {
    send: (signal) => sent.push(signal),
    firstAnswer: () => {
      waits++;
      return new Promise((resolve) => (release = resolve));
    },
    onCandidates: nothing,
    onOffer: nothing,
    onRestart: nothing,
    onHeard: nothing,
    onError: (error) => errors.push(error),
    onFailed: nothing,
    onChange: nothing,
  });
  const offered = async (round: number): Promise<void> => {
    driver.handle({ type: 'received', signal: { type: 'offer', round, sdp: OFFER } });
    await settle();
  };
  return { described, errors, offered, release: () => release(), sent, waits: () => waits };
}

/** Until nothing is left to do but what waits. */
const settle = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 0));

test('the first answer waits, and takes along what was gathered', async () => {
  const { described, errors, offered, release, sent, waits } = make();
  await offered(1);
  expect([waits(), errors]).toEqual([1, []]);
  expect(sent).toEqual([]);
  described.sdp += 'a=candidate:1\r\n';
  release();
  await settle();
  expect(sent).toEqual([{ type: 'answer', round: 1, sdp: described.sdp }]);
  expect(described.sdp).toContain('a=candidate:1');
});

test('a later answer does not wait', async () => {
  const { errors, offered, release, sent, waits } = make();
  await offered(1);
  release();
  await settle();
  await offered(2);
  expect([waits(), errors]).toEqual([1, []]);
  expect(sent.map(({ type }) => type)).toEqual(['answer', 'answer']);
});
