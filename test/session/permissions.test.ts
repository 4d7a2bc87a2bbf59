// What the claim perm permits: exactly what it says, and nothing where it says something else.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ClientId, parseServiceRoom, type RoomName } from '../../src/protocol/ids.js';
import {
  type Permissions,
  compilePatterns,
  matches,
  mayBroadcast,
  mayJoin,
  mayList,
  mayListAnybody,
  mayPresence,
  mayPublish,
  maySend,
  parsePermissions,
  permissionMistakes,
  sendPatterns,
} from '../../src/session/permissions.js';
import { clientId, roomName } from '../protocol/frame-arbitraries.js';

const bob = 'bob' as ClientId;
const lobby = 'lobby' as RoomName;

function granted(permissions: Permissions): string[] {
  const all: [string, boolean][] = [
    ['send', maySend(permissions, bob)],
    ['broadcast', mayBroadcast(permissions)],
    ['join', mayJoin(permissions, lobby)],
    ['publish', mayPublish(permissions, lobby)],
    ['presence', mayPresence(permissions, lobby)],
    ['list', mayList(permissions, bob)],
    ['listAnybody', mayListAnybody(permissions)],
    ['turn', permissions.turn],
    ['admin', permissions.admin],
  ];
  return all.filter(([, is]) => is).map(([name]) => name);
}

describe('parsePermissions', () => {
  test('permits everything for *', () => {
    expect(granted(parsePermissions('*'))).toHaveLength(9);
  });

  test('permits each thing by its own field', () => {
    expect(granted(parsePermissions({ send: ['bob'] }))).toEqual(['send', 'broadcast']);
    expect(granted(parsePermissions({ rooms: { join: ['lobby'] } }))).toEqual(['join']);
    expect(granted(parsePermissions({ rooms: { publish: ['lobby'] } }))).toEqual(['publish']);
    expect(granted(parsePermissions({ rooms: { presence: ['lobby'] } }))).toEqual(['presence']);
    expect(granted(parsePermissions({ list: ['b*'] }))).toEqual(['list', 'listAnybody']);
    expect(granted(parsePermissions({ turn: true }))).toEqual(['turn']);
    expect(granted(parsePermissions({ admin: true }))).toEqual(['admin']);
  });

  test.each([
    undefined,
    null,
    true,
    1,
    '',
    '**',
    'send',
    [],
    ['*'],
    ['send'],
    { send: '*' },
    { send: true },
    { send: { 0: '*', length: 1 } },
    { send: [['*']] },
    { send: ['*', 5] },
    { send: [''] },
    { send: ['b b', '*'] },
    { send: ['*b'] },
    { send: ['b**'] },
    { send: ['bob\n'] },
    { send: ['a'.repeat(129)] },
    { send: Array.from({ length: 257 }, () => '*') },
    { rooms: '*' },
    { rooms: ['*'] },
    { rooms: { join: '*', publish: {}, presence: null } },
    { rooms: [{ join: ['*'] }] },
    { turn: 1, admin: 'true' },
    JSON.parse('{"__proto__":{"send":["*"],"admin":true}}'),
    Object.create({ send: ['*'], admin: true }),
  ])('J29 permits nothing when the claim is %j', (claim) => {
    expect(granted(parsePermissions(claim))).toEqual([]);
  });

  test('never throws, and gives admin only for true or *', () => {
    fc.assert(
      fc.property(fc.anything(), (claim) => {
        const { admin } = parsePermissions(claim);
        if (claim !== '*')
          expect(admin).toBe(
            Object(claim).admin === true && Object.hasOwn(Object(claim), 'admin') && !Array.isArray(claim),
          );
      }),
    );
  });
});

