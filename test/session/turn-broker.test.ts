// ICE servers of a client: who gets TURN, with which credentials, of which servers.
import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { ConfigError, parseConfig } from '../../src/config.js';
import type { ClientId } from '../../src/protocol/ids.js';
import type { Identity } from '../../src/session/authenticator.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { TurnBroker } from '../../src/session/turn-broker.js';

const KEYED = { JWT_SECRET: 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW' };
const SECRET = 'a-secret-of-coturn-1';
const NOW_MS = 1_700_000_000_000;

function identity(perm: unknown): Identity {
  return {
    client: 'alice' as ClientId,
    permissions: parsePermissions(perm),
    expiresAtMs: Infinity,
    issuedAtMs: 0,
    tokenId: null,
  };
}

function broker(env: Record<string, string>, dead: string[] = []): TurnBroker {
  const { iceServers, turn } = parseConfig({ ...KEYED, ...env });
  return new TurnBroker(iceServers, turn, { isAlive: ({ host }) => !dead.includes(host) }, () => NOW_MS);
}

const hostsOf = (one: TurnBroker): string[] => one.iceServers(identity('*')).flatMap(({ urls }) => urls);

describe('iceServers()', () => {
  const env = { STUN_URLS: 'stun:s.example', TURN_URLS: 'turn:t.example', TURN_SECRET: SECRET };

  test('has credentials of the TURN REST scheme when the token permits turn', () => {
    const username = '1700003600:alice';
    const credential = createHmac('sha1', SECRET).update(username).digest('base64');
    expect(broker(env).iceServers(identity({ turn: true }))).toEqual([
      { urls: ['stun:s.example'] },
      { urls: ['turn:t.example'], username, credential },
    ]);
    expect(broker(env).renewalMs(identity({ turn: true }))).toBe(2_700_000);
  });

  test('has STUN only when the token does not permit turn', () => {
    expect(broker(env).iceServers(identity({ send: ['*'] }))).toEqual([{ urls: ['stun:s.example'] }]);
    expect(broker(env).renewalMs(identity({ send: ['*'] }))).toBeNull();
  });

  test('keeps what ICE_SERVERS says for everybody', () => {
    const ICE_SERVERS = '[{"urls":"stun:own.example"}]';
    expect(broker({ ...env, ICE_SERVERS }).iceServers(identity({}))).toEqual([
      { urls: ['stun:own.example'] },
      { urls: ['stun:s.example'] },
    ]);
  });

  test('prefers servers of its region, then others that live, then all', () => {
    const TURN_URLS =
      'eu=turn:e1.example,turn:e2.example,us=turn:u1.example,turns:u1.example:443?transport=tcp';
    const regional = { TURN_URLS, TURN_SECRET: SECRET, TURN_REGION: 'us' };
    const all = [
      'turn:e1.example',
      'turn:e2.example',
      'turn:u1.example',
      'turns:u1.example:443?transport=tcp',
    ];
    expect(hostsOf(broker(regional))).toEqual(all.slice(2));
    expect(hostsOf(broker(regional, ['u1.example']))).toEqual(all.slice(0, 2));
    expect(hostsOf(broker(regional, ['u1.example', 'e1.example', 'e2.example']))).toEqual(all);
    expect(hostsOf(broker({ ...regional, TURN_REGION: '' }))).toEqual(all);
  });
});

describe('settings', () => {
  test.each([
    [{ STUN_URLS: 'turn:a' }, 'STUN_URLS has'],
    [{ STUN_URLS: 'stun:a?x=1' }, 'STUN_URLS has'],
    [{ TURN_URLS: 'stun:a', TURN_SECRET: SECRET }, 'TURN_URLS has'],
    [{ TURN_URLS: 'turn:a?transport=sctp', TURN_SECRET: SECRET }, 'TURN_URLS has'],
    [{ TURN_URLS: 'turn:a' }, 'TURN_URLS is set without TURN_SECRET'],
    [{ TURN_URLS: 'turn:a', TURN_SECRET: 'short' }, 'TURN_SECRET is shorter'],
    [{ TURN_TTL_S: '5' }, 'TURN_TTL_S is "5"'],
  ])('refuses %o', (env, mistake) => {
    let mistakes: readonly string[] = [];
    try {
      parseConfig({ ...KEYED, ...env });
    } catch (error) {
      if (error instanceof ConfigError) mistakes = error.mistakes;
    }
    expect(mistakes).toEqual([expect.stringMatching(`^${mistake}`)]);
  });
});
