// Which sessions are told of other TURN servers, when, and how often, by a clock of the test.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { Identity } from '../../src/session/authenticator.js';
import { parsePermissions } from '../../src/session/permissions.js';
import type { Session } from '../../src/session/session.js';
import { TurnBroker } from '../../src/session/turn-broker.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { parseConfig } from '../../src/config.js';
import type { TurnServer, TurnSettings } from '../../src/turn-settings.js';
import { TurnRenewal } from '../../src/worker/turn-renewal.js';

const TTL_S = 3600;
const RENEWAL_MS = TTL_S * 750;
const { turn: settings } = parseConfig({
  JWT_SECRET: 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW',
  TURN_URLS: 'turn:a.example,turn:b.example,eu=turn:c.example',
  TURN_SECRET: 'a-secret-of-coturn-1',
  TURN_TTL_S: String(TTL_S),
});

let now: number;
let wheel: TimerWheel;
let dead: Set<string>;
let sessions: Session[];
let renewal: TurnRenewal;
/** When each session was told, and what. */
let told: Map<Session, [atMs: number, hosts: string][]>;

beforeEach(() => {
  now = 50_000;
  wheel = new TimerWheel(() => now);
  dead = new Set();
  sessions = [];
  told = new Map();
  renewal = renew(settings);
});
afterEach(() => {
  wheel.close();
});

function renew(of: TurnSettings, random?: () => number): TurnRenewal {
  const health = { isAlive: ({ host }: TurnServer) => !dead.has(host[0] ?? '') };
  const turn = new TurnBroker([], of, health);
  return new TurnRenewal({
    turn,
    health,
    wheel,
    registry: { all: () => sessions.values() },
    ...(random && { random }),
  });
}

function permitting(perm: unknown): Identity {
  return { client: 'alice', permissions: parsePermissions(perm) } as unknown as Identity;
}

function welcome(perm: unknown = '*'): Session {
  const session = {
    identity: permitting(perm),
    turnDeadline: null,
    turnServers: null,
    send: (frame: GatewayFrame) => {
      if (frame.type !== 'iceServers') throw new Error(frame.type);
      const hosts = frame.servers.map(({ urls }) => String(urls).slice('turn:'.length)[0]).join('');
      told.get(session)?.push([now, hosts]);
    },
  } as unknown as Session;
  sessions.push(session);
  told.set(session, []);
  renewal.watch(session);
  return session;
}

function change(...names: string[]): void {
  dead = new Set(names);
  renewal.serversChanged();
}

function pass(ms: number): void {
  for (const end = now + ms; now < end;) {
    now += 100;
    wheel.advance();
  }
}

const hostsTold = (session: Session): string[] => (told.get(session) ?? []).map(([, hosts]) => hosts);

describe('when a server dies', () => {
  test('all who have credentials of it are told once, at moments of their own', () => {
    const all = Array.from({ length: 200 }, () => welcome());
    change('b');
    pass(30_000);
    expect(new Set(all.map((session) => hostsTold(session).join()))).toEqual(new Set(['ac']));
    const moments = new Set(all.map((session) => told.get(session)?.[0]?.[0]));
    // The wheel has 50 moments in the five seconds; 200 take nearly all of them.
    expect(moments.size).toBeGreaterThan(30);
  });

  test('who may not use TURN, or came after, is not told', () => {
    const stranger = welcome({ send: ['*'] });
    change('b');
    const late = welcome();
    pass(30_000);
    expect([hostsTold(stranger), hostsTold(late)]).toEqual([[], []]);
  });

  test('a session whose connection has ended is not told', () => {
    // Not in the moments before it ends.
    renewal = renew(settings, () => 0.5);
    const session = welcome();
    change('b');
    pass(1_200);
    session.turnDeadline?.cancel();
    pass(30_000);
    expect(hostsTold(session)).toEqual([]);
  });

  test('it is told when it returns, and credentials are renewed counted from then', () => {
    const session = welcome();
    change('b');
    pass(100_000);
    change();
    pass(10_000);
    expect(hostsTold(session)).toEqual(['ac', 'abc']);
    pass(RENEWAL_MS - 20_000);
    expect(hostsTold(session)).toHaveLength(2);
    pass(20_000);
    expect(hostsTold(session)).toEqual(['ac', 'abc', 'abc']);
  });

  test('nobody is told where all of them seem dead, which means that the gateway is cut off', () => {
    const session = welcome();
    change('a', 'b', 'c');
    pass(10_000);
    // They are found again one after the other.
    change('b', 'c');
    pass(500);
    change();
    pass(100_000);
    expect(hostsTold(session)).toEqual([]);
  });
});

test('a server that comes and goes costs a client one frame a minute, and what holds in the end is told', () => {
  const clients = Array.from({ length: 20 }, () => welcome());
  for (let i = 0; i < 100; i++) {
    change(...(i % 2 === 0 ? ['a'] : []));
    pass(7_000);
    if (i % 10 === 0) clients.push(welcome());
  }
  change('c');
  pass(70_000);
  for (const client of clients) {
    const frames = told.get(client) ?? [];
    expect(frames.at(-1)?.[1]).toBe('ab');
    const gaps = frames.slice(1).map(([atMs], i) => atMs - (frames[i]?.[0] ?? 0));
    // A minute, less what the one before was told later in its round.
    expect(Math.min(Infinity, ...gaps)).toBeGreaterThanOrEqual(55_000);
  }
  pass(200_000);
  expect(Math.max(...clients.map((client) => hostsTold(client).length))).toBeLessThanOrEqual(13);
});

describe('who has no server left', () => {
  test('is told within 6 s, whenever that was told last', () => {
    // Of its region there is one.
    renewal = renew({ ...settings, region: 'eu' });
    const session = welcome();
    change('c');
    pass(8_000);
    change();
    // The minute and a round of telling, and hardly more.
    pass(59_000);
    expect(hostsTold(session)).toEqual(['ab', 'c']);
    change('c');
    pass(6_500);
    expect(hostsTold(session)).toEqual(['ab', 'c', 'ab']);
  });

  test('is told while another one is back, though that waits, as when servers are restarted in turn', () => {
    const session = welcome();
    change('b', 'c');
    pass(8_000);
    change('c');
    pass(4_000);
    change('a', 'c');
    pass(6_500);
    expect(hostsTold(session)).toEqual(['a', 'b']);
    // All are back, and nobody is in need: that waits for the end of the minute.
    change();
    pass(20_000);
    expect(hostsTold(session)).toEqual(['a', 'b']);
    pass(40_000);
    expect(hostsTold(session)).toEqual(['a', 'b', 'abc']);
  });
});

test('a token that gives or takes the permission is told at once', () => {
  const session = welcome({});
  session.identity = permitting({ turn: true });
  renewal.recheck(session);
  renewal.recheck(session);
  expect(hostsTold(session)).toEqual(['abc']);
  session.identity = permitting({});
  renewal.recheck(session);
  expect(hostsTold(session)).toEqual(['abc', '']);
  change('b');
  pass(RENEWAL_MS * 2);
  expect(hostsTold(session)).toHaveLength(2);
});
