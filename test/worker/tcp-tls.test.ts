// The TCP port with a certificate: tcps://, what it refuses, and a new certificate by SIGHUP.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { joinRecords } from '../../src/protocol/records.js';
import { freePort } from '../free-port.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

const folder = mkdtempSync(join(tmpdir(), 'signalbox-tcps-'));
const cert = join(folder, 'cert.pem');
const key = join(folder, 'key.pem');
let gateway: GatewayProcess;
let port: number;

function certify(name: string): void {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
}

beforeAll(async () => {
  certify('first.test');
  port = await freePort();
  gateway = await startGateway({
    WORKERS: '1',
    TCP_PORT: String(port),
    TCP_TLS: '1',
    TLS_CERT_FILE: cert,
    TLS_KEY_FILE: key,
    HELLO_TIMEOUT_MS: '1500',
    HEADERS_TIMEOUT_MS: '1000',
  });
});
afterAll(async () => {
  expect(await gateway.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

/** Runs the built SDK in a process that trusts the certificate, or does not. */
async function sdk(trusted: boolean): Promise<string> {
  const program = `
    const { Client } = await import(process.argv[1]);
    const client = new Client(process.argv[2], { token: process.argv[3] });
    client.onMessage('echo', (text) => { console.log(text); client.close(); });
    await client.connect({ signal: AbortSignal.timeout(trusted ? 10_000 : 1_500) }).catch((error) => {
      console.log(error.code);
      process.exit();
    });
    await client.send(client.id, 'echo', 'over TLS');
  `.replace('trusted', String(trusted));
  const module = new URL('../../dist/client/index.js', import.meta.url).href;
  const args = ['--input-type=module', '-e', program, module, `tcps://127.0.0.1:${port}`, tokenOf('alice')];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...(trusted ? { NODE_EXTRA_CA_CERTS: cert } : {}) },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'exit');
  return output.trim();
}

test('a client of the SDK sends and hears over tcps, where it trusts the certificate, and only there', async () => {
  expect(await Promise.all([sdk(true), sdk(false)])).toEqual(['over TLS', 'aborted']);
});

test('who speaks plain TCP, or an old TLS, gets no frame in', async () => {
  const plain = connectPlain(port, '127.0.0.1');
  let received = Buffer.alloc(0);
  plain
    .on('error', () => undefined)
    .on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  const records = [`bearer ${tokenOf('alice')}`, '[0,1,null,null,null]'].map((text) => Buffer.from(text));
  plain.write(joinRecords(records));
  await new Promise((resolve) => plain.once('close', resolve));
  expect(received.toString('latin1')).not.toContain('alice');
  const old = connect({
    port,
    rejectUnauthorized: false,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  await expect(once(old, 'secureConnect')).rejects.toThrow();
});

test('who connects and begins no handshake, or says nothing after it, is cut off', async () => {
  const silent = connectPlain(port, '127.0.0.1');
  const shaken = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  for (const socket of [silent, shaken]) socket.on('error', () => undefined).resume();
  await Promise.all(
    [silent, shaken].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
  );
});

test('a new certificate is shown after SIGHUP', async () => {
  const shown = async (): Promise<string> => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return String(name);
  };
  expect(await shown()).toBe('first.test');
  certify('second.test');
  gateway.process.kill('SIGHUP');
  await until(async () => (await shown().catch(() => '')) === 'second.test');
});
