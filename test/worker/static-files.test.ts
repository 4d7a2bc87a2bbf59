// What a worker serves by itself: the SDK to everybody, the playground to this machine only.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StaticFiles } from '../../src/worker/static-files.js';

describe('the playground', () => {
  let directory: string;
  let files: StaticFiles;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'static-files-'));
    writeFileSync(join(directory, 'playground.html'), '%CLIENT% %TOKEN% %NONCE%');
    files = new StaticFiles({
      browserDirectory: directory,
      webDirectory: directory,
      guestToken: (client) => `token-of-${client}`,
    });
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test.each(['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'localhost'])(
    'may connect to its own gateway only, here %s',
    (host) => {
      const policy = files.find('/', host)?.headers['Content-Security-Policy'] ?? '';
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
    expect(files.find('/', host)).toBeNull();
  });
});
