// The negotiation against a model of RTCPeerConnection: any order of both sides' operations, steps and signals ends in agreement.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { callingMachine, standingMachine } from '../../../src/client/rtc/crossing-negotiation.js';
import { FAILURES_LIMIT, Negotiation, type NegotiationMachine } from '../../../src/client/rtc/negotiation.js';
import type { NegotiationSignal } from '../../../src/client/rtc/signal.js';
import { type Kind, ModelEnd } from './model-connection.js';
import { LockedNegotiation } from './strategies/locked-negotiation.js';
import { ProposingNegotiation } from './strategies/proposing-negotiation.js';
import { PerfectNegotiation } from './strategies/perfect-negotiation.js';

type Strategy = (isLeader: boolean) => NegotiationMachine;

const STRATEGIES: Record<string, Strategy> = {
  'a turn after proposals': (isLeader) => new Negotiation(() => isLeader),
  'a turn, after first offers that may cross': (isLeader) => callingMachine(new Negotiation(() => isLeader)),
  // So that what the ADR compares with is right, too.
  proposals: (isLeader) => new ProposingNegotiation(() => isLeader),
  'perfect negotiation': (isLeader) => new PerfectNegotiation(() => !isLeader),
  'a lock': (isLeader) => new LockedNegotiation(isLeader, 'lock'),
  'a turn': (isLeader) => new LockedNegotiation(isLeader, 'turn'),
};

interface Operation {
  side: 0 | 1;
  what: 'media' | 'channel' | 'restart';
  /** How many other things happen before it. */
  after: number;
}

const operation = fc.record({
  side: fc.constantFrom<0 | 1>(0, 1),
  what: fc.constantFrom<Operation['what']>('media', 'media', 'channel', 'restart'),
  after: fc.nat(12),
});
const operations = fc.array(operation, { minLength: 1, maxLength: 12 });
/** Which browser each side is. */
const kinds = fc.tuple(
  fc.constantFrom<Kind>('chromium', 'firefox'),
  fc.constantFrom<Kind>('chromium', 'firefox'),
);

interface Outcome {
  ends: [ModelEnd, ModelEnd];
  signals: number;
}

async function play(
  scheduler: fc.Scheduler,
  strategy: Strategy,
  plan: Operation[],
  [one, other]: [Kind, Kind],
  /** Who has a standing offer, which the other one gets when it calls; the strategy is the other one's then. */
  standing: 0 | 1 | null = null,
): Promise<Outcome> {
  let signals = 0;
  // An end with a standing offer is made when it is called; the caller begins with a channel.
  const isMade = [standing === null, standing === null];
  // Each side's operations end in their order, each way's signals arrive in theirs; the scheduler decides between these.
  const chain = (): ((label: string) => Promise<unknown>) => {
    let last: Promise<unknown> = Promise.resolve();
    return (label) => (last = last.then(() => scheduler.schedule(Promise.resolve(), label)));
  };
  const ways = [chain(), chain()];
  const post = (to: 0 | 1) => (signal: NegotiationSignal) => {
    // The gateway has it already.
    if (signal === first) return;
    signals++;
    if (!isMade[1 - to]) {
      isMade[1 - to] = true;
      if (standing === to) pass(to === 0 ? 1 : 0, first);
    }
    pass(to, signal);
  };
  const pass = (to: 0 | 1, signal: NegotiationSignal): void => {
    void ways[to]?.(`${signal.type} to ${to}`).then(() => {
      if (to === standing && !isMade[to]) {
        isMade[to] = true;
        ends[to].driver.handle({ type: 'needed' });
      }
      ends[to].driver.handle({ type: 'received', signal });
    });
  };
  const first = { type: 'offer' as const, round: 1, sdp: '', standing: true as const };
  const machineOf = (side: 0 | 1): NegotiationMachine =>
    side === standing ? standingMachine(new Negotiation(() => side === 0), first) : strategy(side === 0);
  const ends: [ModelEnd, ModelEnd] = [
    new ModelEnd('alice', one, machineOf(0), chain(), post(1)),
    new ModelEnd('bob', other, machineOf(1), chain(), post(0)),
  ];
  if (standing !== null) first.sdp = ends[standing].connection.stand();
  if (standing !== null) ends[standing === 0 ? 1 : 0].connection.addChannel();
  let thing = 0;
  const todo = [...plan];
  let steps = 0;
  for (;;) {
    for (const operation of todo.splice(0)) {
      if (!isMade[operation.side]) todo.push(operation);
      else if (operation.after > 0) todo.push({ ...operation, after: operation.after - 1 });
      else {
        const { connection, driver } = ends[operation.side];
        if (operation.what === 'media') connection.add(`thing ${thing++}`);
        else if (operation.what === 'channel') connection.addChannel();
        else driver.restartIce();
      }
    }
    // Promises between two scheduled moments run out.
    await new Promise((resolve) => setImmediate(resolve));
    if (scheduler.count() === 0 && todo.length === 0) break;
    if (scheduler.count() > 0) await scheduler.waitNext(1);
    if (++steps > 2_000) throw new Error('it never comes to rest');
  }
  return { ends, signals };
}

