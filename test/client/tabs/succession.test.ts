// Hubs of one session, one after the other.
import { expect, test } from '@jest/globals';
import { Succession } from '../../../src/client/tabs/succession.js';
import type { HelloFrame, Welcome } from '../../../src/protocol/frame.js';
import type { ClientId, SessionId } from '../../../src/protocol/ids.js';

const SESSION = 'session' as SessionId;

function welcome(generation: number | undefined, resumed: boolean, session = SESSION): Welcome {
  return {
    server: '1',
    client: 'alice' as ClientId,
    session,
    resumeKey: 'key',
    resumed,
    ...(generation === undefined ? {} : { generation }),
    rooms: [],
    kept: null,
    resumeWindowMs: 1,
    pingIntervalMs: 1,
    tokenExpiresInMs: 1,
    frameLimitBytes: 1,
    iceServers: [],
  };
}

function hello(key: string, session = SESSION): HelloFrame {
  return { type: 'hello', version: 1, token: null, resume: { session, key, cursors: [] }, agent: null };
}

test('two hubs that have nothing but the same key number apart', () => {
  const firsts = [5, 6].map((generation) => {
    const hub = new Succession();
    hub.learn(hello('4.1.key'));
    hub.welcomed(welcome(generation, true), 2, true);
    return hub.first;
  });
  expect(firsts).toEqual([5, 6]);
});

test('a hub numbers on when it comes back to its session, and anew in a new one', () => {
  const hub = new Succession();
  hub.welcomed(welcome(1, false), 1, true);
  hub.welcomed(welcome(2, true), 2, false);
  expect([hub.first, hub.key]).toEqual([1, '2.2.key']);
  hub.welcomed(welcome(1, false, 'other' as SessionId), 3, false);
  expect([hub.first, hub.key]).toEqual([1, '1.3.key']);
});

test('a tab was there where it had the last connection before this hub, and no other came between', () => {
  const direct = new Succession();
  direct.learn(hello('4.1.key'));
  direct.welcomed(welcome(5, true), 2, true);
  expect([direct.wasThere(hello('4.1.key')), direct.wasThere(hello('3.1.key'))]).toEqual([true, false]);
  const late = new Succession();
  late.learn(hello('4.1.key'));
  late.welcomed(welcome(6, true), 2, true);
  expect(late.wasThere(hello('4.1.key'))).toBe(false);
});

test('of two keys of a session the one of the later connection counts, of two sessions the one that was given later', () => {
  const hub = new Succession();
  expect(hub.learn(hello('4.10.key'))).toBe(true);
  expect([hub.learn(hello('3.20.key')), hub.learn(hello('4.10.key')), hub.learn(hello('gateway'))]).toEqual([
    false,
    false,
    false,
  ]);
  expect(hub.learn(hello('1.20.key', 'other' as SessionId))).toBe(true);
  expect(hub.resume).toEqual({ session: 'other', key: 'key', generation: 1, at: 20 });
});

test('a gateway that does not count leaves a hub to count on from the newest key, and to doubt whether another one came between', () => {
  const hub = new Succession();
  hub.learn(hello('4.1.key'));
  hub.welcomed(welcome(undefined, true), 2, true);
  expect([hub.first, hub.wasThere(hello('4.1.key'))]).toEqual([5, false]);
});
