// The sum over the workers of a node, also over those that are gone.
import { describe, expect, test } from '@jest/globals';
import { NodeMetrics } from '../../src/admin/node-metrics.js';
import { Metrics } from '../../src/metrics.js';

async function worker(): Promise<{ metrics: Metrics; values(): Promise<object[]> }> {
  const metrics = new Metrics();
  return { metrics, values: () => metrics.registry.getMetricsAsJSON() };
}

async function lines(node: NodeMetrics, name: string): Promise<string[]> {
  return (await node.exposition()).split('\n').filter((line) => line.startsWith(`signalbox_${name}`));
}

describe('the metrics of a node', () => {
  test('add its workers up', async () => {
    const node = new NodeMetrics();
    for (const id of [1, 2]) {
      const { metrics, values } = await worker();
      metrics.refusals.inc({ code: 'limit' }, id);
      metrics.connections.set(id * 10);
      node.tell(id, await values());
    }
    expect(await lines(node, 'refusals')).toEqual(['signalbox_refusals_total{code="limit"} 3']);
    expect(await lines(node, 'connections')).toEqual(['signalbox_connections 30']);
  });

  test('have a TURN server up where it answers all workers', async () => {
    const node = new NodeMetrics();
    const answers = (a: boolean, b: boolean): [string, boolean][] => [
      ['a.example:3478/udp', a],
      ['b.example:443/tls', b],
    ];
    for (const [id, urls] of [answers(true, true), answers(false, true), answers(true, true)].entries()) {
      const { metrics, values } = await worker();
      metrics.watchTurnServers(() => urls);
      node.tell(id, await values());
    }
    expect(await lines(node, 'turn_server_up')).toEqual([
      'signalbox_turn_server_up{server="a.example:3478/udp"} 0',
      'signalbox_turn_server_up{server="b.example:443/tls"} 1',
    ]);
    // Who found it dead is gone.
    node.end(1);
    expect(await lines(node, 'turn_server_up')).toEqual([
      'signalbox_turn_server_up{server="a.example:3478/udp"} 1',
      'signalbox_turn_server_up{server="b.example:443/tls"} 1',
    ]);
  });

  test('keep the counters and histograms of workers that ended, and none of their gauges', async () => {
    const node = new NodeMetrics();
    for (const id of [1, 2, 3]) {
      const { metrics, values } = await worker();
      metrics.refusals.inc({ code: 'limit' }, id);
      metrics.framesIn.add('send', 100 * id);
      metrics.loopLag.observe(0.01);
      metrics.connections.set(id * 10);
      node.tell(id, await values());
      if (id < 3) node.end(id);
    }
    expect(await lines(node, 'refusals')).toEqual(['signalbox_refusals_total{code="limit"} 6']);
    expect(await lines(node, 'frames')).toEqual(['signalbox_frames_received_total{type="send"} 600']);
    expect(await lines(node, 'event_loop_lag_seconds_count')).toEqual([
      'signalbox_event_loop_lag_seconds_count 3',
    ]);
    expect(await lines(node, 'connections')).toEqual(['signalbox_connections 30']);
    node.end(3);
    expect(await lines(node, 'refusals')).toEqual(['signalbox_refusals_total{code="limit"} 6']);
    expect(await lines(node, 'connections')).toEqual([]);
  });

  test('count a worker that ends without a word, or twice, as nothing more', async () => {
    const node = new NodeMetrics();
    const { metrics, values } = await worker();
    metrics.refusals.inc({ code: 'limit' });
    node.tell(1, await values());
    for (const id of [1, 1, 2]) node.end(id);
    expect(await lines(node, 'refusals')).toEqual(['signalbox_refusals_total{code="limit"} 1']);
  });
});