describe.each(Object.entries(STRATEGIES))('%s', (_name, strategy) => {
  test('agrees on everything, in any order of operations, steps and signals', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), operations, kinds, async (scheduler, plan, pair) => {
        const { ends } = await play(scheduler, strategy, plan, pair);
        for (const { connection, errors, machine, hasFailed } of ends) {
          expect(errors).toEqual([]);
          expect(hasFailed).toBe(false);
          expect(connection.signalingState).toBe('stable');
          expect(connection.isDataDead).toBe(false);
          expect(connection.isComplete).toBe(true);
          expect(machine.isSettled).toBe(true);
        }
        expect(ends[0].connection.agreed).toEqual(ends[1].connection.agreed);
      }),
      { numRuns: 300 },
    );
  });
});

describe.each([
  ['leader', 0],
  ['follower', 1],
] as const)('a standing offer of the %s', (_who, standing) => {
  test('is the answer to the call that takes it, which is its own; whatever follows is agreed on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), operations, kinds, async (scheduler, plan, pair) => {
        const strategy: Strategy = (isLeader) => callingMachine(new Negotiation(() => isLeader));
        const { ends } = await play(scheduler, strategy, plan, pair, standing);
        for (const { connection, errors, machine, hasFailed } of ends) {
          expect(errors).toEqual([]);
          expect(hasFailed).toBe(false);
          expect(connection.signalingState).toBe('stable');
          expect(connection.isComplete).toBe(true);
          expect(machine.isSettled).toBe(true);
          expect(machine.counts.collisions).toBe(0);
        }
        expect(ends[0].connection.agreed).toEqual(ends[1].connection.agreed);
        expect(ends[0].machine.counts.rounds).toBe(ends[1].machine.counts.rounds);
      }),
      { numRuns: 300 },
    );
  });

  test('and the call cost one signal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), kinds, async (scheduler, pair) => {
        const strategy: Strategy = (isLeader) => callingMachine(new Negotiation(() => isLeader));
        const { ends, signals } = await play(scheduler, strategy, [], pair, standing);
        expect(signals).toBe(1);
        for (const { connection, machine } of ends) {
          expect(machine.counts.rounds).toBe(1);
          expect(connection.agreed).toMatchObject({ by: 'both', hasData: true });
          expect(connection.currentRemoteDescription?.type).toBe('answer');
        }
        // Who called is passive, whoever leads.
        const roles = ends.map(
          (end) => /setup:(.*)/.exec(end.connection.currentRemoteDescription?.sdp ?? '')?.[1],
        );
        expect(standing === 0 ? roles : roles.reverse()).toEqual(['passive', 'active']);
      }),
      { numRuns: 50 },
    );
  });
});

