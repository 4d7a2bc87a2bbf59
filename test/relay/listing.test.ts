// Listings of clients show, page by page, what a token may know and nothing else.
import { beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { ClientId, SessionId, WorkerId } from '../../src/protocol/ids.js';
import { listClients } from '../../src/relay/listing.js';
import { mayList, parsePermissions, type Permissions } from '../../src/session/permissions.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';

const NAMES = ['ann', 'anna', 'bob', 'ceo-secret', 'hidden-bob', 'team-a.x', 'team-a.y', 'team-b.x', 'zoe'];

let store: MemoryStore;

beforeEach(async () => {
  store = new MemoryStore({
    settings: {
      resumeWindowMs: 1000,
      presenceGraceMs: 1000,
      logLimitEntries: 1,
      logLimitBytes: 1,
      logTtlMs: 1,
      offlineTtlMs: 60_000,
      logBudgetBytes: 1,
      workerLeaseMs: 1000,
    },
    deliver: () => undefined,
  });
  for (const [i, name] of NAMES.entries()) {
    await store.attach({
      client: name as ClientId,
      worker: 'n.1' as WorkerId,
      resume: null,
      fresh: String(i).padStart(22, '0') as SessionId,
      keyHash: 'k',
      duplicates: 'allow',
      sessionsLimit: 10,
    });
  }
});

/** Every page, and every cursor that was told on the way. */
async function allPages(
  permissions: Permissions,
  prefix: string,
  limit: number,
): Promise<{ names: string[]; cursors: string[] }> {
  const names: string[] = [];
  const cursors: string[] = [];
  let cursor: string | null = null;
  do {
    const page: { rows: ClientId[]; cursor: string | null } = await listClients(store, permissions.list, {
      prefix,
      cursor,
      limit,
    });
    names.push(...page.rows);
    cursor = page.cursor;
    if (cursor !== null) cursors.push(cursor);
  } while (cursor !== null);
  return { names, cursors };
}

describe('listClients()', () => {
  test('lists everybody for a token that may list all', async () => {
    expect((await allPages(parsePermissions('*'), '', 2)).names).toEqual(NAMES);
  });

  test('never names in a cursor whom the token may not list', async () => {
    const permissions = parsePermissions({ list: ['bob', 'nobody-x', 'team-a.*'] });
    const { names, cursors } = await allPages(permissions, '', 1);
    expect(names).toEqual(['bob', 'team-a.x', 'team-a.y']);
    const decoded = cursors.map((cursor) => Buffer.from(cursor, 'base64url').toString('utf8'));
    expect(decoded.join(' ')).toContain('bob');
    expect(decoded.join(' ')).not.toMatch(/secret|hidden|ann|team-b|zoe/);
  });

  test('starts again for a cursor that it never gave out', async () => {
    const { list } = parsePermissions({ list: ['bob'] });
    const page = await listClients(store, list, { prefix: '', cursor: 'ceo-secret', limit: 10 });
    expect(page).toEqual({ rows: ['bob'], cursor: null });
  });

  test('gives each permitted client of the prefix exactly once, whatever the patterns and the page size', async () => {
    const pattern = fc.constantFrom(...NAMES, 'an*', 'ann*', 'team-*', 'team-a.*', 't*', 'x*', 'nobody');
    await fc.assert(
      fc.asyncProperty(
        fc.array(pattern, { maxLength: 5 }),
        fc.constantFrom('', 'a', 'ann', 'team-', 'team-a.x', 'q'),
        fc.integer({ min: 1, max: 4 }),
        async (list, prefix, limit) => {
          const permissions = parsePermissions({ list });
          const { names } = await allPages(permissions, prefix, limit);
          const expected = NAMES.filter(
            (name) => name.startsWith(prefix) && mayList(permissions, name as ClientId),
          );
          expect([...names].sort()).toEqual(expected);
        },
      ),
    );
  });
});