describe('the rooms of a service', () => {
  const rooms = { join: ['*'], publish: ['*'] };
  const providers = '~resize~' as RoomName;
  const topic = '~resize~done' as RoomName;
  const may = (claim: unknown) => {
    const permissions = parsePermissions(claim);
    return [
      mayJoin(permissions, providers),
      mayPublish(permissions, providers),
      mayJoin(permissions, topic),
      mayPublish(permissions, topic),
    ];
  };

  test.each([
    ['rooms alone', { rooms }, [false, false, false, false]],
    [
      'another service',
      { rooms, services: { provide: ['res'], call: ['resizes'] } },
      [false, false, false, false],
    ],
    ['calling', { services: { call: ['resize'] } }, [false, false, true, false]],
    ['providing', { services: { provide: ['re*'] } }, [true, false, true, true]],
  ])('are opened by the permissions of the service: %s', (_, claim, expected) => {
    expect(may(claim)).toEqual(expected);
  });

  test.each(['~', '~~', '~~x', '~resize', 'a~b~c', `~${'x'.repeat(101)}~y`])('%s is none', (name) => {
    expect(mayJoin(parsePermissions({ rooms }), name as RoomName)).toBe(true);
  });
});

describe('a pattern', () => {
  test('without a star matches its own name only', () => {
    fc.assert(
      fc.property(clientId, clientId, (pattern, name) => {
        expect(maySend(parsePermissions({ send: [pattern] }), name)).toBe(pattern === name);
      }),
    );
  });

  test('with a star at its end matches every name with that beginning, and no other', () => {
    fc.assert(
      fc.property(roomName, roomName, fc.nat({ max: 3 }), fc.boolean(), (other, name, length, own) => {
        fc.pre(parseServiceRoom(name) === null);
        const beginning = (own ? name : other).slice(0, length);
        const permissions = parsePermissions({ rooms: { join: [`${beginning}*`] } });
        expect(mayJoin(permissions, name)).toBe(name.startsWith(beginning));
      }),
    );
  });

  test('permits what any of its list covers, in each list alike', () => {
    // Few letters and short, so that patterns and names meet.
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
    const pattern = fc.oneof(
      name,
      name.map((text) => `${text}*`),
      fc.constant('*'),
    );
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 6 }), name, (list, target) => {
        const covered = list.some((entry) =>
          entry.endsWith('*') ? target.startsWith(entry.slice(0, -1)) : entry === target,
        );
        const permissions = parsePermissions({
          send: list,
          list,
          rooms: { join: list, publish: list, presence: list },
        });
        const [client, room] = [target as ClientId, target as RoomName];
        expect([maySend(permissions, client), mayList(permissions, client)]).toEqual([covered, covered]);
        for (const may of [mayJoin, mayPublish, mayPresence]) expect(may(permissions, room)).toBe(covered);
        expect(mayBroadcast(permissions)).toBe(list.length > 0);
        expect(matches(compilePatterns(sendPatterns(permissions)), target)).toBe(covered);
      }),
    );
  });

  test('means the same to other workers, where it travels as text', () => {
    const pattern = fc
      .tuple(clientId, fc.boolean())
      .map(([name, star]) => (star ? `${name.slice(0, 2)}*` : name));
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 5 }), clientId, (send, name) => {
        const permissions = parsePermissions({ send });
        expect(matches(compilePatterns(sendPatterns(permissions)), name)).toBe(maySend(permissions, name));
      }),
    );
  });
});

describe('permissionMistakes', () => {
  test('finds none when a claim means what it says', () => {
    const rooms = { join: ['a'], publish: [], presence: ['b*'] };
    for (const claim of ['*', {}, { send: ['*'], rooms, services: { call: ['x'] }, turn: true }]) {
      expect(permissionMistakes(claim)).toEqual([]);
    }
  });

  test('finds each part that would silently permit nothing', () => {
    const claim = { sends: ['*'], send: '*', rooms: { jion: ['a'] }, services: ['x'], admin: 'yes' };
    expect(permissionMistakes(claim)).toEqual([
      expect.stringMatching(/^"sends" is no permission: there are send, rooms\.join/),
      expect.stringMatching(/^send must be a list/),
      expect.stringMatching(/^"rooms\.jion" is no permission/),
      'services must be an object of lists of patterns',
      'admin must be true or false',
    ]);
    expect(permissionMistakes(['*'])).toEqual(['perm must be "*" or an object']);
  });

  test('finds none exactly when a list is taken over', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(clientId, fc.anything()), { maxLength: 3 }), (send) => {
        const taken = mayBroadcast(parsePermissions({ send }));
        expect(permissionMistakes({ send }).length === 0).toBe(taken || send.length === 0);
      }),
    );
  });
});
