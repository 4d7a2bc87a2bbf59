// Reports of connection test pages: what is taken, and that everything else is refused by name.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtocolError } from '../../src/protocol/errors.js';
import {
  MEASURES_LIMIT,
  PAIRS_LIMIT,
  parseTestReport,
  type TestReport,
  turnShare,
} from '../../src/protocol/test-report.js';

const MEASURE = {
  way: 'direct',
  candidate: 'srflx',
  sameNetwork: false,
  ok: true,
  setupMs: 210.5,
  pingMs: 31,
  kbps: null,
} as const;
const REPORT: TestReport = {
  browser: 'firefox',
  platform: 'android',
  network: 'cellular',
  measures: [MEASURE],
  pairs: [{ outcome: 'relay', sameNetwork: false }],
};

describe('a report', () => {
  test('is taken field by field, and what else is in it is left behind', () => {
    const more = { ...REPORT, address: '203.0.113.5', measures: [{ ...MEASURE, id: 'x' }] };
    expect(parseTestReport(JSON.parse(JSON.stringify(more)))).toEqual(REPORT);
  });

  test.each<[string, unknown]>([
    ['the report is no object', null],
    ['the report is no object', [REPORT]],
    ['browser', { ...REPORT, browser: 'netscape' }],
    ['platform', { ...REPORT, platform: 7 }],
    ['network', { ...REPORT, network: undefined }],
    ['measures is no list', { ...REPORT, measures: {} }],
    ['measures has more', { ...REPORT, measures: new Array(MEASURES_LIMIT + 1).fill(MEASURE) }],
    ['a measure is no object', { ...REPORT, measures: ['x'] }],
    ['way', { ...REPORT, measures: [{ ...MEASURE, way: '__proto__' }] }],
    ['candidate', { ...REPORT, measures: [{ ...MEASURE, candidate: 'constructor' }] }],
    ['ok is not', { ...REPORT, measures: [{ ...MEASURE, ok: 1 }] }],
    ['setupMs', { ...REPORT, measures: [{ ...MEASURE, setupMs: -1 }] }],
    ['pingMs', { ...REPORT, measures: [{ ...MEASURE, pingMs: 1e9 }] }],
    ['kbps', { ...REPORT, measures: [{ ...MEASURE, kbps: '9' }] }],
    ['pairs has more', { ...REPORT, pairs: new Array(PAIRS_LIMIT + 1).fill(REPORT.pairs[0]) }],
    ['outcome', { ...REPORT, pairs: [{ outcome: 'maybe', sameNetwork: false }] }],
    ['sameNetwork', { ...REPORT, pairs: [{ outcome: 'none' }] }],
  ])('is refused with bad_parameter and a text on %s', (text, report) => {
    const refusal = (() => {
      try {
        return parseTestReport(report);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(ProtocolError);
    expect(refusal).toMatchObject({ code: 'bad_parameter', message: expect.stringContaining(text) });
  });

  test('is a report or a ProtocolError, whatever came', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          parseTestReport(value);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }),
    );
  });
});

test('the share of TURN is of those that reached each other', () => {
  expect(turnShare({ direct: 3, relay: 1, none: 5 })).toBe(0.25);
  expect(turnShare({ direct: 0, relay: 0, none: 5 })).toBeNull();
});
