// A WebSocket handshake as nearly every client writes it, read at once; whatever could be read in two ways is left to Node's parser.
import { type IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { CONNECT_PATH, HEADER_COUNT_LIMIT } from './upgrade-check.js';

/** The whole request and nothing behind it: no folded, empty or nameless line, no byte outside of ASCII, no bare CR or LF. */
const PLAIN = /^GET \/[!-~]* HTTP\/1\.1\r\n(?:[A-Za-z0-9-]+:[ -~]*\r\n)+\r\n$/;
const BEGINNING = `GET ${CONNECT_PATH}`;
const LINE_END = '\r\n';
/** Fields that say where a request ends, or what is to be done before: with one of them it is not ours to read. */
const NOT_PLAIN = new Set(['content-length', 'transfer-encoding', 'expect', 'te', 'trailer', 'set-cookie']);

/**
 * The request that these bytes are, as Node's parser would make it; null where they are not a handshake, not all of it, more than
 * it, or where any field stands in it twice.
 */
export function readPlainHandshake(
  bytes: Buffer,
  socket: Socket,
  headerLimitBytes: number,
): IncomingMessage | null {
  if (bytes.length > headerLimitBytes || bytes[0] !== BEGINNING.charCodeAt(0)) return null;
  const text = bytes.toString('latin1');
  if (!text.startsWith(BEGINNING) || !PLAIN.test(text)) return null;
  const lines = text.split(LINE_END);
  // Each name is compared with those before it. The request line, and the two empty ones at the end, are no fields.
  if (lines.length - 3 > HEADER_COUNT_LIMIT) return null;
  const rawHeaders: string[] = [];
  const headers: IncomingHttpHeaders = {};
  const seen: string[] = [];
  // The request line comes first, and an empty one and the rest behind it, which is empty too, last.
  for (let i = 1; i < lines.length - 2; i++) {
    const line = lines[i] ?? '';
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const key = name.toLowerCase();
    if (seen.includes(key) || NOT_PLAIN.has(key)) return null;
    seen.push(key);
    const value = line.slice(colon + 1).trim();
    rawHeaders.push(name, value);
    headers[key] = value;
  }
  // Without both Node takes it for a request that is no upgrade.
  if (!headers.upgrade || !asksForUpgrade(headers.connection ?? '')) return null;
  const request = new IncomingMessage(socket);
  const requestLine = lines[0] ?? '';
  request.method = 'GET';
  request.url = requestLine.slice('GET '.length, -' HTTP/1.1'.length);
  request.httpVersion = '1.1';
  request.httpVersionMajor = request.httpVersionMinor = 1;
  request.rawHeaders = rawHeaders;
  request.headers = headers;
  request.complete = true;
  return request;
}

/** `Connection` is a list of tokens (RFC 9110 §7.6.1). */
function asksForUpgrade(connection: string): boolean {
  return (
    connection === 'Upgrade' ||
    connection.split(',').some((token) => token.trim().toLowerCase() === 'upgrade')
  );
}
