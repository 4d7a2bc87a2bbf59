// What the calls of one cell came to, and the tables of them.
import type { Cell } from './cell.js';
import type { Call } from './round.js';

/** Half of those that came to it took at most so long, and 95 of a hundred; null where none came to it. */
export interface Times {
  p50Ms: number | null;
  p95Ms: number | null;
}

export interface CellResult extends Cell {
  cell: string;
  calls: number;
  signedIn: number;
  connected: number;
  recovered: number;
  signIn: Times;
  connect: Times;
  recover: Times;
}

export interface RunInfo {
  /** An ISO date. */
  at: string;
  command: string;
  seed: number;
  outageMs: number;
  connectLimitMs: number;
  recoverLimitMs: number;
  machine: string;
  browser: string;
}

export function summaryOf(name: string, cell: Cell, calls: readonly Call[]): CellResult {
  const of = (key: 'signInMs' | 'connectMs' | 'recoverMs'): number[] =>
    calls.flatMap((call) => call[key] ?? []).sort((a, b) => a - b);
  const [signIns, connects, recovers] = [of('signInMs'), of('connectMs'), of('recoverMs')];
  return {
    cell: name,
    ...cell,
    calls: calls.length,
    signedIn: signIns.length,
    connected: connects.length,
    recovered: recovers.length,
    signIn: timesOf(signIns),
    connect: timesOf(connects),
    recover: timesOf(recovers),
  };
}

/** Nearest rank, so that each figure is one that was measured. */
function timesOf(sorted: readonly number[]): Times {
  const at = (share: number): number | null => {
    const value = sorted[Math.ceil(share * sorted.length) - 1];
    return value === undefined ? null : Math.round(value);
  };
  return { p50Ms: at(0.5), p95Ms: at(0.95) };
}

/** As one line. */
export function lineOf(result: CellResult): string {
  const { cell, calls, signedIn, connected, recovered, signIn, connect, recover } = result;
  const part = (what: string, count: number, of: number, times: Times): string =>
    `${what} ${count}/${of} ${seconds(times)}`.padEnd(32);
  return [
    cell.padEnd(18),
    part('signed in', signedIn, calls, signIn),
    part('connected', connected, calls, connect),
    part('recovered', recovered, connected, recover),
  ]
    .join('')
    .trim();
}

/** Loss × delay, then the other cells. */
export function markdownOf(results: readonly CellResult[]): string {
  const isPlain = ({ kbps, side, content }: Cell): boolean =>
    kbps === null && side === 'one' && content === 'data';
  const plain = results.filter(isPlain);
  const delays = [...new Set(plain.map(({ delayMs }) => delayMs))].sort((a, b) => a - b);
  const losses = [...new Set(plain.map(({ loss }) => loss))].sort((a, b) => a - b);
  const rows = losses.map((loss) => {
    const cells = delays.map((delayMs) => {
      const found = plain.find((one) => one.loss === loss && one.delayMs === delayMs);
      return found === undefined ? '' : textOf(found);
    });
    return row([`**${percent(loss)}**`, ...cells]);
  });
  const others = results.filter((one) => !isPlain(one));
  const grid = [
    row(['loss', ...delays.map((ms) => `${ms} ms`)]),
    row(['---', ...delays.map(() => '---')]),
    ...rows,
  ];
  const list = [
    row(['other networks', 'calls']),
    row(['---', '---']),
    ...others.map((one) => row([wordsOf(one), textOf(one)])),
  ];
  return [...grid, ...(others.length > 0 ? ['', ...list] : [])].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function textOf({ calls, signedIn, connected, recovered, connect, recover }: CellResult): string {
  const away = signedIn < calls ? ` (${calls - signedIn} not signed in)` : '';
  const lost = recovered < connected ? ` (${recovered} of ${connected})` : '';
  if (connected === 0) return `0 %${away}`;
  return `${percent(connected / calls)}${away} · ${seconds(connect)} · ${seconds(recover)}${lost}`;
}

function wordsOf({ loss, delayMs, kbps, side, content }: Cell): string {
  return [
    ...(loss === 0 ? [] : [`${percent(loss)} loss`]),
    `${delayMs} ms`,
    ...(kbps === null ? [] : [`${kbps} kbit/s`]),
    ...(side === 'both' ? ['both sides'] : []),
    ...(content === 'video' ? ['video both ways'] : []),
  ].join(', ');
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function seconds({ p50Ms, p95Ms }: Times): string {
  const of = (ms: number | null): string => (ms === null ? '–' : (ms / 1000).toFixed(1));
  return p50Ms === null ? '–' : `${of(p50Ms)} / ${of(p95Ms)} s`;
}
