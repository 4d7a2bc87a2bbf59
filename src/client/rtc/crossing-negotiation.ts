// Two offers as each other's answers: what a negotiation is told of the other side's, where its own first one was left standing or crosses such a one.
import type { NegotiationEvent, NegotiationMachine, Step } from './negotiation.js';
import type { Standing } from './standing.js';

/** Sections of a description for media. */
const MEDIA = /^m=(audio|video)/m;

/** The other side's offer as the answer to an own one that crossed it: that side has this DTLS role, which an answer must decide. */
function asAnswer(offer: string, role: 'active' | 'passive'): string {
  return offer.replaceAll('a=setup:actpass', `a=setup:${role}`);
}

/** The same event for the negotiation, which knows of no crossing: an answer to its first round. */
function answered(offer: string, role: 'active' | 'passive'): NegotiationEvent {
  return { type: 'received', signal: { type: 'answer', round: 1, sdp: asAnswer(offer, role) } };
}

/** Who calls: its first offer, if it is of data only, may be answered by the standing one of whom it calls, as the first thing that is heard. */
export function callingMachine(own: NegotiationMachine): NegotiationMachine {
  let isAsked = false;
  return {
    counts: own.counts,
    get isSettled() {
      return own.isSettled;
    },
    handle: (event) => {
      if (event.type !== 'received')
        return own.handle(event).map((step) => {
          const asking = crossing(step);
          isAsked ||= asking !== null;
          return asking ?? step;
        });
      const { signal } = event;
      const isAnswer = isAsked && signal.type === 'offer' && signal.standing === true;
      isAsked = false;
      return own.handle(isAnswer ? answered(signal.sdp, 'active') : event);
    },
  };
}

function crossing(step: Step): Step | null {
  if (step.do !== 'send' || step.signal.type !== 'offer') return null;
  const { round, sdp } = step.signal;
  return round > 1 || MEDIA.test(sdp) ? null : { ...step, signal: { ...step.signal, cross: true } };
}

/**
 * Whose offer stood, which is set already. Its end is the active one: a caller that makes channels meanwhile expects, as in any call, to be
 * passive (Chromium); and it makes none itself before it has heard of the call. It begins with `needed`.
 */
export function standingMachine(own: NegotiationMachine, first: Standing['first']): NegotiationMachine {
  let isBegun = false;
  let isCrossed = false;
  const begin = (event: NegotiationEvent): Step[] => {
    isBegun = true;
    // It would make the offer and, not leading, only propose it.
    own.handle(event);
    own.handle({ type: 'offered', sdp: first.sdp });
    return [{ do: 'send', signal: first }];
  };
  return {
    counts: own.counts,
    get isSettled() {
      return own.isSettled;
    },
    get holdsChannels() {
      return own.counts.rounds === 0;
    },
    handle: (event) => {
      if (!isBegun) return begin(event);
      if (isCrossed || event.type !== 'received' || event.signal.type !== 'offer') return own.handle(event);
      isCrossed = true;
      const steps = own.handle(answered(event.signal.sdp, 'passive'));
      return steps.map((step) => (step.do === 'apply' ? { ...step, own: null } : step));
    },
  };
}
