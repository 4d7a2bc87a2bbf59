// What a WebSocket handshake must look like before any token or store work: ws and Node let more through than RFC 6455.
import type { IncomingMessage } from 'node:http';
import { SUBPROTOCOLS, type Subprotocol, chooseSubprotocol } from '../protocol/subprotocol.js';

export const CONNECT_PATH = '/v1/connect';
/** Most header fields of a request: browsers send about 15, proxies add a few. */
export const HEADER_COUNT_LIMIT = 100;

export interface OriginRules {
  /** Serialised origins that may connect; exact. */
  allowed: ReadonlySet<string>;
  any: boolean;
  /** Development mode: pages of this machine may connect. */
  loopback: boolean;
}

export type UpgradeVerdict =
  | {
      status: 'accept';
      subprotocol: Subprotocol;
      token: string | null;
      hello: Uint8Array<ArrayBuffer> | null;
    }
  /** Complete the handshake with the client's own first subprotocol, then say so with a close code. */
  | { status: 'unsupported_version' }
  | { status: 'refuse'; http: number; headers: Record<string, string>; reason: string };

function refuse(http: number, reason: string, headers: Record<string, string> = {}): UpgradeVerdict {
  return { status: 'refuse', http, headers, reason };
}

/** @param head bytes that followed the request: a client waits for the answer before it sends frames */
export function checkUpgrade(request: IncomingMessage, head: Buffer, origins: OriginRules): UpgradeVerdict {
  const { headers } = request;
  if (request.method !== 'GET') return refuse(405, 'method', { Allow: 'GET' });
  if (request.httpVersion !== '1.1') return refuse(400, 'http_version');
  if (request.rawHeaders.length / 2 > HEADER_COUNT_LIMIT) return refuse(431, 'header_count');
  if (valuesOf(request, 'host').length !== 1 || headers.host === '') return refuse(400, 'host');
  const url = request.url ?? '';
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  if (path !== CONNECT_PATH) return refuse(404, 'path');
  // A token in a URL ends up in logs and histories (RFC 6750 §5.3).
  if (question >= 0 && /[?&](access_)?token=/i.test(url)) return refuse(400, 'token_in_url');
  if (headers.upgrade?.toLowerCase() !== 'websocket') return refuse(400, 'upgrade');
  const keys = valuesOf(request, 'sec-websocket-key');
  if (keys.length !== 1 || !/^[A-Za-z0-9+/]{22}==$/.test(keys[0] ?? '')) return refuse(400, 'key');
  if (headers['sec-websocket-version'] !== '13')
    return refuse(426, 'version', { 'Sec-WebSocket-Version': '13' });
  if (head.length > 0 || headers['transfer-encoding'] !== undefined) return refuse(400, 'body');
  if (headers['content-length'] !== undefined && headers['content-length'] !== '0')
    return refuse(400, 'body');
  if (!isOriginAllowed(headers.origin, origins)) return refuse(403, 'origin');
  return checkSubprotocols(request);
}

function checkSubprotocols(request: IncomingMessage): UpgradeVerdict {
  const { headers } = request;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim());
  const choice = chooseSubprotocol(offered);
  switch (choice.status) {
    case 'chosen':
      return {
        status: 'accept',
        subprotocol: choice.name,
        token: choice.token ?? bearerOf(headers.authorization),
        hello: choice.hello,
      };
    case 'unsupported':
      return { status: 'unsupported_version' };
    case 'none':
      return refuse(400, 'subprotocol', {
        'Content-Type': 'application/json',
        'X-Signalbox-Subprotocols': Object.values(SUBPROTOCOLS).join(', '),
      });
    default:
      return choice satisfies never;
  }
}

/**
 * A browser always says its origin. Without one the client is a program, which has to bring a token anyway and could
 * claim any origin.
 */
export function isOriginAllowed(origin: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined || rules.any || rules.allowed.has(origin)) return true;
  return rules.loopback && /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(origin);
}

export function bearerOf(authorization: string | undefined): string | null {
  const match = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization ?? '');
  return match?.[1] ?? null;
}

/** Each field of this name: Node joins or drops repeated ones, which hides the repetition. */
export function valuesOf(request: IncomingMessage, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const field = request.rawHeaders[i];
    if (field?.length === name.length && field.toLowerCase() === name)
      values.push(request.rawHeaders[i + 1] ?? '');
  }
  return values;
}