describe('Negotiation', () => {
  test('needs two signals for each round, one for a proposal that was forgotten, and two for each turn that was asked for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), operations, kinds, async (scheduler, plan, pair) => {
        const strategy: Strategy = (isLeader) => new Negotiation(() => isLeader);
        const { ends, signals } = await play(scheduler, strategy, plan, pair);
        const [{ counts }, { counts: others }] = [ends[0].machine, ends[1].machine];
        expect(counts.rounds).toBe(others.rounds);
        expect(counts.collisions).toBeLessThanOrEqual(1);
        expect(signals).toBeLessThanOrEqual(5 * counts.rounds + counts.collisions);
        expect(counts.rounds).toBeLessThanOrEqual(plan.length + counts.collisions);
      }),
      { numRuns: 100 },
    );
  });

  test('tells both sides of an ICE restart that is set, and of no other description', async () => {
    const side = fc.constantFrom<0 | 1>(0, 1);
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), side, kinds, async (scheduler, who, pair) => {
        const strategy: Strategy = (isLeader) => new Negotiation(() => isLeader);
        const agreed: Operation[] = [
          { side: 0, what: 'channel', after: 0 },
          { side: 1, what: 'media', after: 100 },
        ];
        const without = await play(scheduler, strategy, agreed, pair);
        expect(without.ends.map(({ restarts }) => restarts)).toEqual([0, 0]);
        const plan: Operation[] = [...agreed, { side: who, what: 'restart', after: 200 }];
        const { ends } = await play(scheduler, strategy, plan, pair);
        expect(ends.map(({ restarts }) => restarts)).toEqual([1, 1]);
      }),
      { numRuns: 50 },
    );
  });

  test('asks for the turn when something was agreed on, offers with it, and gives it back with its round', () => {
    const follower = new Negotiation(() => false);
    follower.handle({ type: 'received', signal: { type: 'offer', round: 1, sdp: 'theirs' } });
    follower.handle({ type: 'answered', sdp: 'yes' });
    expect(follower.handle({ type: 'needed' })).toEqual([{ do: 'send', signal: { type: 'want' } }]);
    expect(follower.handle({ type: 'received', signal: { type: 'grant' } })).toEqual([
      { do: 'offer', isProposal: false },
    ]);
    follower.handle({ type: 'offered', sdp: 'own' });
    const answer = { type: 'answer', round: 1, sdp: 'yes' } as const;
    expect(follower.handle({ type: 'received', signal: answer })).toEqual([
      { do: 'apply', own: null, sdp: 'yes' },
    ]);
    follower.handle({ type: 'applied' });
    expect(follower.handle({ type: 'needed' })).toEqual([{ do: 'send', signal: { type: 'want' } }]);
  });

  test('passes a turn that it does not need any more', () => {
    const follower = new Negotiation(() => false);
    follower.handle({ type: 'received', signal: { type: 'offer', round: 1, sdp: 'theirs' } });
    follower.handle({ type: 'answered', sdp: 'yes' });
    expect(follower.handle({ type: 'received', signal: { type: 'grant' } })).toEqual([
      { do: 'send', signal: { type: 'pass' } },
    ]);
  });

  test('lends the turn before it takes a second round of its own', () => {
    const leader = new Negotiation(() => true);
    leader.handle({ type: 'needed' });
    leader.handle({ type: 'offered', sdp: 'own' });
    leader.handle({ type: 'received', signal: { type: 'want' } });
    leader.handle({ type: 'received', signal: { type: 'answer', round: 1, sdp: 'yes' } });
    leader.handle({ type: 'needed' });
    expect(leader.handle({ type: 'applied' })).toEqual([{ do: 'send', signal: { type: 'grant' } }]);
    expect(leader.handle({ type: 'received', signal: { type: 'pass' } })).toEqual([
      { do: 'offer', isProposal: false },
    ]);
  });

  test('ignores the crossing proposal on one side and forgets it on the other, which had set nothing', () => {
    const [leader, follower] = [new Negotiation(() => true), new Negotiation(() => false)];
    for (const [machine, isProposal] of [
      [leader, false],
      [follower, true],
    ] as const) {
      expect(machine.handle({ type: 'needed' })).toEqual([{ do: 'offer', isProposal }]);
      expect(machine.handle({ type: 'offered', sdp: 'own' })).toMatchObject([{ do: 'send' }]);
    }
    const signal = { type: 'offer', round: 1, sdp: 'theirs' } as const;
    expect(leader.handle({ type: 'received', signal })).toEqual([]);
    expect(follower.handle({ type: 'received', signal })).toEqual([{ do: 'accept', sdp: 'theirs' }]);
    expect(follower.handle({ type: 'answered', sdp: 'yes' })).toEqual([
      { do: 'send', signal: { type: 'answer', round: 1, sdp: 'yes' } },
    ]);
    const answer = { type: 'answer', round: 1, sdp: 'yes' } as const;
    expect(leader.handle({ type: 'received', signal: answer })).toEqual([
      { do: 'apply', own: null, sdp: 'yes' },
    ]);
    expect(leader.handle({ type: 'applied' })).toEqual([]);
    expect([leader.isSettled, follower.isSettled]).toEqual([true, true]);
    expect([leader.counts, follower.counts]).toMatchObject([{ collisions: 1 }, { collisions: 1 }]);
  });

  test.each([true, false])(
    'takes a standing offer for the answer to its own (as the leader: %s)',
    (leads) => {
      const first = { type: 'offer', round: 1, sdp: 'it stood', standing: true } as const;
      const [caller, holder] = [
        callingMachine(new Negotiation(() => leads)),
        standingMachine(new Negotiation(() => !leads), first),
      ];
      caller.handle({ type: 'needed' });
      const call = { type: 'offer', round: 1, sdp: 'a call\na=setup:actpass', cross: true } as const;
      expect(caller.handle({ type: 'offered', sdp: call.sdp })).toEqual([{ do: 'send', signal: call }]);
      expect(caller.handle({ type: 'received', signal: first })).toEqual([
        { do: 'apply', own: leads ? null : call.sdp, sdp: 'it stood' },
      ]);
      expect(holder.handle({ type: 'needed' })).toEqual([{ do: 'send', signal: first }]);
      expect(holder.holdsChannels).toBe(true);
      expect(holder.handle({ type: 'received', signal: call })).toEqual([
        { do: 'apply', own: null, sdp: 'a call\na=setup:passive' },
      ]);
      for (const machine of [caller, holder]) {
        expect(machine.handle({ type: 'applied' })).toEqual([]);
        expect([machine.isSettled, machine.counts]).toEqual([
          true,
          { rounds: 1, collisions: 0, failures: 0 },
        ]);
      }
      expect(holder.holdsChannels).toBe(false);
    },
  );

  test('leaves calls that cross each other as they are', () => {
    const leader = callingMachine(new Negotiation(() => true));
    leader.handle({ type: 'needed' });
    leader.handle({ type: 'offered', sdp: 'own' });
    const signal = { type: 'offer', round: 1, sdp: 'theirs', cross: true } as const;
    expect(leader.handle({ type: 'received', signal })).toEqual([]);
  });

  test('does not say so of an offer with media, nor of one after the first', () => {
    const leader = callingMachine(new Negotiation(() => true));
    leader.handle({ type: 'needed' });
    expect(leader.handle({ type: 'offered', sdp: 'v=0\nm=audio 9' })).toEqual([
      { do: 'send', signal: { type: 'offer', round: 1, sdp: 'v=0\nm=audio 9' } },
    ]);
    leader.handle({ type: 'received', signal: { type: 'answer', round: 1, sdp: 'yes' } });
    leader.handle({ type: 'applied' });
    leader.handle({ type: 'needed' });
    expect(leader.handle({ type: 'offered', sdp: 'v=0' })).toEqual([
      { do: 'send', signal: { type: 'offer', round: 2, sdp: 'v=0' } },
    ]);
  });

  test('sets a proposal together with its answer', () => {
    const follower = new Negotiation(() => false);
    follower.handle({ type: 'needed' });
    follower.handle({ type: 'offered', sdp: 'own' });
    const signal = { type: 'answer', round: 1, sdp: 'yes' } as const;
    expect(follower.handle({ type: 'received', signal })).toEqual([{ do: 'apply', own: 'own', sdp: 'yes' }]);
  });

  test('does not send a proposal that it would forget at once', () => {
    const follower = new Negotiation(() => false);
    follower.handle({ type: 'needed' });
    follower.handle({ type: 'received', signal: { type: 'offer', round: 1, sdp: 'theirs' } });
    expect(follower.handle({ type: 'offered', sdp: 'own' })).toEqual([{ do: 'accept', sdp: 'theirs' }]);
  });

  test('drops an answer to a proposal that was forgotten', () => {
    const machine = new Negotiation(() => false);
    machine.handle({ type: 'needed' });
    machine.handle({ type: 'offered', sdp: 'own' });
    expect(machine.handle({ type: 'received', signal: { type: 'answer', round: 7, sdp: 'x' } })).toEqual([]);
  });

  test.each([true, false])(
    'tries again when the other side refuses its offer (as the leader: %s)',
    (leads) => {
      const [offering, refusing] = [new Negotiation(() => leads), new Negotiation(() => !leads)];
      offering.handle({ type: 'needed' });
      offering.handle({ type: 'offered', sdp: 'bad' });
      refusing.handle({ type: 'received', signal: { type: 'offer', round: 1, sdp: 'bad' } });
      expect(refusing.handle({ type: 'failed' })).toEqual([
        { do: 'send', signal: { type: 'refuse', round: 1 } },
      ]);
      let steps = offering.handle({ type: 'received', signal: { type: 'refuse', round: 1 } });
      if (leads) {
        expect(steps).toEqual([{ do: 'undo' }]);
        steps = offering.handle({ type: 'undone' });
      }
      expect(steps).toEqual([{ do: 'offer', isProposal: !leads }]);
    },
  );

  test(`fails for good when ${FAILURES_LIMIT} steps in a row fail`, () => {
    const machine = new Negotiation(() => false);
    let steps = machine.handle({ type: 'needed' });
    for (let failures = 0; failures < FAILURES_LIMIT; failures++) {
      expect(steps).toEqual([{ do: 'offer', isProposal: true }]);
      steps = machine.handle({ type: 'failed' });
    }
    expect(steps).toEqual([{ do: 'fail' }]);
    expect(machine.handle({ type: 'needed' })).toEqual([]);
  });
});
