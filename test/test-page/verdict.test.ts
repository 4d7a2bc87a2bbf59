// What the page says, for each kind of evidence.
import { describe, expect, test } from '@jest/globals';
import type { PairOutcome, TestPair } from '../../src/protocol/test-report.js';
import { type Evidence, judge } from '../../src/test-page/verdict.js';

const pair = (outcome: PairOutcome, sameNetwork = false): TestPair => ({ outcome, sameNetwork });
const evidence = (some: Partial<Evidence>): Evidence => ({
  hasWebRTC: true,
  isSecure: true,
  isConnected: true,
  isRefused: false,
  websocket: 'ok',
  sse: 'ok',
  found: { host: true, srflx: true, relay: false },
  servers: { stun: true, turn: false },
  pairs: [],
  ...some,
});
const withTurn = { servers: { stun: true, turn: true }, found: { host: true, srflx: true, relay: true } };

describe('the verdict', () => {
  test.each<[string, Partial<Evidence>, string, string]>([
    ['there is no WebRTC', { hasWebRTC: false }, 'bad', 'Calls cannot work in this browser'],
    [
      'the gateway is not reached',
      { isConnected: false, websocket: 'failed', sse: 'failed' },
      'bad',
      'The gateway cannot be reached',
    ],
    [
      'the gateway is lost that was there',
      { isConnected: false, websocket: 'ok' },
      'bad',
      'The gateway does not answer any more',
    ],
    [
      'the gateway refuses the page',
      { isConnected: false, isRefused: true, websocket: 'failed', sse: 'failed' },
      'bad',
      'The gateway refuses this page',
    ],
    ['it is not connected yet', { isConnected: null }, 'unknown', 'Connecting to the gateway'],
    ['no candidates were looked for', { found: null }, 'unknown', 'Looking for ways'],
    ['nobody is here and the relay answers', withTurn, 'good', 'Calls will work'],
    [
      'nobody is here and the relay is silent',
      { servers: { stun: true, turn: true } },
      'limited',
      'Calls may fail',
    ],
    ['nobody is here and there is STUN alone', {}, 'limited', 'Most calls will work'],
    [
      'nobody is here and there is no server',
      { servers: { stun: false, turn: false }, found: { host: true, srflx: false, relay: false } },
      'limited',
      'Only calls inside one network are sure',
    ],
    [
      'all others are reached directly',
      { pairs: [pair('direct'), pair('direct')] },
      'good',
      'Calls will work',
    ],
    [
      'one needs the relay',
      { ...withTurn, pairs: [pair('direct'), pair('relay')] },
      'limited',
      'Calls will work, and need a relay',
    ],
    [
      'none is reached and there is no relay',
      { pairs: [pair('none')] },
      'bad',
      'Calls need a relay, and there is none',
    ],
    [
      'some are not reached and there is no relay',
      { pairs: [pair('direct'), pair('none')] },
      'limited',
      'Some calls will fail without a relay',
    ],
    [
      'none is reached in spite of a relay',
      { ...withTurn, pairs: [pair('none')] },
      'bad',
      'Calls cannot work from here',
    ],
    [
      'some are not reached in spite of a relay',
      { ...withTurn, pairs: [pair('relay'), pair('none')] },
      'limited',
      'Some calls cannot work',
    ],
    [
      'only neighbours are here and the relay answers',
      { ...withTurn, pairs: [pair('direct', true)] },
      'good',
      'Calls will work',
    ],
    [
      'only neighbours are here',
      { pairs: [pair('direct', true)] },
      'limited',
      'Calls inside this network will work',
    ],
    [
      'neighbours are kept apart',
      { pairs: [pair('none', true)] },
      'limited',
      'Browsers in this network do not reach each other',
    ],
  ])('when %s', (_case, some, level, headline) => {
    expect(judge(evidence(some))).toMatchObject({ level, headline });
  });

  test('goes by other networks when there are both, for neighbours say nothing of them', () => {
    const pairs = [pair('direct', true), pair('direct', true), pair('none')];
    expect(judge(evidence({ pairs })).level).toBe('bad');
  });

  test('counts those that need the relay', () => {
    const pairs = [pair('direct'), pair('relay'), pair('relay')];
    expect(judge(evidence({ ...withTurn, pairs })).sentences[0]).toContain('2 of 3 browsers');
  });

  test('says so when a WebSocket is blocked, and when the page is not secure', () => {
    const { sentences } = judge(evidence({ websocket: 'failed', isSecure: false }));
    expect(sentences.join(' ')).toMatch(/A WebSocket does not get through.*came without TLS/);
    expect(judge(evidence({})).sentences.join(' ')).not.toMatch(/WebSocket|TLS/);
  });
});
