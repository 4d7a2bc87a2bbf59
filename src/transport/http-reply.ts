// Short answers over HTTP: never stored, never guessed at.
import type { ServerResponse } from 'node:http';

const NEVER_KEPT = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
} as const;

export function replyJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  replyBytes(response, status, Buffer.from(JSON.stringify(body)), {
    'Content-Type': 'application/json',
    ...headers,
  });
}

export function replyBytes(
  response: ServerResponse,
  status: number,
  body: Uint8Array,
  headers: Record<string, string>,
): void {
  response.writeHead(status, { ...NEVER_KEPT, 'Content-Length': String(body.length), ...headers });
  response.end(body);
}

export function replyEmpty(response: ServerResponse): void {
  response.writeHead(204, NEVER_KEPT);
  response.end();
}

/** An answer before the whole request was read: the connection ends with it. */
export function replyAndHangUp(response: ServerResponse, status: number, body: object): void {
  const { socket } = response;
  response.once('finish', () => socket?.destroySoon());
  replyJson(response, status, body, { Connection: 'close' });
}
