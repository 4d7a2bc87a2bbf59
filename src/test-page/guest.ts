// Tokens from the gateway that served this page; each guest has an id that only who knows its key gets again.
import { isName } from '../protocol/ids.js';
import { field } from './candidate-pair.js';

export interface GuestInfo {
  token: string;
  client: string;
  room: string;
  /** Tag of the public address; the same for pages behind the same one. */
  network: string;
}

export class GuestError extends Error {
  override readonly name = 'GuestError';
  constructor(readonly status: number) {
    super(`the gateway gave no token (HTTP ${String(status)})`);
  }
}

export class Guest {
  readonly #key = newKey();

  /** @throws GuestError where the gateway refuses, TypeError where it cannot be reached */
  async fetch(): Promise<GuestInfo> {
    const response = await fetch('/test/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ key: this.#key }),
    });
    if (!response.ok) throw new GuestError(response.status);
    const info: unknown = await response.json();
    const [token, client, room, network] = ['token', 'client', 'room', 'network'].map((name) =>
      field(info, name),
    );
    if (typeof token !== 'string' || !isName(client) || !isName(room) || typeof network !== 'string')
      throw new GuestError(response.status);
    return { token, client, room, network };
  }

  readonly token = async (): Promise<string> => (await this.fetch()).token;
}

/** 192 random bits in base64url; kept in memory only, so that a duplicated tab is another guest. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_');
}
