// Places in channels: which of two is further back, and whether an entry was passed already.
import type { EntryId } from '../../protocol/frame.js';

/** Where a channel was read to; null before its first entry. */
export type Place = EntryId | null;

/** Ids are `<epoch>:<offset>-<tag>`. */
function parse(id: EntryId): [epoch: string, offset: number] {
  const [epoch = '', rest = ''] = id.split(':');
  return [epoch, parseInt(rest)];
}

/** Whether who stands at `place` has that entry. Of another epoch nobody knows: it is rather given once more. */
export function covers(place: Place | undefined, id: EntryId): boolean {
  if (place === undefined || place === null) return false;
  const [epoch, offset] = parse(place);
  const [otherEpoch, otherOffset] = parse(id);
  return epoch === otherEpoch && offset >= otherOffset;
}

/**
 * Where reading has to begin for everybody who stands at one of the places. Of different epochs it is one that is not of `head`'s: who stands
 * there has to be told that something is missing.
 */
export function lowest(places: readonly Place[], head: Place | undefined): Place | undefined {
  const [first] = places;
  if (first === undefined || places.includes(null)) return first === undefined ? undefined : null;
  const known = head === undefined || head === null ? null : parse(head)[0];
  return places.reduce((low, place) => {
    if (low === null || place === null) return null;
    const [lowEpoch, lowOffset] = parse(low);
    const [epoch, offset] = parse(place);
    if (epoch === lowEpoch) return offset < lowOffset ? place : low;
    return lowEpoch === known ? place : low;
  }, first);
}
