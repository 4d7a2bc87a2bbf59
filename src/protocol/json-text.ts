// JSON as text: where the elements of an array stand, so that a value can be passed on as the text that it came in.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** Index after the string that begins at `at`. */
function afterString(text: string, at: number): number {
  for (let i = at + 1; ; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    // NaN, past the end, cannot be in valid JSON; it must not loop for ever either.
    else if (code === QUOTE || Number.isNaN(code)) return i + 1;
  }
}

/**
 * The text of one element of an array; `text` must be valid JSON (`JSON.parse` took it) and have the element.
 * Parsing and writing again would change it: 12345678901234567890 is no double.
 */
export function elementText(text: string, index: number): string {
  let depth = 0;
  let element = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = afterString(text, at) - 1;
      continue;
    }
    const isOpening = code === 0x5b || code === 0x7b;
    const isClosing = code === 0x5d || code === 0x7d;
    if (isOpening && depth++ === 0) from = at + 1;
    else if (depth === 1 && (code === COMMA || isClosing)) {
      if (element++ === index) return text.slice(from, at).trim();
      from = at + 1;
    } else if (isClosing) depth--;
  }
  return '';
}

/** Whether a parsed value nests deeper than `limit`. */
export function nestsDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return limit === 0 || Object.values(value).some((item) => nestsDeeper(item, limit - 1));
}

/** Whether JSON carries a value without changing it: no bytes, dates, maps, big integers, NaN, -0 or holes. */
export function isJsonSafe(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      return value === null || (depth > 0 && isSafeObject(value, depth - 1));
    default:
      return false;
  }
}

function isSafeObject(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    // Not `every`, which passes over holes.
    for (let i = 0; i < value.length; i++) if (!isJsonSafe(value[i], depth)) return false;
    return true;
  }
  if (value instanceof Date) return false;
  if (hasToJson(value)) return isJsonSafe(value.toJSON(), depth);
  if (!isPlainObject(value)) return false;
  return Object.entries(value).every(
    ([key, item]) => key !== '__proto__' && (item === undefined || isJsonSafe(item, depth)),
  );
}

/** As RTCSessionDescription and RTCIceCandidate, which have no properties of their own. */
export function hasToJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

/** Whether an object is nothing but its properties: one of a class too, but no Set, Error, Promise or typed array. */
export function isPlainObject(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Object]';
}
