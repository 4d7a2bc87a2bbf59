// The id of an entry, `<epoch>:<offset>-<tag>`: which log, which place, and a mark that no other entry at that place has.

export interface EntryId {
  epoch: string;
  offset: number;
  tag: string;
}

const ENTRY_ID = /^[A-Za-z0-9_-]{1,32}:[1-9]\d{0,14}-\d{1,10}$/;
const [ZERO, NINE, COLON, DASH] = [0x30, 0x39, 0x3a, 0x2d];
/** Fewer digits than a number holds exactly. */
const OFFSET_DIGITS = 15;
const TAG_DIGITS = 10;

/** Null for what no store ever gave out. */
export function parseEntryId(text: string): EntryId | null {
  if (!ENTRY_ID.test(text)) return null;
  const colon = text.indexOf(':');
  const dash = text.indexOf('-', colon);
  return {
    epoch: text.slice(0, colon),
    offset: Number(text.slice(colon + 1, dash)),
    tag: text.slice(dash + 1),
  };
}

/** The offset of an id in the log of this epoch; 0 where it is none, or of another log. For every message that passes: nothing is allocated. */
export function offsetIn(epoch: string, text: string): number {
  const colon = epoch.length;
  if (colon === 0 || text.charCodeAt(colon) !== COLON || !text.startsWith(epoch)) return 0;
  let offset = 0;
  let at = colon + 1;
  for (let code = text.charCodeAt(at); code >= ZERO && code <= NINE; code = text.charCodeAt(++at))
    offset = offset * 10 + code - ZERO;
  const digits = at - colon - 1;
  const isNumber = digits > 0 && digits <= OFFSET_DIGITS && text.charCodeAt(colon + 1) !== ZERO;
  if (!isNumber || text.charCodeAt(at) !== DASH) return 0;
  const tagDigits = text.length - at - 1;
  if (tagDigits < 1 || tagDigits > TAG_DIGITS) return 0;
  while (++at < text.length) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return 0;
  }
  return offset;
}
