// Tokens from the gateway that served this page; each guest has an id that only who knows its key gets again.
import { isName } from '../protocol/ids.js';
import { field } from './candidate-pair.js';
import { deadline } from './waiting.js';

export interface GuestInfo {
  token: string;
  client: string;
  room: string;
  /** Tag of the public address; the same for pages behind the same one. */
  network: string;
}

/** A gateway that hangs shall not hang the page. */
const TIMEOUT_MS = 10_000;

export class GuestError extends Error {
  override readonly name = 'GuestError';
  /** @param refusal why the gateway wants no page from here, in its words; empty where it did not say */
  constructor(
    message: string,
    readonly refusal = '',
  ) {
    super(message);
  }
}

export class Guest {
  readonly #key = newKey();

  /** @throws GuestError where the gateway refuses, or cannot be reached */
  async fetch(): Promise<GuestInfo> {
    const response = await fetch('/test/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ key: this.#key }),
      signal: deadline(TIMEOUT_MS),
    }).catch(() => {
      // Each browser has its own words for it.
      throw new GuestError('the gateway does not answer');
    });
    const info: unknown = await response.json().catch(() => null);
    if (!response.ok) throw refusalOf(response.status, info);
    const [token, client, room, network] = ['token', 'client', 'room', 'network'].map((name) =>
      field(info, name),
    );
    if (typeof token !== 'string' || !isName(client) || !isName(room) || typeof network !== 'string')
      throw new GuestError('what answers is no gateway');
    return { token, client, room, network };
  }

  readonly token = async (): Promise<string> => (await this.fetch()).token;
}

function refusalOf(status: number, answer: unknown): GuestError {
  if (status === 429) return new GuestError('the gateway has had too many visitors from here just now');
  const text = field(answer, 'text');
  if (status === 403 && typeof text === 'string')
    return new GuestError('the gateway refuses this page', text);
  return new GuestError(`the gateway gave no token (HTTP ${String(status)})`);
}

/** 192 random bits in base64url; kept in memory only, so that a duplicated tab is another guest. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_');
}
