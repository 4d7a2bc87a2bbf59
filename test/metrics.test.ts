// What a worker's numbers say: the labels that they are told apart by.
import { expect, test } from '@jest/globals';
import { Metrics } from '../src/metrics.js';
import type { TestMeasure } from '../src/protocol/test-report.js';

test('connections that test pages tried are counted apart in one network and between networks', async () => {
  const metrics = new Metrics();
  const measure: Omit<TestMeasure, 'sameNetwork'> = {
    ...{ way: 'direct', candidate: 'host', ok: true },
    ...{ setupMs: 1, pingMs: 1, kbps: 1 },
  };
  metrics.countTest({
    browser: 'firefox',
    platform: 'linux',
    network: 'wifi',
    measures: [
      { ...measure, sameNetwork: true },
      { ...measure, sameNetwork: true },
      { ...measure, sameNetwork: false },
    ],
    pairs: [],
  });
  const told = await metrics.registry.getSingleMetric('signalbox_connection_tests_total')?.get();
  const labels = { way: 'direct', browser: 'firefox', network: 'wifi', candidate: 'host', outcome: 'ok' };
  expect(told?.values).toMatchObject([
    { value: 2, labels: { ...labels, same_network: 'true' } },
    { value: 1, labels: { ...labels, same_network: 'false' } },
  ]);
});
