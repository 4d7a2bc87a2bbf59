// Which pair a connection goes by, and which pairs stay inside one network.
import { describe, expect, test } from '@jest/globals';
import type { TestCandidate } from '../../src/protocol/test-report.js';
import {
  type CandidatePair,
  candidateOf,
  chosenPair,
  isSameNetwork,
} from '../../src/test-page/candidate-pair.js';

const pairOf = (local: [TestCandidate, string], remote: [TestCandidate, string]): CandidatePair => ({
  local: { type: local[0], address: local[1] },
  remote: { type: remote[0], address: remote[1] },
  rttMs: 1,
});
const NO_TAGS = ['', ''] as const;

describe('two browsers', () => {
  test.each<[string, CandidatePair, boolean]>([
    ['private addresses', pairOf(['host', '192.168.1.5'], ['host', '192.168.1.9']), true],
    ['172.16/12', pairOf(['host', '172.31.0.1'], ['host', '172.16.0.1']), true],
    ['mDNS names', pairOf(['host', 'a.local'], ['host', 'b.local']), true],
    ['mDNS names that are not told', pairOf(['host', ''], ['host', '']), true],
    ['an mDNS name whose check was faster', pairOf(['host', ''], ['prflx', '10.0.0.7']), true],
    ['link-local and unique local IPv6', pairOf(['host', 'fe80::1'], ['host', 'fd12:3456::1']), true],
    ['global IPv6 host addresses', pairOf(['host', '2001:db8::1'], ['host', '2001:db8:1::2']), false],
    ['public IPv4 that only looks private', pairOf(['host', '172.32.0.1'], ['host', '11.0.0.1']), false],
    ['addresses by STUN', pairOf(['srflx', '203.0.113.5'], ['srflx', '198.51.100.7']), false],
    ['a NAT in front of one', pairOf(['host', '10.0.0.1'], ['srflx', '198.51.100.7']), false],
    ['an unknown reflexive address', pairOf(['host', '10.0.0.1'], ['prflx', '']), false],
    ['a relay', pairOf(['relay', '10.0.0.1'], ['host', '10.0.0.2']), false],
  ])('with %s', (_case, pair, expected) => {
    expect(isSameNetwork(pair, NO_TAGS)).toBe(expected);
  });

  test('are in one network when the gateway saw the same public address, and not when it saw none', () => {
    const far = pairOf(['srflx', '203.0.113.5'], ['srflx', '203.0.113.5']);
    expect(isSameNetwork(far, ['tag', 'tag'])).toBe(true);
    expect(isSameNetwork(null, ['tag', 'tag'])).toBe(true);
    expect(isSameNetwork(far, ['tag', 'other'])).toBe(false);
    expect(isSameNetwork(null, NO_TAGS)).toBe(false);
  });
});

describe('the pair of a connection', () => {
  const stats = (pairs: object[]): Map<string, unknown> =>
    new Map<string, unknown>([
      ...pairs.map((pair, i) => [`p${i}`, { type: 'candidate-pair', ...pair }] as const),
      ['l', { type: 'local-candidate', candidateType: 'srflx', address: '203.0.113.5' }],
      ['r', { type: 'remote-candidate', candidateType: 'relay', address: '198.51.100.7' }],
    ]);
  const ends = { localCandidateId: 'l', remoteCandidateId: 'r', currentRoundTripTime: 0.025 };

  test('is the nominated one that succeeded in Chromium, and the selected one in Firefox', () => {
    const chromium = stats([
      { state: 'failed', nominated: true },
      { ...ends, state: 'succeeded', nominated: true },
    ]);
    const firefox = stats([
      { state: 'succeeded', nominated: true, selected: false },
      { ...ends, state: 'succeeded', nominated: true, selected: true },
    ]);
    for (const report of [chromium, firefox])
      expect(chosenPair(report)).toEqual({
        local: { type: 'srflx', address: '203.0.113.5' },
        remote: { type: 'relay', address: '198.51.100.7' },
        rttMs: 25,
      });
  });

  test('is none before ICE has one', () => {
    expect(chosenPair(stats([{ ...ends, state: 'in-progress', nominated: false }]))).toBeNull();
  });

  test('counts as relayed when either end is', () => {
    expect(candidateOf(pairOf(['srflx', ''], ['relay', '']))).toBe('relay');
    expect(candidateOf(pairOf(['prflx', ''], ['srflx', '']))).toBe('prflx');
  });
});
