// The checks of a handshake that need no socket; test/bad-input/upgrade.test.ts has the rest, on real ones.
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { type OriginRules, checkUpgrade, isOriginAllowed } from '../../src/transport/upgrade-check.js';

const NONE: OriginRules = { allowed: new Set(), any: false, loopback: false };

function request(
  fields: Record<string, string> = {},
  change: Partial<IncomingMessage> = {},
): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  const all: Record<string, string> = {
    host: 'localhost',
    upgrade: 'websocket',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'signalbox.v1.json',
    ...fields,
  };
  message.rawHeaders.push(...Object.entries(all).flat());
  return Object.assign(
    message,
    { method: 'GET', httpVersion: '1.1', url: '/v1/connect', headers: all },
    change,
  );
}

const check = (message: IncomingMessage, head = ''): unknown =>
  checkUpgrade(message, Buffer.from(head), NONE);

describe('checkUpgrade', () => {
  test('accepts a good handshake, and finds the token where it may be', () => {
    const accept = { status: 'accept', subprotocol: 'signalbox.v1.json', hello: null };
    expect(check(request())).toEqual({ ...accept, token: null });
    expect(check(request({ authorization: 'bearer abc.d-e_f' }))).toEqual({ ...accept, token: 'abc.d-e_f' });
    const both = request({
      'sec-websocket-protocol': 'signalbox.v1.json, bearer.first',
      authorization: 'Bearer second',
    });
    expect(check(both)).toEqual({ ...accept, token: 'first' });
  });

  test.each(['Basic abc', 'Bearer', 'Bearer a b', 'Bearer <x>'])(
    'finds no token in Authorization: %s',
    (authorization) => {
      expect(check(request({ authorization }))).toMatchObject({ status: 'accept', token: null });
    },
  );

  test.each([
    ['method', request({}, { method: 'POST' }), '', 405],
    ['http_version', request({}, { httpVersion: '1.0' }), '', 400],
    ['host', request({ host: '' }), '', 400],
    ['path', request({}, { url: '/v1/connect/' }), '', 404],
    ['path', request({}, { url: undefined }), '', 404],
    ['token_in_url', request({}, { url: '/v1/connect?x=1&Token=abc' }), '', 400],
    ['upgrade', request({ upgrade: 'h2c' }), '', 400],
    ['key', request({ 'sec-websocket-key': 'short' }), '', 400],
    ['version', request({ 'sec-websocket-version': '8' }), '', 426],
    ['body', request(), 'early bytes', 400],
    ['body', request({ 'content-length': '5' }), '', 400],
    ['body', request({ 'transfer-encoding': 'chunked' }), '', 400],
    ['origin', request({ origin: 'https://evil.example' }), '', 403],
    ['subprotocol', request({ 'sec-websocket-protocol': 'mqtt' }), '', 400],
  ])('refuses with the reason %s', (reason, message, head, http) => {
    expect(check(message, head)).toMatchObject({ status: 'refuse', reason, http });
  });

  test('lets other parameters of the URL be', () => {
    expect(check(request({}, { url: '/v1/connect?trace=1&notatoken=2' }))).toMatchObject({
      status: 'accept',
    });
  });
});

describe('isOriginAllowed', () => {
  const rules: OriginRules = { allowed: new Set(['https://good.com']), any: false, loopback: false };

  test('compares exactly', () => {
    expect(isOriginAllowed('https://good.com', rules)).toBe(true);
    for (const origin of [
      'https://good.com.evil.com',
      'https://good.com:443',
      'HTTPS://good.com',
      'http://good.com',
      'null',
      '',
    ]) {
      expect(isOriginAllowed(origin, rules)).toBe(false);
    }
  });

  test('lets pages of this machine in in development mode only', () => {
    const development = { ...rules, loopback: true };
    for (const origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:80']) {
      expect(isOriginAllowed(origin, development)).toBe(true);
      expect(isOriginAllowed(origin, rules)).toBe(false);
    }
    for (const origin of [
      'http://localhost.evil.com',
      'http://evil.com/localhost',
      'http://127.0.0.1.evil.com',
      'null',
    ]) {
      expect(isOriginAllowed(origin, development)).toBe(false);
    }
  });
});
