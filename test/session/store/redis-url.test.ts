// REDIS_URL in its three forms, and what is none of them.
import { describe, expect, test } from '@jest/globals';
import { parseAddress, parseRedisUrl } from '../../../src/session/store/redis-url.js';

const NOTHING = {
  tls: false,
  username: null,
  password: null,
  sentinelPassword: null,
  db: 0,
  masterName: '',
};

describe('parseRedisUrl', () => {
  test('reads one server', () => {
    expect(parseRedisUrl('redis://localhost')).toEqual({
      ...NOTHING,
      kind: 'single',
      addresses: [{ host: 'localhost', port: 6379 }],
    });
    expect(parseRedisUrl('rediss://me:p%40ss%3A@[::1]:6380/2')).toEqual({
      ...NOTHING,
      kind: 'single',
      tls: true,
      username: 'me',
      password: 'p@ss:',
      db: 2,
      addresses: [{ host: '::1', port: 6380 }],
    });
    // What can mean one thing only needs no encoding.
    expect(parseRedisUrl('redis://:a:b?#@h')).toMatchObject({ username: null, password: 'a:b?#' });
  });

  test('reads sentinels, with the name of the master and their own password', () => {
    expect(parseRedisUrl('redis+sentinel://:pw@a:1,b/main/3?sentinelPassword=s%20s')).toEqual({
      ...NOTHING,
      kind: 'sentinel',
      password: 'pw',
      sentinelPassword: 's s',
      db: 3,
      addresses: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      masterName: 'main',
    });
  });

  test('reads nodes of a cluster', () => {
    expect(parseRedisUrl('rediss+cluster://me:pw@a,b:7000')).toEqual({
      ...NOTHING,
      kind: 'cluster',
      tls: true,
      username: 'me',
      password: 'pw',
      addresses: [
        { host: 'a', port: 6379 },
        { host: 'b', port: 7000 },
      ],
    });
  });

  test.each([
    ['http://x', 'is no URL like'],
    ['redis://', 'is no URL like'],
    ['redis+other://x', 'is no URL like'],
    ['redis://a,b', 'several hosts'],
    ['redis://a:0', 'host:port'],
    ['redis://a:65536', 'host:port'],
    ['redis://::1', 'host:port'],
    ['redis://x/db', 'number of a database'],
    ['redis://x?family=6', 'sentinelPassword'],
    ['redis+sentinel://a', 'must name the master'],
    ['redis+sentinel://a/main/0/1', 'number of a database'],
    ['redis+cluster://a/1', 'names a database'],
    ['redis+cluster://a?sentinelPassword=x', 'sentinelPassword'],
    ['redis://:%zz@a', 'encodes nothing'],
  ])('refuses %s', (text, reason) => {
    expect(() => parseRedisUrl(text)).toThrow(reason);
  });

  test.each(['redis://:sec@ret@host', 'redis://:sec/ret@host', 'redis+sentinel://:sec/ret@host/main/1/2'])(
    'quotes nothing of a password that is not encoded: %s',
    (text) => {
      let message = '';
      try {
        parseRedisUrl(text);
      } catch (error) {
        message = error instanceof Error ? error.message : '';
      }
      expect(message).not.toBe('');
      expect(message).not.toMatch(/sec|ret/);
    },
  );
});

test('parseAddress reads what Redis writes', () => {
  expect(parseAddress('10.0.0.1:7000')).toEqual({ host: '10.0.0.1', port: 7000 });
  // MOVED names IPv6 addresses without brackets, and leaves out a host that it does not know.
  expect(parseAddress('::1:7000')).toEqual({ host: '::1', port: 7000 });
  expect(parseAddress(':7000')).toEqual({ host: '', port: 7000 });
  for (const text of ['', 'x', 'x:', 'x:99999', '[::1', 'x:0']) expect(parseAddress(text)).toBeNull();
});
