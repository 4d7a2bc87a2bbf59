// Which browser this is, what it has, and what others may say of themselves.
import { describe, expect, test } from '@jest/globals';
import { FEATURES, missingFeatures } from '../../src/test-page/features.js';
import { parseAbout } from '../../src/test-page/neighbours.js';
import { withoutTurn } from '../../src/test-page/server-ways.js';
import { browserOf, networkOf } from '../../src/test-page/this-browser.js';

const MOZILLA = 'Mozilla/5.0';
const WEBKIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';

test.each([
  [`${MOZILLA} (X11; Linux x86_64) ${WEBKIT} Chrome/150.0 Safari/537.36`, 'chrome', 'linux'],
  [`${MOZILLA} (Linux; Android 16; K) ${WEBKIT} Chrome/150.0 Mobile Safari/537.36`, 'chrome', 'android'],
  [
    `${MOZILLA} (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/150.0 Safari/537.36 Edg/150.0`,
    'edge',
    'windows',
  ],
  [`${MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0`, 'firefox', 'linux'],
  [
    `${MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) ${WEBKIT} Version/26.0 Safari/605.1.15`,
    'safari',
    'macos',
  ],
  [
    `${MOZILLA} (iPhone; CPU iPhone OS 19_0 like Mac OS X) ${WEBKIT} Version/26.0 Mobile Safari/604.1`,
    'safari',
    'ios',
  ],
  [
    `${MOZILLA} (iPhone; CPU iPhone OS 19_0 like Mac OS X) ${WEBKIT} CriOS/150.0 Mobile Safari/604.1`,
    'chrome',
    'ios',
  ],
  ['curl/8.0', 'other', 'other'],
])('%s', (userAgent, browser, platform) => {
  expect(browserOf(userAgent)).toEqual({ browser, platform });
});

test('the network is told where the browser tells it', () => {
  expect(
    [{ type: 'cellular' }, { type: 'wimax' }, { effectiveType: '4g' }, undefined].map(networkOf),
  ).toEqual(['cellular', 'other', 'unknown', 'unknown']);
});

describe('features', () => {
  test('are all missing in a scope that has nothing, and each is said in words', () => {
    expect(missingFeatures({})).toEqual(FEATURES.map(({ id }) => id));
    expect(FEATURES.every(({ name, without }) => name !== '' && without.endsWith('.'))).toBe(true);
    expect(new Set(FEATURES.map(({ id }) => id)).size).toBe(FEATURES.length);
  });

  test('are found where they are, also behind getters that need an instance', () => {
    class RTCPeerConnection {
      createDataChannel(): void {}
    }
    class RTCRtpSender {
      static getCapabilities() {
        return { codecs: [{ mimeType: 'video/VP8' }, { mimeType: 'video/H264' }] };
      }
      get replaceTrack(): never {
        throw new TypeError('Illegal invocation');
      }
    }
    const scope = { isSecureContext: true, RTCPeerConnection, RTCRtpSender, WebSocket: Map };
    const missing = missingFeatures(scope);
    for (const id of ['secure', 'webrtc', 'channel', 'codecs', 'replace', 'websocket'])
      expect(missing).not.toContain(id);
    expect(missing).toContain('camera');
  });
});

test('what another page says of itself is taken only when it is whole', () => {
  const about = { browser: 'edge', platform: 'windows', network: 'wifi', hasWebRTC: true, tag: 'x' };
  expect(parseAbout(new Map(Object.entries(about)))).toBeNull();
  expect(parseAbout(about)).toEqual(about);
  for (const wrong of [null, 'x', {}, { ...about, browser: 'netscape' }, { ...about, tag: 'x'.repeat(65) }])
    expect(parseAbout(wrong)).toBeNull();
});

test('the direct way has the TURN servers for STUN only', () => {
  const servers = [
    { urls: 'stun:stun.example:3478' },
    {
      urls: ['turn:turn.example:3478', 'turn:turn.example:3478?transport=tcp'],
      username: 'u',
      credential: 'c',
    },
    { urls: ['turns:turn.example:5349'], username: 'u', credential: 'c' },
  ];
  expect(withoutTurn(servers)).toEqual([
    { urls: ['stun:stun.example:3478'] },
    { urls: ['stun:turn.example:3478'] },
  ]);
});
