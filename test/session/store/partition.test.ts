// Names to partitions, partitions to tags, tags to slots.
import { expect, test } from '@jest/globals';
import { PARTITIONS, partitionOf, partitionTags, slotOf } from '../../../src/session/store/partition.js';

test('slotOf gives the slots of the cluster specification', () => {
  // CLUSTER KEYSLOT of a Redis 7 server.
  expect(slotOf('123456789')).toBe(12739);
  expect(slotOf('foo')).toBe(12182);
  expect(slotOf('')).toBe(0);
});

test('partitionTags gives each partition a tag in a stretch of slots of its own', () => {
  const tags = partitionTags();
  expect(tags).toHaveLength(PARTITIONS);
  expect(new Set(tags).size).toBe(PARTITIONS);
  for (const [partition, tag] of tags.entries()) expect(Math.floor(slotOf(tag) / 64)).toBe(partition);
});

test('partitionTags and partitionOf never change: the keys of a running deployment hang on them', () => {
  const tags = partitionTags();
  expect([tags[0], tags[1], tags[127], tags[128], tags[255]]).toEqual(['cv', '14', 'z', '16', 'fv']);
  expect(['alice', 'bob', 'lobby', ''].map(partitionOf)).toEqual([231, 212, 211, 197]);
});
