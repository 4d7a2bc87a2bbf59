// What is seen: the verdict, the rows with their plots, what the browser has, and what all pages found.
import {
  countOf,
  PAIR_OUTCOMES,
  type Spread,
  type TestGroup,
  type TestPair,
  type TestSummary,
  turnShare,
  type WaySummary,
} from '../protocol/test-report.js';
import type { RowView } from './board.js';
import { find, make } from './element.js';
import { FEATURES } from './features.js';
import { axis, outcomeBar, strip } from './plot.js';
import { LogScale } from './scale.js';
import type { AboutView } from './share.js';
import { type Line, LINE_COLOURS, timePlot } from './time-plot.js';
import { judge, type Evidence } from './verdict.js';
import {
  bandwidthUnit,
  BROWSER_NAMES,
  CANDIDATE_NAMES,
  NETWORK_NAMES,
  percent,
  PLATFORM_NAMES,
  spreadTexts,
  WAY_NAMES,
} from './wording.js';

export interface SectionShown {
  /** Null: the server. */
  peer: (AboutView & { name: string; sameNetwork: boolean; isHere: boolean }) | null;
  rows: RowView[];
}

export interface Shown {
  evidence: Evidence;
  /** Why the gateway wants no page from here, in its words; else empty. */
  refusal: string;
  about: AboutView;
  missing: readonly string[];
  sections: SectionShown[];
  /** Of those who left and have no section any more. */
  past: readonly TestPair[];
  lines: Line[];
}

export function show({ evidence, refusal, about, missing, sections, past, lines }: Shown): void {
  showVerdict(evidence, refusal);
  document.body.classList.toggle('away', evidence.isConnected === false);
  find('about').textContent = describe(about);
  const scale = new LogScale(sections.flatMap(({ rows }) => rows.flatMap(({ pings }) => [...pings])));
  const [server, ...peers] = sections;
  find('server').replaceChildren(...(server === undefined ? [] : [table(server.rows, scale)]));
  find('peers').replaceChildren(...peers.map((section) => card(section, scale)));
  find('nobody').hidden = peers.length > 0;
  find('past').textContent = pastText(past);
  showTime(lines);
  showFeatures(missing);
}

export function describe({ browser, platform, network }: AboutView): string {
  return `${BROWSER_NAMES[browser]} on ${PLATFORM_NAMES[platform]}, ${NETWORK_NAMES[network]}`;
}

const PAST_WORDS = { direct: 'directly', relay: 'through the relay', none: 'not at all' } as const;

function pastText(past: readonly TestPair[]): string {
  if (past.length === 0) return '';
  const who = past.length === 1 ? '1 browser has left' : `${String(past.length)} browsers have left`;
  const ways = PAIR_OUTCOMES.map(
    (outcome) => [past.filter((pair) => pair.outcome === outcome).length, outcome] as const,
  )
    .filter(([count]) => count > 0)
    .map(([count, outcome]) => `${String(count)} ${PAST_WORDS[outcome]}`);
  return `${who}; reached before: ${ways.join(', ')}.`;
}

function showVerdict(evidence: Evidence, refusal: string): void {
  const { level, headline, sentences } = judge(evidence, refusal);
  const box = find('verdict');
  box.className = `card verdict ${level}`;
  box.replaceChildren(make('h2', {}, headline), ...sentences.map((sentence) => make('p', {}, sentence)));
}

function card({ peer, rows }: SectionShown, scale: LogScale): HTMLElement {
  const badges = [
    peer?.sameNetwork === true ? make('span', { class: 'badge' }, 'same network') : null,
    peer?.isHere === false ? make('span', { class: 'badge' }, 'gone') : null,
  ];
  const title = peer === null ? '' : describe(peer);
  return make(
    'section',
    { class: peer?.isHere === false ? 'card peer gone' : 'card peer' },
    make('h3', {}, make('code', {}, peer?.name ?? ''), ` ${title}`, ...badges),
    table(rows, scale),
  );
}

function table(rows: readonly RowView[], scale: LogScale): HTMLElement {
  return make(
    'div',
    { class: 'ways', role: 'table' },
    make(
      'div',
      { class: 'way head', role: 'row' },
      ...['Way', 'Set-up', 'Ping', 'Bandwidth'].map((text) => make('span', { role: 'columnheader' }, text)),
      make(
        'span',
        { role: 'columnheader', class: 'plot' },
        rows.some(({ ping }) => ping !== null) ? axis(scale) : '',
      ),
    ),
    ...rows.map((row) => line(row, scale)),
  );
}

