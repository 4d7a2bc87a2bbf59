// Cross-origin requests (WHATWG Fetch, CORS): which pages may ask, and what browsers are told about it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CLOSE_HEADER, CONNECTION_HEADER, NUMBER_HEADER } from '../protocol/http-transport.js';
import { isOriginAllowed, type OriginRules } from './upgrade-check.js';

/** How long a browser may go by the answer to a preflight, s: the longest that Chromium takes. */
const PREFLIGHT_LIFE_S = 7200;

/**
 * Whether the page behind a request may make it; then the answer's headers say so. Never with credentials: nothing here
 * reads a cookie.
 */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, rules: OriginRules): boolean {
  const { origin } = request.headers;
  response.setHeader('Vary', 'Origin');
  if (origin === undefined) return request.headers['sec-fetch-site'] !== 'cross-site';
  if (!isOriginAllowed(origin, rules)) return false;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Expose-Headers', `${CLOSE_HEADER}, Retry-After`);
  return true;
}

/** Answers an OPTIONS request of a page that is allowed. */
export function answerPreflight(response: ServerResponse, methods: string): void {
  response.writeHead(204, {
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': `Authorization, Content-Type, Last-Event-ID, ${CONNECTION_HEADER}, ${NUMBER_HEADER}`,
    'Access-Control-Max-Age': String(PREFLIGHT_LIFE_S),
    Allow: `${methods}, OPTIONS`,
  });
  response.end();
}
