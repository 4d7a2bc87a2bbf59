// A shared result: what comes out of the link is what went in, and a link that somebody made up is none.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { linkOf, type Snapshot, snapshotOf } from '../../src/test-page/share.js';

const spread = { count: 20, mean: 12.5, sd: 2.25, p95: 18 };
const SNAPSHOT: Snapshot = {
  at: 1_795_000_000_000,
  about: { browser: 'firefox', platform: 'android', network: 'cellular' },
  missing: ['screen', 'speech'],
  evidence: {
    hasWebRTC: true,
    isSecure: true,
    isConnected: false,
    isRefused: true,
    websocket: 'ok',
    sse: 'failed',
    found: { host: true, srflx: false, relay: true },
    servers: { stun: true, turn: true },
    pairs: [{ outcome: 'relay', sameNetwork: false }],
  },
  sections: [
    {
      peer: { browser: 'safari', platform: 'ios', network: 'wifi', sameNetwork: false },
      rows: [
        {
          way: 'direct',
          status: 'failed',
          note: 'timeout',
          candidate: 'none',
          setup: null,
          ping: null,
          bandwidth: null,
          pings: [],
        },
        {
          way: 'relay',
          status: 'ok',
          note: '',
          candidate: 'relay',
          setup: { ...spread, sd: null },
          ping: spread,
          bandwidth: spread,
          pings: [11, 12.25],
        },
      ],
    },
  ],
};
const PAGE = 'https://gateway.example/test';
const hashOf = (snapshot: Snapshot): string => linkOf(snapshot, PAGE).slice(PAGE.length);
const encoded = (value: unknown): string => `#r=${Buffer.from(JSON.stringify(value)).toString('base64url')}`;

describe('a link', () => {
  test('holds the result but for texts, behind a # that browsers do not send', () => {
    const link = linkOf(SNAPSHOT, PAGE);
    expect(link.startsWith(`${PAGE}#r=`)).toBe(true);
    const shared = structuredClone(SNAPSHOT);
    for (const { rows } of shared.sections) for (const row of rows) row.note = '';
    expect(snapshotOf(hashOf(SNAPSHOT))).toEqual({
      ...shared,
      sections: shared.sections.map((section) => ({
        ...section,
        rows: section.rows.map((row) => ({
          ...row,
          pings: row.pings.map((ms) => Number(ms.toPrecision(3))),
        })),
      })),
    });
  });

  test('of before refusals were told opens', () => {
    const evidence: Partial<Snapshot['evidence']> = { ...SNAPSHOT.evidence };
    delete evidence.isRefused;
    expect(snapshotOf(encoded({ ...SNAPSHOT, evidence }))?.evidence.isRefused).toBe(false);
  });

  test('opens also where the page met more others than go along', () => {
    const [pair] = SNAPSHOT.evidence.pairs;
    const [section] = SNAPSHOT.sections;
    if (pair === undefined || section === undefined) throw new Error('none');
    const shared = snapshotOf(
      hashOf({
        ...SNAPSHOT,
        evidence: { ...SNAPSHOT.evidence, pairs: Array.from({ length: 13 }, () => pair) },
        sections: Array.from({ length: 14 }, () => section),
      }),
    );
    expect([shared?.evidence.pairs.length, shared?.sections.length]).toEqual([12, 12]);
  });

  test('is no result when it was made up', () => {
    const wrong: unknown[] = [
      null,
      [],
      {},
      { ...SNAPSHOT, about: { ...SNAPSHOT.about, browser: '<img src=x>' } },
      { ...SNAPSHOT, missing: ['call this number'] },
      { ...SNAPSHOT, at: 'now' },
      { ...SNAPSHOT, evidence: { ...SNAPSHOT.evidence, pairs: [{ outcome: 'win', sameNetwork: false }] } },
      { ...SNAPSHOT, sections: Array.from({ length: 13 }, () => SNAPSHOT.sections[0]) },
      { ...SNAPSHOT, sections: [{ peer: null, rows: [{ ...SNAPSHOT.sections[0]?.rows[1], pings: [-1] }] }] },
    ];
    const pingOf = (ping: string): string =>
      JSON.stringify(SNAPSHOT).replace('"pings":[11,12.25]', `"pings":[${ping}]`);
    expect(snapshotOf(encoded(SNAPSHOT))).not.toBeNull();
    for (const value of wrong) expect(snapshotOf(encoded(value))).toBeNull();
    expect(snapshotOf(`#r=${btoa(pingOf('1e12'))}`)).not.toBeNull();
    // JSON.parse makes Infinity of the first.
    for (const ping of ['1e999', '1.5e308', '1e13'])
      expect(snapshotOf(`#r=${btoa(pingOf(ping))}`)).toBeNull();
    for (const hash of ['', '#', '#r=', '#r=%%%', '#x=1', `#r=${'A'.repeat(100_000)}`])
      expect(snapshotOf(hash)).toBeNull();
  });

  test('is taken or refused but never throws, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        snapshotOf(`#r=${Buffer.from(text).toString('base64url')}`);
      }),
    );
  });
});
