// The pair of candidates that a connection goes by, and whether its two ends are in the same network.
import { TEST_CANDIDATES, type TestCandidate } from '../protocol/test-report.js';

export interface CandidateEnd {
  type: TestCandidate;
  /** Empty where the browser does not tell, as of mDNS candidates. */
  address: string;
}

export interface CandidatePair {
  local: CandidateEnd;
  remote: CandidateEnd;
  /** Round trip of the latest check, ms; null where the browser does not tell. */
  rttMs: number | null;
}

/** Relayed at either end counts as relayed. */
export function candidateOf({ local, remote }: CandidatePair): TestCandidate {
  return remote.type === 'relay' ? 'relay' : local.type;
}

/** Null before there is one. @param stats of a connection */
export function chosenPair(stats: ReadonlyMap<string, unknown>): CandidatePair | null {
  for (const report of stats.values()) {
    if (field(report, 'type') !== 'candidate-pair' || field(report, 'state') !== 'succeeded') continue;
    // Firefox says which one is selected; Chromium keeps nominated ones of before a restart, but those are not succeeded.
    const isChosen = field(report, 'selected') ?? field(report, 'nominated');
    if (isChosen !== true) continue;
    const rtt = field(report, 'currentRoundTripTime');
    return {
      local: endOf(stats.get(String(field(report, 'localCandidateId')))),
      remote: endOf(stats.get(String(field(report, 'remoteCandidateId')))),
      rttMs: typeof rtt === 'number' ? rtt * 1000 : null,
    };
  }
  return null;
}

function endOf(report: unknown): CandidateEnd {
  const type = TEST_CANDIDATES.find((known) => known === field(report, 'candidateType')) ?? 'none';
  const address = field(report, 'address') ?? field(report, 'ip');
  return { type, address: typeof address === 'string' ? address : '' };
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/**
 * Whether two browsers are behind the same public address, or reached each other by addresses that are good inside one network only.
 * @param tags of their public addresses, as the gateway made them; empty where it did not say
 */
export function isSameNetwork(pair: CandidatePair | null, tags: readonly [string, string]): boolean {
  if (tags[0] !== '' && tags[0] === tags[1]) return true;
  return pair !== null && isLocalOnly(pair.local) && isLocalOnly(pair.remote);
}

/** Private addresses, and those that hide behind mDNS names. A global IPv6 address is a host candidate too, but reaches far. */
function isLocalOnly({ type, address }: CandidateEnd): boolean {
  // The other side's mDNS candidate is seen as `prflx` where its check is faster than its name.
  if (type !== 'host' && type !== 'prflx') return false;
  if (address === '' || address.endsWith('.local') || address.startsWith('(')) return type === 'host';
  return PRIVATE.test(address);
}

/** RFC 1918, RFC 3927, loopback; RFC 4193, RFC 4291 link-local. */
const PRIVATE =
  /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[?(::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:))/i;
