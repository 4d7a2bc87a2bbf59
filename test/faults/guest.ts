// A client of the row's own, beside the crowd: what it does is not judged by the history, only by the row.
import { fileURLToPath } from 'node:url';
import jwt, { type SignOptions } from 'jsonwebtoken';
import type { Client, ClientOptions } from '../../src/client/index.js';
import { SECRET } from '../gateway-process.js';
import { loadSdk } from './observe.js';

const SDK = fileURLToPath(new URL('../../dist/client/index.js', import.meta.url));

export interface GuestOptions extends Partial<ClientOptions> {
  /** Of the token, beside the client's name. */
  claims?: Record<string, unknown>;
  sign?: SignOptions;
  key?: string;
}

/** Not connected yet; close it at the end. */
export async function guest(url: string, name: string, options: GuestOptions = {}): Promise<Client> {
  const { claims = {}, sign, key = SECRET, ...rest } = options;
  const { Client } = await loadSdk(SDK);
  const token = (): string =>
    jwt.sign({ perm: '*', ...claims }, key, { subject: name, expiresIn: 3600, ...sign });
  const client = new Client(url, { token, backoff: { minMs: 200, maxMs: 2000 }, ...rest });
  client.on('error', () => undefined);
  return client;
}
