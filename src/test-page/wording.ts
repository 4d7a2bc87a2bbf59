// Figures and names as people read them.
import type {
  Spread,
  TestBrowser,
  TestCandidate,
  TestNetwork,
  TestPlatform,
  TestWay,
} from '../protocol/test-report.js';

export const BROWSER_NAMES: Readonly<Record<TestBrowser, string>> = {
  chrome: 'Chrome or Chromium',
  edge: 'Edge',
  firefox: 'Firefox',
  safari: 'Safari',
  other: 'Another browser',
};

export const PLATFORM_NAMES: Readonly<Record<TestPlatform, string>> = {
  android: 'Android',
  ios: 'iOS',
  linux: 'Linux',
  macos: 'macOS',
  windows: 'Windows',
  other: 'another system',
};

export const NETWORK_NAMES: Readonly<Record<TestNetwork, string>> = {
  wifi: 'Wi-Fi',
  cellular: 'cellular',
  ethernet: 'cable',
  other: 'another network',
  unknown: 'network not told',
};

export const WAY_NAMES: Readonly<Record<TestWay, string>> = {
  websocket: 'WebSocket',
  sse: 'Event stream + POST',
  turn: 'Relay (TURN) and back',
  direct: 'Data channel, direct',
  relay: 'Data channel, relayed',
  media: 'Video',
};

export const CANDIDATE_NAMES: Readonly<Record<TestCandidate, string>> = {
  host: 'own address',
  srflx: 'address by STUN',
  prflx: 'address seen by the other',
  relay: 'relay',
  none: 'no candidate',
};

/** Two figures that count: `0.42`, `3.1`, `42`, `1 200`. */
export function number(value: number): string {
  if (value >= 1000) return String(Math.round(value / 10) * 10).replace(/\B(?=(\d{3})+$)/g, ' ');
  if (value >= 10) return String(Math.round(value));
  return value >= 1 ? value.toFixed(1) : value.toFixed(2);
}

/** The unit for a bandwidth, chosen once for all figures that stand together. */
export function bandwidthUnit(kbps: number): { unit: string; per: number } {
  if (kbps >= 1_000_000) return { unit: 'Gb/s', per: 1_000_000 };
  return kbps >= 1000 ? { unit: 'Mb/s', per: 1000 } : { unit: 'kb/s', per: 1 };
}

/** `12 ± 3 ms` and `p95 18`, in the given unit. A deviation is no finer than its mean. */
export function spreadTexts(spread: Spread, unit: string, per = 1): { main: string; p95: string } {
  const isFine = spread.mean / per < 1;
  const deviation =
    spread.sd === null
      ? ''
      : ` ± ${spread.sd / per >= 1 || isFine ? number(spread.sd / per) : (spread.sd / per).toFixed(1)}`;
  return {
    main: `${number(spread.mean / per)}${deviation} ${unit}`,
    p95: spread.count < 2 ? '' : `p95 ${number(spread.p95 / per)}`,
  };
}

export function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${String(Math.round((part / whole) * 100))} %`;
}
