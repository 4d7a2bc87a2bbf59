// A result as a link: all of it is in the part of the address that browsers never send, so nothing is stored and nothing expires.
import {
  PAIR_OUTCOMES,
  type Spread,
  TEST_BROWSERS,
  TEST_CANDIDATES,
  TEST_NETWORKS,
  TEST_PLATFORMS,
  TEST_WAYS,
  type TestPair,
} from '../protocol/test-report.js';
import type { RowStatus, RowView } from './board.js';
import { field } from './candidate-pair.js';
import { FEATURES } from './features.js';
import type { About } from './neighbours.js';
import type { Evidence, Reach } from './verdict.js';

export type AboutView = Pick<About, 'browser' | 'platform' | 'network'>;

export interface SectionView {
  /** Null: the server. */
  peer: (AboutView & { sameNetwork: boolean }) | null;
  rows: RowView[];
}

/** What is shared: figures and words of fixed lists, no address, no id, and no text that somebody could make up. */
export interface Snapshot {
  /** Wall clock, ms. */
  at: number;
  about: AboutView;
  missing: string[];
  evidence: Evidence;
  sections: SectionView[];
}

const PREFIX = '#r=';
/** A link that chat programs still take whole. */
const TEXT_LIMIT = 24_000;
const SECTIONS_LIMIT = 12;
const ROWS_LIMIT = 6;
/** Round trips of each row that go along, for its plot. */
const PINGS_LIMIT = 20;
/** Of times and bandwidths; more than was ever measured. */
const FIGURE_LIMIT = 1e12;
const STATUSES: readonly RowStatus[] = ['waiting', 'running', 'ok', 'failed', 'off'];
const REACHES: readonly Reach[] = ['ok', 'failed', 'unknown'];

/** What is on the page now, without names of pages and what else is nobody's business. */
export function takeSnapshot(
  shown: Omit<Snapshot, 'at' | 'missing'> & { missing: readonly string[] },
): Snapshot {
  const viewOf = ({ browser, platform, network }: AboutView): AboutView => ({ browser, platform, network });
  return {
    at: Date.now(),
    about: viewOf(shown.about),
    missing: [...shown.missing],
    evidence: shown.evidence,
    sections: shown.sections.map(({ peer, rows }) => ({
      peer: peer === null ? null : { ...viewOf(peer), sameNetwork: peer.sameNetwork },
      rows,
    })),
  };
}

export function linkOf(snapshot: Snapshot, page: string): string {
  const short: Snapshot = {
    ...snapshot,
    evidence: { ...snapshot.evidence, pairs: snapshot.evidence.pairs.slice(0, SECTIONS_LIMIT) },
    sections: snapshot.sections.slice(0, SECTIONS_LIMIT).map(({ peer, rows }) => ({
      peer,
      // Notes are texts of the browser's; whether it failed is enough.
      rows: rows.map((row) => ({ ...row, note: '', pings: row.pings.slice(-PINGS_LIMIT).map(rounded) })),
    })),
  };
  const text = JSON.stringify(short, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? rounded(value) : value,
  );
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return `${page}${PREFIX}${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
}

/** Null where the hash is no result, or none that this page could have made. */
export function snapshotOf(hash: string): Snapshot | null {
  if (!hash.startsWith(PREFIX) || hash.length > TEXT_LIMIT * 2) return null;
  try {
    const base64 = hash.slice(PREFIX.length).replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

class Wrong extends Error {}

function parse(value: unknown): Snapshot {
  const known = new Set(FEATURES.map(({ id }) => id));
  return {
    at: figure(value, 'at', 8.64e15),
    about: aboutOf(field(value, 'about')),
    missing: list(value, 'missing', FEATURES.length).map((id) => {
      if (typeof id !== 'string' || !known.has(id)) throw new Wrong();
      return id;
    }),
    evidence: evidenceOf(field(value, 'evidence')),
    sections: list(value, 'sections', SECTIONS_LIMIT).map((section) => {
      const peer = field(section, 'peer');
      return {
        peer: peer === null ? null : { ...aboutOf(peer), sameNetwork: flag(peer, 'sameNetwork') },
        rows: list(section, 'rows', ROWS_LIMIT).map(rowOf),
      };
    }),
  };
}

function aboutOf(value: unknown): AboutView {
  return {
    browser: choice(value, 'browser', TEST_BROWSERS),
    platform: choice(value, 'platform', TEST_PLATFORMS),
    network: choice(value, 'network', TEST_NETWORKS),
  };
}

function evidenceOf(value: unknown): Evidence {
  const [found, servers] = [field(value, 'found'), field(value, 'servers')];
  const isConnected = field(value, 'isConnected');
  return {
    hasWebRTC: flag(value, 'hasWebRTC'),
    isSecure: flag(value, 'isSecure'),
    isConnected: typeof isConnected === 'boolean' ? isConnected : null,
    // Links of before have it not.
    isRefused: field(value, 'isRefused') === true,
    websocket: choice(value, 'websocket', REACHES),
    sse: choice(value, 'sse', REACHES),
    found:
      found === null
        ? null
        : { host: flag(found, 'host'), srflx: flag(found, 'srflx'), relay: flag(found, 'relay') },
    servers: { stun: flag(servers, 'stun'), turn: flag(servers, 'turn') },
    pairs: list(value, 'pairs', SECTIONS_LIMIT).map((pair): TestPair => ({
      outcome: choice(pair, 'outcome', PAIR_OUTCOMES),
      sameNetwork: flag(pair, 'sameNetwork'),
    })),
  };
}

function rowOf(value: unknown): RowView {
  return {
    way: choice(value, 'way', TEST_WAYS),
    status: choice(value, 'status', STATUSES),
    note: '',
    candidate: choice(value, 'candidate', TEST_CANDIDATES),
    setup: spreadOf(field(value, 'setup')),
    ping: spreadOf(field(value, 'ping')),
    bandwidth: spreadOf(field(value, 'bandwidth')),
    pings: list(value, 'pings', PINGS_LIMIT).map((ping) => {
      if (typeof ping !== 'number' || !(ping >= 0 && ping <= FIGURE_LIMIT)) throw new Wrong();
      return ping;
    }),
  };
}

function spreadOf(value: unknown): Spread | null {
  if (value === null) return null;
  return {
    count: figure(value, 'count', 1e9),
    mean: figure(value, 'mean', FIGURE_LIMIT),
    sd: field(value, 'sd') === null ? null : figure(value, 'sd', FIGURE_LIMIT),
    p95: figure(value, 'p95', FIGURE_LIMIT),
  };
}

function choice<Value extends string>(value: unknown, name: string, values: readonly Value[]): Value {
  const found = values.find((known) => known === field(value, name));
  if (found === undefined) throw new Wrong();
  return found;
}

function flag(value: unknown, name: string): boolean {
  const found = field(value, name);
  if (typeof found !== 'boolean') throw new Wrong();
  return found;
}

function figure(value: unknown, name: string, limit: number): number {
  const found = field(value, name);
  if (typeof found !== 'number' || !(found >= 0 && found <= limit)) throw new Wrong();
  return found;
}

function list(value: unknown, name: string, limit: number): unknown[] {
  const found = field(value, name);
  if (!Array.isArray(found) || found.length > limit) throw new Wrong();
  return found as unknown[];
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
