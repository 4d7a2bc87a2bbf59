// One message between the two ends of a peer: what it carries, and the check of what somebody else sent.
import { isText, isUint, pick } from '../../protocol/fields.js';

/** The event that carries signals over a gateway; names that begin with `~` are the SDK's own. */
export const SIGNAL_EVENT = '~rtc';

/** Longest description, characters: an SDP of a call with many tracks has some 30 KB. */
export const SDP_LIMIT_CHARACTERS = 200_000;
/** Most candidates in one message; a sender cuts at this, too. */
export const CANDIDATES_LIMIT = 64;
const CANDIDATE_LIMIT_CHARACTERS = 2_048;
/** Longest identity of a peer, characters. */
const IDENTITY_LIMIT_CHARACTERS = 128;
/** Longest name of a peer, characters: a room's, which has up to 128, and a word before it. */
export const NAME_LIMIT_CHARACTERS = 160;

/** An ICE candidate as it travels; `usernameFragment` tells which description it belongs to. */
export interface Candidate {
  candidate: string;
  sdpMid: string | null;
  sdpMLineIndex: number | null;
  usernameFragment: string | null;
}

/**
 * What the two negotiations say to each other; `round` is the offering side's count of its offers. An offer of data that says `cross` and one that
 * was left `standing` are each other's answers: who has the code for it (`crossing.ts`) reads these two, all others leave them.
 */
export type NegotiationSignal =
  | { type: 'offer' | 'answer'; round: number; sdp: string; cross?: true; standing?: true }
  /** The offer of that round could not be applied. */
  | { type: 'refuse'; round: number }
  | { type: 'candidate'; candidate: Candidate[] }
  /** The follower asks for the turn to offer; the leader lends it; the follower gives it back unused. */
  | { type: 'want' }
  | { type: 'grant' }
  | { type: 'pass' };

/** What a signal says. */
export type SignalBody =
  | NegotiationSignal
  /** An end that was made just now, with nothing else to say: what was sent before it did not reach it. */
  | { type: 'hello' }
  /** Nothing but the acknowledgement in the route. */
  | { type: 'ack' }
  /** What was sent and is not acknowledged may be lost: it is wanted again. */
  | { type: 'sync' }
  /** The end was closed. */
  | { type: 'bye' }
  /** There is no such end here (any more). */
  | { type: 'gone' };

/** Who speaks to whom: the random identities of both ends (null: whoever it is), the number of this message, the last one received. */
export type Route = [from: string, to: string | null, seq: number, ack: number];

/** One signal between two peers, as a mechanism carries it: plain data that JSON can hold. */
export type Signal = SignalBody & {
  route: Route;
  /** Which of several peers between the same two; left out for the one without a name. */
  name?: string;
};

/** Null for what is none. */
export function parseSignal(data: unknown): Signal | null {
  const head = pick<{ type: string; route: Route; name?: string }>(data, {
    type: isText,
    route: isRoute,
    name: isNameOrNone,
  });
  if (head === null) return null;
  const body = parseBody(data, head.type);
  if (body === null) return null;
  return { ...body, route: head.route, ...(head.name ? { name: head.name } : {}) };
}

function parseBody(data: unknown, type: string): SignalBody | null {
  switch (type) {
    case 'offer':
    case 'answer': {
      const fields = pick<{ round: number; sdp: string }>(data, { round: isUint, sdp: isSdp });
      return fields && { type, ...fields };
    }
    case 'refuse': {
      const fields = pick<{ round: number }>(data, { round: isUint });
      return fields && { type, ...fields };
    }
    case 'candidate': {
      const fields = pick<{ candidate: unknown[] }>(data, { candidate: isCandidateList });
      const candidate = fields?.candidate.map(parseCandidate) ?? [null];
      return candidate.includes(null) ? null : { type, candidate: candidate.filter((one) => one !== null) };
    }
    case 'want':
    case 'grant':
    case 'pass':
    case 'hello':
    case 'ack':
    case 'sync':
    case 'bye':
    case 'gone':
      return { type };
    default:
      return null;
  }
}

function parseCandidate(value: unknown): Candidate | null {
  return pick<Candidate>(value, {
    candidate: isShort(CANDIDATE_LIMIT_CHARACTERS),
    sdpMid: orNull(isShort(IDENTITY_LIMIT_CHARACTERS)),
    sdpMLineIndex: orNull(isUint),
    usernameFragment: orNull(isShort(256)),
  });
}

function isRoute(value: unknown): value is Route {
  if (!Array.isArray(value) || value.length !== 4) return false;
  const [from, to, seq, ack] = value as unknown[];
  return isIdentity(from) && (to === null || isIdentity(to)) && isUint(seq) && isUint(ack);
}

function isCandidateList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length <= CANDIDATES_LIMIT;
}

function isIdentity(value: unknown): value is string {
  return isShort(IDENTITY_LIMIT_CHARACTERS)(value) && value !== '';
}

function isSdp(value: unknown): value is string {
  return isShort(SDP_LIMIT_CHARACTERS)(value);
}

function isNameOrNone(value: unknown): value is string | undefined {
  return value === undefined || isShort(NAME_LIMIT_CHARACTERS)(value);
}

function isShort(limit: number): (value: unknown) => value is string {
  return (value): value is string => typeof value === 'string' && value.length <= limit;
}

function orNull<Value>(is: (value: unknown) => value is Value): (value: unknown) => value is Value | null {
  return (value): value is Value | null => value === null || is(value);
}
