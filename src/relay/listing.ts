// The list of clients as one token sees it: only what it may list is asked for, so that nothing else shows in a page.
import { type ClientId, isClientId } from '../protocol/ids.js';
import type { Patterns } from '../session/permissions.js';
import type { Page, Store } from '../session/store/store.js';

export interface ListQuery {
  prefix: string;
  cursor: string | null;
  limit: number;
}

/** Prefixes that one page asks for at most: each may cost a look into every partition of the store. */
const PREFIXES_PER_PAGE = 16;

/**
 * Where a page begins: behind one of the token's exact names, or in one of its prefixes, at a cursor that the store gave
 * for that prefix. It names no client that the token may not list, and survives a new token with other patterns.
 */
type Place = { kind: 'name'; after: string } | { kind: 'prefix'; prefix: string; inner: string | null };

/** The exact names in their order, then the prefixes in theirs. A page may be short, or empty, before the end. */
export async function listClients(
  store: Pick<Store, 'clients' | 'online'>,
  list: Patterns,
  query: ListQuery,
): Promise<Page<ClientId>> {
  if (list.all) return store.clients(query);
  const { limit } = query;
  const { names, prefixes } = permitted(list, query.prefix);
  let place = readCursor(query.cursor);
  const rows: ClientId[] = [];
  if (place.kind === 'name') {
    const { after } = place;
    let left = names.filter((name) => name > after);
    while (left.length > 0 && rows.length < limit) {
      const asked = left.slice(0, limit - rows.length);
      left = left.slice(asked.length);
      place = { kind: 'name', after: asked.at(-1) ?? after };
      const online = await Promise.all(asked.map((name) => store.online(name)));
      rows.push(...asked.filter((_, i) => online[i] === true));
    }
    if (left.length > 0) return { rows, cursor: writeCursor(place) };
    place = { kind: 'prefix', prefix: '', inner: null };
  }
  const { prefix: at, inner } = place;
  for (const [i, prefix] of prefixes.filter((known) => known >= at).entries()) {
    if (rows.length >= limit || i >= PREFIXES_PER_PAGE) {
      return { rows, cursor: writeCursor({ kind: 'prefix', prefix, inner: null }) };
    }
    const cursor = prefix === at ? inner : null;
    const page = await store.clients({ prefix, cursor, limit: limit - rows.length });
    rows.push(...page.rows);
    if (page.cursor !== null) {
      return { rows, cursor: writeCursor({ kind: 'prefix', prefix, inner: page.cursor }) };
    }
  }
  return { rows, cursor: null };
}

/** What of the patterns begins with `asked`, each client covered once. */
function permitted(list: Patterns, asked: string): { names: ClientId[]; prefixes: string[] } {
  const prefixes: string[] = [];
  const narrowed = list.prefixes
    .filter((prefix) => prefix.startsWith(asked) || asked.startsWith(prefix))
    .map((prefix) => (prefix.length > asked.length ? prefix : asked));
  // Sorted, a prefix stands right behind one that covers it, or behind others that the same one covers.
  for (const prefix of narrowed.sort()) {
    const last = prefixes.at(-1);
    if (last === undefined || !prefix.startsWith(last)) prefixes.push(prefix);
  }
  const names = [...list.exact]
    .filter((name) => name.startsWith(asked) && !prefixes.some((prefix) => name.startsWith(prefix)))
    .filter(isClientId)
    .sort();
  return { names, prefixes };
}

function writeCursor(place: Place): string {
  const parts = place.kind === 'name' ? ['name', place.after] : ['prefix', place.prefix, place.inner];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** A cursor of ours; anything else begins at the beginning. */
function readCursor(cursor: string | null): Place {
  const beginning: Place = { kind: 'name', after: '' };
  if (cursor === null) return beginning;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return beginning;
  }
  const [kind, at, inner] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (typeof at !== 'string') return beginning;
  if (kind === 'name') return { kind, after: at };
  if (kind !== 'prefix' || (inner !== null && typeof inner !== 'string')) return beginning;
  return { kind, prefix: at, inner };
}
