// Partitions: a client or room name → one of 256 hash tags, so that all its keys lie in one slot of a Redis Cluster.
import { GatewayError } from '../../protocol/errors.js';

/** A fixed number: a change moves keys. 256 tags spread over any sensible number of Redis Cluster nodes. */
export const PARTITIONS = 256;
/** Slots of a Redis Cluster. */
export const SLOTS = 16_384;

const SLOTS_PER_PARTITION = SLOTS / PARTITIONS;

/** FNV-1a, 32 bits. Names are ASCII. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

export function partitionOf(name: string): number {
  return hashOf(name) % PARTITIONS;
}

/** CRC-16/XMODEM, as Redis Cluster hashes tags (cluster specification, appendix A). */
export function slotOf(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    crc ^= tag.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc % SLOTS;
}

/**
 * One tag for each partition, such that the slots are spread evenly: partition n gets the first decimal number whose
 * slot is in the nth 256th of all slots. Bare indices would crowd some nodes and leave others empty (centrifuge#554).
 */
export function partitionTags(): readonly string[] {
  const tags: string[] = [];
  let missing = PARTITIONS;
  for (let number = 0; missing > 0; number++) {
    const tag = String(number);
    const partition = Math.floor(slotOf(tag) / SLOTS_PER_PARTITION);
    if (tags[partition] !== undefined) continue;
    tags[partition] = tag;
    missing -= 1;
  }
  return tags;
}

const CLIENTS_CURSOR = /^(\d{1,3}):(.*)$/;

/** Place in a listing that goes partition by partition: after `after` ('' is its start) in `partition`. */
export function formatClientsCursor(partition: number, after: string): string {
  return `${partition}:${after}`;
}

/** @throws GatewayError `bad_parameter` for what is no cursor of ours */
export function parseClientsCursor(cursor: string | null): { partition: number; after: string } {
  if (cursor === null) return { partition: 0, after: '' };
  const [, partition, after] = CLIENTS_CURSOR.exec(cursor) ?? [];
  if (partition === undefined || after === undefined || Number(partition) >= PARTITIONS) {
    throw new GatewayError('bad_parameter', 'not a cursor of this listing');
  }
  return { partition: Number(partition), after };
}
