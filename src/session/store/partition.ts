// Partitions: every client and room hashes to one of 256, whose keys and channels share one Redis hash tag.

export const PARTITIONS = 256;
export const SLOTS = 16_384;

/** FNV-1a, 32 bit: small, well spread for short names, and easy to repeat in another language. */
export function partitionOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

/** CRC16-CCITT (XModem) of a key's tag: the slot of Redis Cluster. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    crc ^= tag.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}

/**
 * One tag per partition, each in a stretch of slots of its own, so that any even division of the slots among Redis
 * nodes divides the partitions evenly (bare numbers as tags collide badly: centrifuge#554).
 */
export function partitionTags(): string[] {
  const stretch = SLOTS / PARTITIONS;
  const tags = new Array<string>(PARTITIONS);
  let missing = PARTITIONS;
  for (let candidate = 0; missing > 0; candidate++) {
    const tag = candidate.toString(36);
    const partition = Math.floor(slotOf(tag) / stretch);
    if (tags[partition] !== undefined) continue;
    tags[partition] = tag;
    missing--;
  }
  return tags;
}
