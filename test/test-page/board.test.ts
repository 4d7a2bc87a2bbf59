// Rows and pairs: what a result makes of them, and what is told to the gateway once.
import { describe, expect, test } from '@jest/globals';
import { HISTORY_LIMIT, PeerRows, Row } from '../../src/test-page/board.js';
import type { CandidatePair } from '../../src/test-page/candidate-pair.js';
import { failed, type WayResult } from '../../src/test-page/way-result.js';

const TAGS = ['a', 'b'] as const;
const HOST: CandidatePair = {
  local: { type: 'host', address: '10.0.0.1' },
  remote: { type: 'host', address: '10.0.0.2' },
  rttMs: 1,
};
const RELAYED: CandidatePair = {
  local: { type: 'relay', address: '198.51.100.1' },
  remote: { type: 'relay', address: '198.51.100.1' },
  rttMs: 1,
};
const ok = (pair: CandidatePair | null = null): WayResult => ({
  status: 'ok',
  setupMs: 40,
  pings: [10, 20],
  kbps: 1000,
  pair,
});

describe('a row', () => {
  test('has the figures of all rounds, and tells the last one once', () => {
    const row = new Row('websocket');
    row.take(ok(), TAGS, 1000);
    row.take({ ...ok(), setupMs: 60 } as WayResult, TAGS, 2000);
    expect(row.view()).toMatchObject({ status: 'ok', setup: { mean: 50, count: 2 }, ping: { count: 4 } });
    expect(row.history).toEqual([
      { at: 1000, pingMs: 15 },
      { at: 2000, pingMs: 15 },
    ]);
    const told = {
      way: 'websocket',
      candidate: 'none',
      sameNetwork: false,
      ok: true,
      setupMs: 60,
      pingMs: 15,
      kbps: 1000,
    };
    expect(row.takeUnreported()).toEqual([told]);
    expect(row.takeUnreported()).toEqual([]);
  });

  test('says why it failed, and tells a failure without figures', () => {
    const row = new Row('direct');
    row.take(failed('timeout'), TAGS);
    expect([row.status, row.note]).toEqual(['failed', 'timeout']);
    expect(row.takeUnreported()).toMatchObject([{ ok: false, setupMs: null, pingMs: null, kbps: null }]);
  });

  test('knows nothing when the other page is busy or was closed', () => {
    const row = new Row('direct');
    row.run();
    row.take({ status: 'busy' }, TAGS);
    expect([row.status, row.takeUnreported()]).toEqual(['waiting', []]);
    row.take({ status: 'gone' }, TAGS);
    expect([row.status, row.note, row.takeUnreported()]).toEqual([
      'waiting',
      'the other page was closed',
      [],
    ]);
  });

  test('keeps what it knew when the other page is busy or was closed, or the gateway went away', () => {
    for (const status of ['busy', 'gone', 'away'] as const) {
      const row = new Row('direct');
      row.take(ok(), TAGS);
      row.takeUnreported();
      row.run();
      row.take({ status }, TAGS);
      expect([row.status, row.takeUnreported()]).toEqual(['ok', []]);
    }
  });

  test('does not grow for ever', () => {
    const row = new Row('sse');
    for (let i = 0; i < HISTORY_LIMIT + 3; i++) row.take(ok(), TAGS, i);
    expect([row.history.length, row.history[0]?.at]).toEqual([HISTORY_LIMIT, 3]);
  });
});

describe('a pair', () => {
  test.each([
    ['ok', 'off', 'this browser makes no test picture'],
    ['failed', 'waiting', 'no way yet'],
    ['busy', 'waiting', 'the other page is busy'],
    ['away', 'waiting', 'the gateway went away'],
  ] as const)('says of video that was not tried, where the channel was %s, why', (channel, status, note) => {
    const rows = new PeerRows();
    rows.takeVideo(channel, null, TAGS);
    expect([rows.media.status, rows.media.note]).toEqual([status, note]);
  });

  test('is direct, relayed or none as its rows came out, and unknown before', () => {
    const rows = new PeerRows();
    expect(rows.pair).toBeNull();
    rows.direct.take(failed('timeout'), TAGS);
    expect(rows.pair).toBeNull();
    rows.relay.take(ok(), TAGS);
    expect(rows.pair).toEqual({ outcome: 'relay', sameNetwork: false });
    rows.relay.take(failed('timeout'), TAGS);
    expect(rows.pair?.outcome).toBe('none');
    rows.direct.take(ok(HOST), TAGS);
    expect(rows.pair).toEqual({ outcome: 'direct', sameNetwork: true });
  });

  test('is none without a relay to try, and unknown when the page was closed before the relay was tried', () => {
    const rows = new PeerRows();
    rows.direct.take(failed('timeout'), TAGS);
    rows.relay.status = 'off';
    expect(rows.pair?.outcome).toBe('none');
    rows.relay.take({ status: 'gone' }, TAGS);
    expect(rows.pair).toBeNull();
  });

  test('is told when it is new or another, however often it is tested', () => {
    const rows = new PeerRows();
    expect(rows.takeUnreported()).toEqual([]);
    rows.direct.take(ok(), TAGS);
    expect(rows.takeUnreported()).toHaveLength(1);
    rows.direct.take(ok(), TAGS);
    expect(rows.takeUnreported()).toEqual([]);
    rows.direct.take(failed('timeout'), TAGS);
    rows.relay.take(ok(), TAGS);
    expect(rows.takeUnreported()).toEqual([{ outcome: 'relay', sameNetwork: false }]);
  });

  test('in one network tells so with each of its ways, also of those whose own addresses do not show it', () => {
    const rows = new PeerRows();
    rows.direct.take(ok(HOST), TAGS);
    rows.relay.take(ok(RELAYED), TAGS);
    rows.takeVideo('failed', failed('timeout'), TAGS);
    expect(rows.takeMeasures()).toMatchObject([
      { way: 'direct', sameNetwork: true },
      { way: 'relay', sameNetwork: true },
      { way: 'media', sameNetwork: true },
    ]);
    expect(rows.takeMeasures()).toEqual([]);
  });

  test('of different networks tells of none of its ways that they are in one', () => {
    const rows = new PeerRows();
    rows.direct.take(failed('timeout'), TAGS);
    rows.relay.take(ok(RELAYED), TAGS);
    expect(rows.takeMeasures()).toMatchObject([{ sameNetwork: false }, { sameNetwork: false }]);
  });
});
