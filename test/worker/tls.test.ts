// The public port with a certificate: wss, what it refuses, and a new certificate by SIGHUP.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

describe('a gateway with TLS', () => {
  let directory: string;
  let gateway: GatewayProcess;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'signalbox-tls-'));
    certify('first.test');
    gateway = await startGateway({
      WORKERS: '1',
      HEADERS_TIMEOUT_MS: '1000',
      TLS_CERT_FILE: join(directory, 'cert.pem'),
      TLS_KEY_FILE: join(directory, 'key.pem'),
    });
  }, 60_000);
  afterAll(async () => {
    await gateway.stop();
    rmSync(directory, { recursive: true });
  });

  /** Writes a certificate that nobody signed for this name, and its key. */
  function certify(name: string): void {
    const files = ['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'cert.pem')];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', ...kind, '-days', '2', '-subj', `/CN=${name}`, ...files], {
      stdio: 'ignore',
    });
  }

  /** The certificate that a new connection is shown; null when there is no connection. */
  function shown(options: { maxVersion?: 'TLSv1.1' } = {}): Promise<string | null> {
    return new Promise((resolve) => {
      const socket = connect({
        port: gateway.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(options.maxVersion === undefined
          ? {}
          : { minVersion: 'TLSv1', maxVersion: options.maxVersion, ciphers: 'DEFAULT:@SECLEVEL=0' }),
      });
      socket.once('secureConnect', () => {
        resolve(new X509Certificate(socket.getPeerCertificate().raw).subject);
        socket.destroy();
      });
      socket.once('error', () => {
        resolve(null);
      });
    });
  }

  class Trusting extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { rejectUnauthorized: false });
    }
  }

  test('carries a session of the SDK', async () => {
    const url = `wss://127.0.0.1:${String(gateway.port)}`;
    const [alice, bob] = ['alice', 'bob'].map(
      (name) => new Client(url, { token: tokenOf(name), WebSocket: Trusting }),
    );
    if (alice === undefined || bob === undefined) throw new Error('no clients');
    try {
      await Promise.all([alice.connect(), bob.connect()]);
      const heard = new Promise((resolve) => bob.onMessage('hello', (data) => resolve(data)));
      await alice.send('bob', 'hello', 'over TLS');
      expect(await heard).toBe('over TLS');
    } finally {
      await Promise.all([alice.close(), bob.close()]);
    }
  });

  test('speaks no TLS older than 1.2, and no plain HTTP', async () => {
    expect(await shown()).toBe('CN=first.test');
    expect(await shown({ maxVersion: 'TLSv1.1' })).toBeNull();
    await expect(fetch(`http://127.0.0.1:${String(gateway.port)}/healthz`)).rejects.toThrow();
  });

  test('cuts off who connects and begins no handshake', async () => {
    const socket = connectPlain(gateway.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.resume().once('close', resolve));
  }, 60_000);

  test('shows a new certificate after SIGHUP, with connections accepted all the time', async () => {
    certify('second.test');
    expect(await shown()).toBe('CN=first.test');
    gateway.process.kill('SIGHUP');
    const seen = new Set<string | null>();
    await until(async () => {
      const name = await shown();
      seen.add(name);
      return name === 'CN=second.test';
    });
    expect([...seen]).not.toContain(null);
  }, 60_000);
});
