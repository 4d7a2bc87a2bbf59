// Two offers as each other's answers: what a negotiation is told of the other side's, where its own first one was left standing or crosses such a one.
import { isFirefox } from './firefox-restart.js';
import { isInFirefox } from './ice-role.js';
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

/**
 * Who calls: its first offer, if it is of data only, may be answered by the standing one of whom it calls, as the first thing that is heard.
 *
 * Firefox cannot leave an offer as the controlled end (`ice-role.ts`). Where both ends are Firefox the caller sets the standing offer as the offer that it is,
 * which makes it the controlled one; its answer has the ICE credentials of its own offer, which the other side knows already. That one is only proposed:
 * if it were set and taken back, its sockets would answer the other side's checks until they are closed, and be taken for the way.
 * @param answers this end is Firefox
 */
export function callingMachine(own: NegotiationMachine, answers = isInFirefox()): NegotiationMachine {
  let isAsked = false;
  /** The first offer was asked for as a proposal, which it is not in `own`. */
  let isHeldBack = false;
  let proposal: string | null = null;
  let isAnswering = false;
  const change = (step: Step, takesStanding: boolean): Step => {
    if (answers && step.do === 'offer' && own.counts.rounds === 0 && !step.isProposal) {
      isHeldBack = true;
      return { do: 'offer', isProposal: true };
    }
    if (step.do === 'apply' && takesStanding && answers && isFirefox(step)) {
      isAnswering = true;
      return { do: 'accept', sdp: step.sdp };
    }
    if (step.do === 'apply' && own.counts.rounds === 0) return { ...step, own: step.own ?? proposal };
    const asking = crossing(step);
    isAsked ||= asking !== null;
    return asking ?? step;
  };
  return {
    counts: own.counts,
    get isSettled() {
      return own.isSettled;
    },
    handle: (event) => {
      let told = event;
      let takesStanding = false;
      if (event.type === 'offered') {
        const isTooMuch = isHeldBack && MEDIA.test(event.sdp);
        proposal = isHeldBack && !isTooMuch ? event.sdp : null;
        isHeldBack = false;
        // Media are offered by what is set: they may be others when the answer comes.
        if (isTooMuch) return [{ do: 'offer', isProposal: false }];
      } else if (event.type === 'received') {
        const { signal } = event;
        takesStanding = isAsked && signal.type === 'offer' && signal.standing === true;
        if (takesStanding && signal.type === 'offer') told = answered(signal.sdp, 'active');
        isAsked = false;
      } else if (isAnswering) {
        if (event.type === 'answered') told = { type: 'applied' };
        isAnswering = event.type === 'needed';
      }
      return own.handle(told).map((step) => change(step, takesStanding));
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
