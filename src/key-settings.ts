// The settings that say which keys verify tokens, and what is no key.
import { createPublicKey } from 'node:crypto';
import { publicKey } from './session/keys.js';
import type { SettingReader } from './setting-reader.js';

/** HMAC secrets, PEM public keys, or a JWKS. The first of a list is the current one. */
export type KeySettings =
  { kind: 'secret'; secrets: string[] } | { kind: 'public'; pems: string[] } | { kind: 'jwks'; url: string };

/** Fewer different characters than this are no random text: 32 random bytes have at least 11, even written in hex. */
const DISTINCT_CHARACTERS_LIMIT = 8;
const PLACEHOLDER = /secret|passw|change.?me|example|insecure/i;

export function looksLikePlaceholder(secret: string): boolean {
  return PLACEHOLDER.test(secret) || new Set(secret).size < DISTINCT_CHARACTERS_LIMIT;
}

/** The keys that verify tokens; null where none is configured. */
export function readKeys(read: SettingReader): KeySettings | null {
  const secret = readSecret(read, 'JWT_SECRET');
  const previous = readSecret(read, 'JWT_PREVIOUS_SECRET');
  const pem = readPem(read, 'JWT_PUBLIC_KEY_FILE');
  const previousPem = readPem(read, 'JWT_PREVIOUS_PUBLIC_KEY_FILE');
  const url = read.text('JWKS_URL');
  const [first, second] = Object.entries({ JWT_SECRET: secret, JWT_PUBLIC_KEY_FILE: pem, JWKS_URL: url })
    .filter(([, key]) => key !== null)
    .map(([name]) => name);
  if (first !== undefined && second !== undefined) {
    read.wrong(first, `and ${second} are both set: tokens are verified by one kind of key`);
  }
  if (previous !== null && secret === null) read.wrong('JWT_PREVIOUS_SECRET', 'needs JWT_SECRET beside it');
  if (previousPem !== null && pem === null)
    read.wrong('JWT_PREVIOUS_PUBLIC_KEY_FILE', 'needs JWT_PUBLIC_KEY_FILE beside it');
  if (secret !== null) return { kind: 'secret', secrets: previous === null ? [secret] : [secret, previous] };
  if (pem !== null) return { kind: 'public', pems: previousPem === null ? [pem] : [pem, previousPem] };
  if (url === null) return null;
  if (!isJwksUrl(url))
    read.wrong('JWKS_URL', 'must be an https URL without user and password (http only for this machine)');
  return { kind: 'jwks', url };
}

function readSecret(read: SettingReader, name: 'JWT_SECRET' | 'JWT_PREVIOUS_SECRET'): string | null {
  const secret = read.text(name);
  if (secret === null) return null;
  if (Buffer.byteLength(secret) < 32)
    read.wrong(name, 'is shorter than 32 bytes: `openssl rand -base64 48` makes a good one');
  // A public key is no secret: everybody could sign with it (RFC 8725 §2.1).
  else if (secret.includes('-----BEGIN'))
    read.wrong(name, 'holds a PEM key: public keys go into JWT_PUBLIC_KEY_FILE');
  else if (looksLikePlaceholder(secret))
    read.wrong(name, 'looks like a placeholder: `openssl rand -base64 48` makes a good one');
  return secret;
}

function readPem(
  read: SettingReader,
  name: 'JWT_PUBLIC_KEY_FILE' | 'JWT_PREVIOUS_PUBLIC_KEY_FILE',
): string | null {
  const path = read.text(name);
  if (path === null) return null;
  const pem = read.file(name, path);
  if (pem !== null && !isPublicKey(pem)) {
    read.wrong(name, 'must hold a PEM public key (BEGIN PUBLIC KEY): RSA of 2048 bits or more, or EC P-256');
  }
  return pem;
}

/** A private key would do for Node, but has no business on a gateway. */
function isPublicKey(pem: string): boolean {
  try {
    publicKey(createPublicKey(pem));
    return pem.includes('-----BEGIN PUBLIC KEY-----');
  } catch {
    return false;
  }
}

function isJwksUrl(text: string): boolean {
  try {
    const url = new URL(text);
    if (url.username !== '' || url.password !== '') return false;
    return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  } catch {
    return false;
  }
}

/** Names and addresses that never leave this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
