// Pre-shared keys of who has no token (TCP clients, servers at the admin port), as a file holds them.
import { type ClientId, isClientId } from '../protocol/ids.js';
import { parsePermissions, type Permissions } from './permissions.js';

/** Shorter than this, characters, could be tried out by whoever has heard one proof. */
export const KEY_LENGTH_LIMIT = 32;
export interface PreSharedKey {
  secret: string;
  permissions: Permissions;
  /** The same as the file has it. */
  perm: unknown;
}

/**
 * Reads `{ "<client id>": { "key": "…", "perm": … } }`.
 * @throws Error that says what is wrong
 */
export function parseKeys(text: string): Map<ClientId, PreSharedKey> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('must hold an object of client ids');
  const keys = new Map<ClientId, PreSharedKey>();
  for (const [client, entry] of Object.entries(value as Record<string, unknown>)) {
    if (!isClientId(client)) throw new Error(`holds ${JSON.stringify(client)}, which is no client id`);
    const { key, perm } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<
      string,
      unknown
    >;
    if (typeof key !== 'string' || !/^[\w.~-]*$/.test(key) || key.length < KEY_LENGTH_LIMIT) {
      throw new Error(
        `must have for ${client} a key of ${KEY_LENGTH_LIMIT} or more letters, digits, ., _, ~ or -`,
      );
    }
    keys.set(client, { secret: key, permissions: parsePermissions(perm), perm });
  }
  return keys;
}