function line(row: RowView, scale: LogScale): HTMLElement {
  const { way, status, note, candidate, setup, ping, bandwidth, pings } = row;
  const via = candidate === 'none' || status !== 'ok' ? '' : `by ${CANDIDATE_NAMES[candidate]}`;
  const state = status === 'ok' ? via : stateText(status, note);
  const speed = bandwidthUnit(bandwidth?.mean ?? 0);
  const cell = (name: string, texts: { main: string; p95: string } | null, below?: string): HTMLElement =>
    make(
      'span',
      { class: 'figure', role: 'cell', 'data-name': name },
      make('span', {}, texts?.main ?? '–'),
      make('small', {}, below ?? texts?.p95 ?? ''),
    );
  return make(
    'div',
    { class: `way ${status}`, role: 'row', 'data-way': way },
    make('span', { class: 'name', role: 'cell' }, WAY_NAMES[way], make('small', {}, state)),
    cell('Set-up', setup === null ? null : spreadTexts(setup, 'ms')),
    // Of a few values a percentile says nothing.
    cell(
      'Ping',
      ping === null ? null : spreadTexts(ping, 'ms'),
      way === 'media' ? reportsText(ping) : undefined,
    ),
    cell('Bandwidth', bandwidth === null ? null : spreadTexts(bandwidth, speed.unit, speed.per)),
    make(
      'span',
      { class: 'plot', role: 'cell' },
      ...(ping === null ? [] : [strip(pings, ping, scale), make('span', { class: 'under' }, axis(scale))]),
    ),
  );
}

function reportsText(ping: Spread | null): string {
  if (ping === null) return '';
  return ping.count === 1 ? 'one report' : `${String(ping.count)} reports`;
}

function stateText(status: RowView['status'], note: string): string {
  const texts = { waiting: 'waiting', running: 'testing…', ok: '', failed: 'failed', off: 'not tested' };
  return note === '' ? texts[status] : `${texts[status]}: ${note}`;
}

function showTime(lines: readonly Line[]): void {
  const shown = lines.filter(({ points }) => points.length > 1);
  find('time-card').hidden = shown.length === 0;
  if (shown.length === 0) return;
  const scale = new LogScale(shown.flatMap(({ points }) => points.map(({ pingMs }) => pingMs)));
  const box = find('time');
  box.replaceChildren(
    timePlot(shown, scale, box.clientWidth),
    make(
      'ul',
      { class: 'legend' },
      ...shown.map(({ name }, i) => make('li', { class: `line-${String(i % LINE_COLOURS)}` }, name)),
    ),
  );
}

function showFeatures(missing: readonly string[]): void {
  const isMissing = (id: string): boolean => missing.includes(id);
  const gone = FEATURES.filter(({ id }) => isMissing(id));
  find('missing').replaceChildren(
    ...(gone.length === 0
      ? [make('p', {}, 'Nothing is missing.')]
      : [
          make(
            'dl',
            {},
            ...gone.flatMap(({ name, without, isNeeded }) => [
              make(
                'dt',
                { class: isNeeded ? 'needed' : '' },
                name,
                isNeeded ? make('span', { class: 'badge' }, 'needed') : null,
              ),
              make('dd', {}, without),
            ]),
          ),
        ]),
  );
  const there = FEATURES.filter(({ id }) => !isMissing(id)).map(({ name }) => name);
  find('there').textContent = there.length === 0 ? '' : `There: ${there.join(', ')}.`;
}

/** Names of groups; `other` may be a browser or a network. */
const GROUP_NAMES: Readonly<Record<string, string>> = {
  ...BROWSER_NAMES,
  ...NETWORK_NAMES,
  ...CANDIDATE_NAMES,
  other: 'Others',
  unknown: 'Network not told',
};

const GROUP_TITLES = {
  all: 'All',
  browser: 'By browser',
  network: 'By network',
  candidate: 'By candidate',
} as const;

export function showSummary(summary: TestSummary | null): void {
  const box = find('summary');
  // What was known stays, and is said to be old.
  find('summary-old').hidden = summary !== null || box.dataset.shown === undefined;
  if (summary === null) return;
  const all = summary.groups.find(({ by }) => by === 'all');
  if (all === undefined) {
    box.replaceChildren(
      make('p', {}, 'Nothing yet: a page tells what it found when its first round is over.'),
    );
    return;
  }
  box.dataset.shown = '';
  const since = new Date(summary.sinceMs).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  const reports = summary.reports === 1 ? '1 report' : `${String(summary.reports)} reports`;
  box.replaceChildren(
    make('p', {}, `${reports} of all pages since ${since}. `, ...shareTexts(all)),
    make('div', { class: 'scroll' }, groupTable([all])),
    details(summary.groups.filter(({ by }) => by !== 'all')),
    ...bars(summary.groups),
  );
}

