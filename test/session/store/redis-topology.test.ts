// What sentinels and nodes of a cluster say, read into masters and slots.
import { describe, expect, test } from '@jest/globals';
import { readSentinel, readSlots } from '../../../src/session/store/redis-topology.js';

const OK = 'cluster_state:ok\r\ncluster_current_epoch:7\r\n';

describe('readSlots', () => {
  test('gathers the slots of each master, and knows the replicas', () => {
    const rows = [
      [0, 99, ['10.0.0.1', 7000, 'id1', []], ['10.0.0.4', 7000, 'id4', []]],
      [100, 199, ['10.0.0.2', 7000, 'id2', []]],
      [200, 299, ['10.0.0.1', 7000, 'id1', []]],
    ];
    expect(readSlots(OK, rows, 'asked')).toEqual({
      isOk: true,
      epoch: 7,
      masters: [
        {
          address: { host: '10.0.0.1', port: 7000 },
          slots: [
            [0, 99],
            [200, 299],
          ],
        },
        { address: { host: '10.0.0.2', port: 7000 }, slots: [[100, 199]] },
      ],
      nodes: ['1', '4', '2'].map((last) => ({ host: `10.0.0.${last}`, port: 7000 })),
    });
  });

  test('takes the host that was asked for one that has no name, and leaves out one that is unknown', () => {
    const rows = [
      [0, 9, [null, 7000, 'id1']],
      [10, 19, ['', 7001, 'id2']],
      [20, 29, ['?', 7002, 'id3']],
    ];
    const { masters } = readSlots(OK, rows, 'asked');
    expect(masters.map(({ address }) => address)).toEqual([
      { host: 'asked', port: 7000 },
      { host: 'asked', port: 7001 },
    ]);
  });

  test('is no view for anything else', () => {
    for (const rows of [null, 'x', [], [1], [[]], [[0, 1]], [[0, 1, 'x']], [['0', '1', ['h', 1]]]]) {
      expect(readSlots('', rows, 'asked')).toMatchObject({ isOk: false, epoch: 0, masters: [] });
    }
  });
});

test('readSentinel takes the epoch from the one answer and the address from the other, and nothing from anything else', () => {
  const fields = ['name', 'main', 'ip', '10.0.0.1', 'port', '6379', 'config-epoch', '12'];
  const address = { host: '10.0.0.2', port: 6380 };
  expect(readSentinel(fields, ['10.0.0.2', '6380'])).toEqual({ address, epoch: 12 });
  for (const odd of [null, 'x', [], ['config-epoch'], ['config-epoch', 'x']])
    expect(readSentinel(odd, ['10.0.0.2', '6380'])).toEqual({ address, epoch: 0 });
  for (const place of [null, 'x', [], ['10.0.0.1'], ['', '1'], ['10.0.0.1', 'x']])
    expect(readSentinel(fields, place)).toBeNull();
});
