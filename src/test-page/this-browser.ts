// What this browser says of itself: which one it is, on what, and in what kind of network.
import type { TestBrowser, TestNetwork, TestPlatform } from '../protocol/test-report.js';

export interface BrowserInfo {
  browser: TestBrowser;
  platform: TestPlatform;
}

/** By the user agent: coarse, so that it tells nobody apart. On iOS every browser is Safari inside. */
export function browserOf(userAgent: string): BrowserInfo {
  return { browser: nameOf(userAgent), platform: platformOf(userAgent) };
}

function nameOf(userAgent: string): TestBrowser {
  if (/Edg(e|A|iOS)?\//.test(userAgent)) return 'edge';
  if (/Firefox\/|FxiOS\//.test(userAgent)) return 'firefox';
  if (/Chrome\/|Chromium\/|CriOS\//.test(userAgent)) return 'chrome';
  return /Safari\//.test(userAgent) ? 'safari' : 'other';
}

function platformOf(userAgent: string): TestPlatform {
  if (/Android/.test(userAgent)) return 'android';
  if (/iPhone|iPad|iPod/.test(userAgent)) return 'ios';
  if (/Windows/.test(userAgent)) return 'windows';
  if (/Mac OS X/.test(userAgent)) return 'macos';
  return /Linux|CrOS/.test(userAgent) ? 'linux' : 'other';
}

/** @param connection `navigator.connection`, which Chromium has, with a `type` on Android and ChromeOS only */
export function networkOf(connection: unknown): TestNetwork {
  const type: unknown =
    typeof connection === 'object' && connection !== null ? Reflect.get(connection, 'type') : undefined;
  if (type === 'wifi' || type === 'cellular' || type === 'ethernet') return type;
  return typeof type === 'string' && type !== 'unknown' ? 'other' : 'unknown';
}
