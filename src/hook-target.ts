// Where signed POSTs of the gateway go, and the secret that they are signed with: options of `authorize` and `webhooks`.

export interface Target {
  /** An address with `http:` or `https:`. */
  url: string;
  secret: string;
}

/** Shorter ones are guessed from one request that was overheard. */
const SECRET_MIN_CHARACTERS = 32;

/** @throws TypeError that says which option is wrong */
export function targetOf({ url, secret }: { url?: unknown; secret?: unknown }): Target {
  if (typeof url !== 'string' || !/^https?:$/.test(protocolOf(url)))
    throw new TypeError('options.url must be an address with http: or https:');
  if (typeof secret !== 'string' || secret.length < SECRET_MIN_CHARACTERS)
    throw new TypeError(`options.secret must have ${String(SECRET_MIN_CHARACTERS)} characters or more`);
  return { url, secret };
}

function protocolOf(url: string): string {
  try {
    return new URL(url).protocol;
  } catch {
    return '';
  }
}
