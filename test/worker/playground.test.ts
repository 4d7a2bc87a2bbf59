// The playground and its guests' tokens: for this machine only.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Playground } from '../../src/worker/playground.js';

describe('the playground', () => {
  let directory: string;
  let playground: Playground;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'playground-'));
    writeFileSync(join(directory, 'playground.html'), '%CLIENT% %NONCE%');
    playground = new Playground(directory, (client) => `token-of-${client}`);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test.each(['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'localhost'])(
    'may connect to its own gateway only, here %s',
    (host) => {
      const policy = playground.page(host)?.headers['Content-Security-Policy'] ?? '';
      const connect = policy.split('; ').find((directive) => directive.startsWith('connect-src'));
      expect(connect).toBe(`connect-src 'self' ws://${host} wss://${host}`);
    },
  );

  test.each([
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    'localhost; connect-src *',
    'localhost:1 *',
  ])('is not there for the Host %j', (host) => {
    expect(playground.page(host)).toBeNull();
  });

  test.each([
    ['localhost:8080', 'http://localhost:8080'],
    ['127.0.0.1:8443', 'https://127.0.0.1:8443'],
    ['[::1]:8080', 'http://[::1]:8080'],
  ])('gives a guest of its own page a token, here %s', (host, origin) => {
    expect(playground.token('guest-0a1b', host, origin)).toBe('token-of-guest-0a1b');
  });

  test.each([
    ['another client', 'alice', 'localhost:8080', 'http://localhost:8080'],
    ['nobody', null, 'localhost:8080', 'http://localhost:8080'],
    ['a page of another origin', 'guest-0a1b', 'localhost:8080', 'https://evil.example'],
    ['a page of another port', 'guest-0a1b', 'localhost:8080', 'http://localhost:3000'],
    ['a page under another name', 'guest-0a1b', 'evil.example', 'http://evil.example'],
    ['a page in a sandbox', 'guest-0a1b', 'localhost:8080', 'null'],
    ['what is no page', 'guest-0a1b', 'localhost:8080', undefined],
  ])('gives %s no token', (_, client, host, origin) => {
    expect(playground.token(client, host, origin)).toBeNull();
  });
});
