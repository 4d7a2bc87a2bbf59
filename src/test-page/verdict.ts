// What the measurements mean for calls, in plain words.
import type { TestPair } from '../protocol/test-report.js';

export interface Evidence {
  hasWebRTC: boolean;
  /** Camera and microphone need a secure page. */
  isSecure: boolean;
  /** Null as long as it is not known. */
  isConnected: boolean | null;
  /** It answers, but wants no page from here. */
  isRefused: boolean;
  websocket: Reach;
  sse: Reach;
  /** Kinds of candidates that this browser found; null before. */
  found: { host: boolean; srflx: boolean; relay: boolean } | null;
  /** What the gateway hands out. */
  servers: { stun: boolean; turn: boolean };
  pairs: readonly TestPair[];
}

export type Reach = 'ok' | 'failed' | 'unknown';

/** `good`: calls will work; `limited`: some, or with a relay; `bad`: they cannot; `unknown`: nothing to go by yet. */
export type Level = 'good' | 'limited' | 'bad' | 'unknown';

export interface Verdict {
  level: Level;
  headline: string;
  sentences: string[];
}

/** Of a shared result, whose link has no texts. */
const REFUSED =
  'It was opened under an origin whose pages may not connect to this gateway. Its operator has to add that origin to ORIGINS.';

/** @param refusal why the gateway wants no page from here, in its words, where they are known */
export function judge(evidence: Evidence, refusal = ''): Verdict {
  const verdict = core(evidence, refusal);
  const notes = [...transportNotes(evidence), ...securityNotes(evidence)];
  return { ...verdict, sentences: [...verdict.sentences, ...notes] };
}

function core(evidence: Evidence, refusal: string): Verdict {
  const { hasWebRTC, isConnected, isRefused, pairs } = evidence;
  if (!hasWebRTC)
    return {
      level: 'bad',
      headline: 'Calls cannot work in this browser',
      sentences: ['It has no WebRTC, or it is switched off. Messages through the gateway work all the same.'],
    };
  if (isRefused)
    return { level: 'bad', headline: 'The gateway refuses this page', sentences: [refusal || REFUSED] };
  if (isConnected === false) return ofSilence(evidence);
  if (isConnected === null) return { level: 'unknown', headline: 'Connecting to the gateway', sentences: [] };
  const far = pairs.filter(({ sameNetwork }) => !sameNetwork);
  if (far.length > 0) return ofPairs(far, evidence);
  if (pairs.length > 0) return ofNeighbours(pairs, evidence);
  return ofCandidates(evidence);
}

function ofSilence({ websocket, sse }: Evidence): Verdict {
  const wasThere = websocket === 'ok' || sse === 'ok';
  return {
    level: 'bad',
    headline: wasThere ? 'The gateway does not answer any more' : 'The gateway cannot be reached',
    sentences: [
      wasThere
        ? 'It did before: either it is down, or this device has lost its network. No call can be set up until it is back. All figures are of before.'
        : 'Neither a WebSocket nor plain requests came through, so no call can be set up.',
    ],
  };
}

/** Other networks are what calls have to cross. */
function ofPairs(pairs: readonly TestPair[], { servers }: Evidence): Verdict {
  const count = (outcome: TestPair['outcome']): number =>
    pairs.filter((pair) => pair.outcome === outcome).length;
  const [all, direct, relayed, none] = [pairs.length, count('direct'), count('relay'), count('none')];
  if (direct === all)
    return {
      level: 'good',
      headline: 'Calls will work',
      sentences: [`${ofAll(all, all)} in other networks ${was(all)} reached directly, without a relay.`],
    };
  if (none === 0)
    return {
      level: 'limited',
      headline: 'Calls will work, and need a relay',
      sentences: [
        `${ofAll(relayed, all)} in other networks ${was(relayed)} reached only through the relay (TURN): it works, but it costs its operator bandwidth, and takes longer.`,
      ],
    };
  if (!servers.turn)
    return {
      level: direct > 0 ? 'limited' : 'bad',
      headline: direct > 0 ? 'Some calls will fail without a relay' : 'Calls need a relay, and there is none',
      sentences: [
        `${ofAll(none, all)} in other networks could not be reached. This gateway offers no relay (TURN), which would most likely help.`,
      ],
    };
  return {
    level: direct + relayed > 0 ? 'limited' : 'bad',
    headline: direct + relayed > 0 ? 'Some calls cannot work' : 'Calls cannot work from here',
    sentences: [
      `${ofAll(none, all)} in other networks could not be reached, not even through the relay (TURN). A firewall here or there lets none of it through.`,
    ],
  };
}

function ofNeighbours(pairs: readonly TestPair[], evidence: Evidence): Verdict {
  const failed = pairs.filter(({ outcome }) => outcome === 'none').length;
  const beyond = ofCandidates(evidence);
  if (failed > 0)
    return {
      level: 'limited',
      headline: 'Browsers in this network do not reach each other',
      sentences: [
        `${ofAll(failed, pairs.length)} in the same network could not be reached: some Wi-Fi keeps its devices apart.`,
        ...beyond.sentences,
      ],
    };
  return {
    level: beyond.level === 'good' ? 'good' : 'limited',
    headline: beyond.level === 'good' ? 'Calls will work' : 'Calls inside this network will work',
    sentences: [
      `${ofAll(pairs.length, pairs.length)} in the same network ${was(pairs.length)} reached. That says nothing of other networks: open this page on a phone without Wi-Fi to know.`,
      ...beyond.sentences,
    ],
  };
}

/** Nobody far away to try it with: what the browser found on its own. */
function ofCandidates({ found, servers }: Evidence): Verdict {
  if (found === null) return { level: 'unknown', headline: 'Looking for ways', sentences: [] };
  if (found.relay)
    return {
      level: 'good',
      headline: 'Calls will work',
      sentences: ['The relay (TURN) can be reached, so there is a way even where a direct one is blocked.'],
    };
  if (servers.turn)
    return {
      level: 'limited',
      headline: 'Calls may fail',
      sentences: [
        'The relay (TURN) cannot be reached from here, so calls work only where a direct way is open: a firewall, or the relay is down.',
      ],
    };
  if (found.srflx)
    return {
      level: 'limited',
      headline: 'Most calls will work',
      sentences: [
        'This browser knows its public address, which is enough for direct calls between most networks. For the others there is no relay (TURN) at this gateway.',
      ],
    };
  return {
    level: 'limited',
    headline: 'Only calls inside one network are sure',
    sentences: [
      servers.stun
        ? 'The STUN server did not answer, so this browser does not know its public address, and there is no relay (TURN).'
        : 'This gateway offers neither STUN nor a relay (TURN), so browsers know only addresses of their own network.',
    ],
  };
}

function transportNotes({ websocket, sse }: Evidence): string[] {
  if (websocket === 'failed' && sse === 'ok')
    return [
      'A WebSocket does not get through from here, a proxy or a filter is in the way. The gateway is reached by plain requests instead: everything works, but messages take longer.',
    ];
  if (sse === 'failed' && websocket === 'ok')
    return ['Event streams do not get through from here. It does not matter as long as a WebSocket does.'];
  return [];
}

function securityNotes({ isSecure }: Evidence): string[] {
  return isSecure
    ? []
    : ['This page came without TLS: browsers give no camera and no microphone to such pages. Use https.'];
}

function ofAll(part: number, all: number): string {
  if (all === 1) return 'The one browser';
  if (part === all) return `All ${String(all)} browsers`;
  return `${String(part)} of ${String(all)} browsers`;
}

function was(count: number): string {
  return count === 1 ? 'was' : 'were';
}
