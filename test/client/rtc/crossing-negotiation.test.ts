// What a caller does with a standing offer: by itself the answer to its own, between two Firefox an offer that it answers.
import { describe, expect, test } from '@jest/globals';
import { callingMachine } from '../../../src/client/rtc/crossing-negotiation.js';
import { Negotiation, type NegotiationMachine, type Step } from '../../../src/client/rtc/negotiation.js';

const FIREFOX = 'o=mozilla...THIS_IS_SDPARTA-99.0\n';
const DATA = 'm=application\na=setup:actpass';

const standing = (sdp: string) =>
  ({ type: 'received', signal: { type: 'offer', round: 1, sdp, standing: true } }) as const;

/** What it does when it has offered that. */
function offers(machine: NegotiationMachine, sdp: string): Step[] {
  machine.handle({ type: 'needed' });
  return machine.handle({ type: 'offered', sdp });
}

describe.each([
  ['leader', true],
  ['follower', false],
])('the %s that calls', (_who, isLeader) => {
  const calling = (answers: boolean): NegotiationMachine =>
    callingMachine(new Negotiation(() => isLeader), answers);

  test('takes a standing offer for the answer to its own', () => {
    const machine = calling(false);
    expect(machine.handle({ type: 'needed' })).toEqual([{ do: 'offer', isProposal: !isLeader }]);
    const [sent] = machine.handle({ type: 'offered', sdp: DATA });
    expect(sent).toMatchObject({ do: 'send', signal: { cross: true } });
    expect(machine.handle(standing(FIREFOX + DATA))).toEqual([
      { do: 'apply', own: isLeader ? null : DATA, sdp: `${FIREFOX}m=application\na=setup:active` },
    ]);
  });

  test('in Firefox sets one of Firefox as an offer, answers it, and says nothing of that', () => {
    const machine = calling(true);
    expect(machine.handle({ type: 'needed' })).toEqual([{ do: 'offer', isProposal: true }]);
    const [sent] = machine.handle({ type: 'offered', sdp: FIREFOX + DATA });
    expect(sent).toMatchObject({ do: 'send', signal: { cross: true } });
    expect(machine.handle(standing(FIREFOX + DATA))).toEqual([
      { do: 'accept', sdp: `${FIREFOX}m=application\na=setup:active` },
    ]);
    expect(machine.handle({ type: 'answered', sdp: 'passive' })).toEqual([]);
    expect(machine.counts.rounds).toBe(1);
    expect(machine.isSettled).toBe(true);
    // Its next offers are as any other's.
    expect(machine.handle({ type: 'needed' })).toEqual([
      isLeader ? { do: 'offer', isProposal: false } : { do: 'send', signal: { type: 'want' } },
    ]);
  });

  test('in Firefox takes the one of another browser, and every answer, for the answer to its proposal', () => {
    const crossed = calling(true);
    offers(crossed, FIREFOX + DATA);
    expect(crossed.handle(standing(DATA))).toEqual([
      { do: 'apply', own: FIREFOX + DATA, sdp: 'm=application\na=setup:active' },
    ]);
    const ordinary = calling(true);
    offers(ordinary, FIREFOX + DATA);
    const answer = { type: 'answer', round: 1, sdp: FIREFOX } as const;
    expect(ordinary.handle({ type: 'received', signal: answer })).toEqual([
      { do: 'apply', own: FIREFOX + DATA, sdp: FIREFOX },
    ]);
  });

  test('in Firefox offers anew where the standing offer could not be set', () => {
    const machine = calling(true);
    offers(machine, FIREFOX + DATA);
    machine.handle(standing(FIREFOX + DATA));
    expect(machine.handle({ type: 'failed' })).toEqual([{ do: 'undo' }]);
    expect(machine.handle({ type: 'undone' })).toEqual([{ do: 'offer', isProposal: true }]);
    machine.handle({ type: 'offered', sdp: FIREFOX + DATA });
    const offer = { type: 'offer', round: 7, sdp: DATA } as const;
    const steps = machine.handle({ type: 'received', signal: offer });
    expect(steps.map((step) => step.do)).toEqual(isLeader ? [] : ['accept']);
  });
});

test('a leader in Firefox sets what it offers with media', () => {
  const machine = callingMachine(new Negotiation(() => true), true);
  const media = 'm=application\nm=audio';
  expect(offers(machine, media)).toEqual([{ do: 'offer', isProposal: false }]);
  const [sent] = machine.handle({ type: 'offered', sdp: media });
  expect(sent).toEqual({ do: 'send', signal: { type: 'offer', round: 1, sdp: media } });
  const answer = { type: 'answer', round: 1, sdp: DATA } as const;
  expect(machine.handle({ type: 'received', signal: answer })).toEqual([
    { do: 'apply', own: null, sdp: DATA },
  ]);
});
