// What a worker knows of revoked tokens, asked of a list with a clock of its own.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId } from '../../src/protocol/ids.js';
import type { Identity } from '../../src/session/authenticator.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { Revocations } from '../../src/session/revocations.js';
import {
  REVOCATIONS_LIMIT,
  REVOCATIONS_PAGE,
  RevocationList,
} from '../../src/session/store/revocation-list.js';
import type { Revocation } from '../../src/session/store/store.js';

let now = 0;
let list: RevocationList;
let revocations: Revocations;
let asked = 0;
beforeEach(() => {
  now = 1_000_000;
  asked = 0;
  list = new RevocationList(() => now);
  const store = {
    revocations: (since: number) => {
      asked++;
      return Promise.resolve(list.since(since));
    },
  };
  revocations = new Revocations(store, () => now);
});

const revoked = (kind: Revocation['kind'], id: string, more: Partial<Revocation> = {}): Revocation => ({
  kind,
  id,
  beforeMs: now,
  untilMs: now + 60_000,
  ...more,
});
const identity = (more: Partial<Identity>): Identity => ({
  client: 'alice' as ClientId,
  expiresAtMs: now + 60_000,
  issuedAtMs: now - 1000,
  tokenId: null,
  permissions: parsePermissions('*'),
  ...more,
});

describe('poll', () => {
  test('tells as long as any is in force: a session on its way in when it came must be found later', async () => {
    expect(await revocations.poll()).toBe(false);
    list.add(revoked('token', 'a'));
    expect(await revocations.poll()).toBe(true);
    expect(await revocations.poll()).toBe(true);
    now += 60_000;
    expect(await revocations.poll()).toBe(false);
  });

  test('asks on until it knows all of them, and then only for new ones', async () => {
    const count = 2 * REVOCATIONS_PAGE + 1;
    for (let i = 0; i < count; i++) list.add(revoked('token', `jti-${String(i)}`));
    expect(list.since(0).revocations).toHaveLength(REVOCATIONS_PAGE);
    await revocations.poll();
    for (const i of [0, REVOCATIONS_PAGE, count - 1])
      expect(revocations.isRevoked(identity({ tokenId: `jti-${String(i)}` }))).toBe(true);
    asked = 0;
    await revocations.poll();
    expect(asked).toBe(1);
  });

  test('asks from the beginning where the store counts from the beginning', async () => {
    for (const id of ['a', 'b', 'c']) list.add(revoked('token', id));
    await revocations.poll();
    list = new RevocationList(() => now);
    list.add(revoked('token', 'd'));
    await revocations.poll();
    for (const id of ['a', 'd']) expect(revocations.isRevoked(identity({ tokenId: id }))).toBe(true);
  });
});

describe('a second revocation of the same', () => {
  test.each([
    ['an earlier moment', { beforeMs: 1 }],
    ['a shorter life', { untilMs: 1_000_001 }],
  ])('with %s takes nothing back, neither where it is kept nor where it is known', async (_, more) => {
    list.add(revoked('client', 'alice'));
    await revocations.poll();
    list.add(revoked('client', 'alice', more));
    await revocations.poll();
    const late = new Revocations({ revocations: (since) => Promise.resolve(list.since(since)) }, () => now);
    await late.poll();
    now += 30_000;
    for (const known of [revocations, late])
      expect(known.isRevoked(identity({ issuedAtMs: 999_000 }))).toBe(true);
  });

  test('of a store that keeps both takes nothing back either', async () => {
    const both = [revoked('client', 'alice'), revoked('client', 'alice', { beforeMs: 1 })];
    const store = {
      revocations: (since: number) =>
        Promise.resolve({ revocations: both.slice(since), number: both.length }),
    };
    const known = new Revocations(store, () => now);
    await known.poll();
    expect(known.isRevoked(identity({}))).toBe(true);
    expect(known.isRevoked(identity({ issuedAtMs: now + 1 }))).toBe(false);
  });
});

test('add refuses one too many, forgets none before its time, and takes a known one still', () => {
  for (let i = 0; i < REVOCATIONS_LIMIT; i++) list.add(revoked('token', String(i)));
  expect(() => list.add(revoked('token', 'more'))).toThrow(expect.objectContaining({ code: 'limit' }));
  list.add(revoked('token', '7'));
  expect(list.since(0).revocations[0]).toMatchObject({ id: '0' });
  now += 60_000;
  list.add(revoked('token', 'more'));
  expect(list.since(0).revocations).toHaveLength(1);
});
