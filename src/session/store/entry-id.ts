// The id of an entry, `<epoch>:<offset>-<tag>`: which log, which place, and a mark that no other entry at that place has.

export interface EntryId {
  epoch: string;
  offset: number;
  tag: string;
}

const ENTRY_ID = /^[A-Za-z0-9_-]{1,32}:[1-9]\d{0,14}-\d{1,10}$/;

/** Null for what no store ever gave out. */
export function parseEntryId(text: string): EntryId | null {
  // For every message that passes: groups of the expression would cost an array each time.
  if (!ENTRY_ID.test(text)) return null;
  const colon = text.indexOf(':');
  const dash = text.indexOf('-', colon);
  return {
    epoch: text.slice(0, colon),
    offset: Number(text.slice(colon + 1, dash)),
    tag: text.slice(dash + 1),
  };
}
