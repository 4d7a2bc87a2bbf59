// Names of Socket.IO's events and rooms as names of signalbox: any text, in the characters that names may have.

/** `~` begins what is escaped, and so is escaped itself. */
const PLAIN = /[A-Za-z0-9._@:/+-]/;

/** `chat message` → `chat~20message`: what may not stand in a name becomes `~` and two hexadecimal digits for each byte of its UTF-8. */
export function toName(text: string): string {
  let name = '';
  for (const character of text) name += PLAIN.test(character) ? character : escaped(character);
  return name;
}

/** The way back; a name that was not made by `toName` stays as it is. */
export function fromName(name: string): string {
  try {
    return name.includes('~') ? decodeURIComponent(name.replaceAll('~', '%')) : name;
  } catch {
    return name;
  }
}

function escaped(character: string): string {
  const bytes = [...new TextEncoder().encode(character)];
  return bytes.map((byte) => `~${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
