// The id of an entry, `<epoch>:<offset>-<tag>`: which log, which place, and a mark that no other entry at that place has.

export interface EntryId {
  epoch: string;
  offset: number;
  tag: number;
}

const ENTRY_ID = /^([A-Za-z0-9_-]{1,32}):(\d{1,15})-(\d{1,10})$/;
const TAG_LIMIT = 2 ** 32;

export function formatEntryId(epoch: string, offset: number, tag: number | string): string {
  return `${epoch}:${offset}-${tag}`;
}

export function parseEntryId(text: string): EntryId | null {
  const [, epoch, offset, tag] = ENTRY_ID.exec(text) ?? [];
  if (epoch === undefined) return null;
  return { epoch, offset: Number(offset), tag: Number(tag) };
}

/** Not a secret: it only has to differ from what a store that lost the entry would give out at the same offset. */
export function randomTag(): number {
  return Math.floor(Math.random() * TAG_LIMIT);
}
