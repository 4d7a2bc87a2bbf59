// The id of an entry, `<epoch>:<offset>-<tag>`: which log, which place, and a mark that no other entry at that place has.

export interface EntryId {
  epoch: string;
  offset: number;
  tag: string;
}

const ENTRY_ID = /^([A-Za-z0-9_-]{1,32}):([1-9]\d{0,14})-(\d{1,10})$/;

/** Null for what no store ever gave out. */
export function parseEntryId(text: string): EntryId | null {
  const [, epoch, offset, tag] = ENTRY_ID.exec(text) ?? [];
  if (epoch === undefined || offset === undefined || tag === undefined) return null;
  return { epoch, offset: Number(offset), tag };
}