function shareTexts({ pairs, sameNetworkPairs }: TestGroup): (HTMLElement | string)[] {
  const [far, near] = [countOf(pairs), countOf(sameNetworkPairs)];
  const share = turnShare(pairs);
  const sides = (count: number): string => (count === 1 ? '1 test' : `${String(count)} tests`);
  const rest =
    near === 0 ? '' : ` Not counted here: ${sides(near)} between browsers of one network, told apart below.`;
  if (far === 0) return [`No two browsers of different networks were here yet.${rest}`];
  if (share === null)
    return [make('strong', {}, 'No browsers of different networks reached each other'), `.${rest}`];
  const needed = make('strong', {}, `${String(Math.round(share * 100))} %`);
  return [needed, ` of the ways between different networks needed TURN (${sides(far)}).${rest}`];
}

/** Drawn anew every few seconds: it stays as open as it was. */
function details(groups: readonly TestGroup[]): HTMLElement {
  const isOpen = document.querySelector('#summary details')?.hasAttribute('open') === true;
  return make(
    'details',
    isOpen ? { open: '' } : {},
    make('summary', {}, 'By browser, network and candidate'),
    make('div', { class: 'scroll' }, groupTable(groups)),
  );
}

const SUMMARY_HEAD = ['Way', 'Worked', 'Set-up', 'Ping', 'Bandwidth'] as const;

function groupTable(groups: readonly TestGroup[]): HTMLElement {
  const kinds = ['all', 'browser', 'network', 'candidate'] as const;
  return make(
    'table',
    {},
    make('thead', {}, make('tr', {}, ...SUMMARY_HEAD.map((text) => make('th', { scope: 'col' }, text)))),
    ...kinds.flatMap((kind) =>
      groups
        .filter(({ by }) => by === kind)
        .map((group, i) => groupBody(group, kind !== 'all' && i === 0 ? GROUP_TITLES[kind] : '')),
    ),
  );
}

function groupBody({ by, value, ways, sameNetworkWays }: TestGroup, title: string): HTMLElement {
  const name = by === 'all' ? GROUP_TITLES.all : (GROUP_NAMES[value] ?? value);
  const small = title === '' ? null : make('small', {}, title);
  return make(
    'tbody',
    {},
    by === 'all'
      ? null
      : make(
          'tr',
          { class: 'group' },
          make('th', { scope: 'rowgroup', colspan: SUMMARY_HEAD.length }, capital(name), small),
        ),
    ...ways.map((sums) => wayLine(WAY_NAMES[sums.way], sums)),
    ...sameNetworkWays.map((sums) => wayLine(`${WAY_NAMES[sums.way]}, same network`, sums)),
  );
}

function wayLine(name: string, { ok, failed, setupMs, pingMs, kbps }: WaySummary): HTMLElement {
  const speed = bandwidthUnit(kbps?.mean ?? 0);
  const cells = [
    { main: `${String(ok)} of ${String(ok + failed)}`, p95: '' },
    setupMs === null ? null : { ...spreadTexts(setupMs, 'ms'), p95: '' },
    pingMs === null ? null : spreadTexts(pingMs, 'ms'),
    kbps === null ? null : { ...spreadTexts(kbps, speed.unit, speed.per), p95: '' },
  ];
  return make(
    'tr',
    {},
    make('th', { scope: 'row' }, name),
    ...cells.map((texts, i) =>
      make(
        'td',
        { 'data-name': SUMMARY_HEAD[i + 1] ?? '' },
        texts?.main ?? '–',
        texts === null || texts.p95 === '' ? null : make('small', {}, texts.p95),
      ),
    ),
  );
}

function bars(groups: readonly TestGroup[]): HTMLElement[] {
  const counted = groups.filter(({ pairs, by }) => by !== 'candidate' && countOf(pairs) > 0);
  return counted.length === 0
    ? []
    : [make('h3', {}, 'Between different networks'), ...counted.map((group) => pairBar(group))];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function pairBar({ by, value, pairs }: TestGroup): HTMLElement {
  const all = countOf(pairs);
  const texts = PAIR_OUTCOMES.map((outcome) => percent(pairs[outcome], all));
  const name = by === 'all' ? GROUP_TITLES.all : (GROUP_NAMES[value] ?? value);
  return make(
    'div',
    { class: 'pairs' },
    make('span', {}, name),
    outcomeBar(pairs),
    make('small', {}, `${texts[0] ?? ''} direct, ${texts[1] ?? ''} TURN, ${texts[2] ?? ''} not at all`),
  );
}
