// Which plugins a worker loads, in which order, with what options: the setting PLUGINS.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SettingReader } from './setting-reader.js';

export interface PluginEntry {
  /** For logs and metrics: what PLUGINS says. */
  readonly name: string;
  /** Path of a file; null for one that ships with the gateway. */
  readonly file: string | null;
  /** Whatever the plugin takes. */
  readonly options: unknown;
  /** How long a verdict of it may take, ms. */
  readonly timeoutMs: number;
}

/** Plugins that ship with the gateway. */
export const SHIPPED_PLUGINS = ['audit-log', 'authorize', 'greeting-bot'] as const;

/** Each is asked about every frame. */
const PLUGINS_LIMIT = 16;
const TIMEOUT_MS = 1_000;
const TIMEOUT_LIMIT_MS = 10_000;

export function readPlugins(read: SettingReader): PluginEntry[] {
  const text = read.text('PLUGINS');
  if (text === null) return [];
  const list = parse(text);
  if (!Array.isArray(list) || list.length > PLUGINS_LIMIT) {
    read.wrong('PLUGINS', `must be a JSON array of at most ${String(PLUGINS_LIMIT)} modules`);
    return [];
  }
  return list.flatMap((value: unknown) => {
    const entry = entryOf(value);
    if (typeof entry !== 'string') return [entry];
    read.wrong('PLUGINS', entry);
    return [];
  });
}

/** Or what is wrong with it. */
function entryOf(value: unknown): PluginEntry | string {
  const given = typeof value === 'string' ? { module: value } : value;
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return 'holds something that is neither a module nor { "module", "options", "timeoutMs" }';
  const unknown = Object.keys(given).find((key) => !['module', 'options', 'timeoutMs'].includes(key));
  if (unknown !== undefined)
    return `holds ${JSON.stringify(unknown)}: there are module, options and timeoutMs`;
  const { module, options = {}, timeoutMs = TIMEOUT_MS } = given as Record<string, unknown>;
  if (typeof module !== 'string' || module === '') return 'holds an entry without a module';
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 1 && timeoutMs <= TIMEOUT_LIMIT_MS))
    return `has a timeoutMs for ${JSON.stringify(module)} that is not from 1 to ${String(TIMEOUT_LIMIT_MS)}`;
  const isPath = /^\.{0,2}\//.test(module);
  if (!isPath && !SHIPPED_PLUGINS.some((shipped) => shipped === module))
    return `names ${JSON.stringify(module)}: a path (./, ../ or /) or one of ${SHIPPED_PLUGINS.join(', ')} is wanted`;
  const file = isPath ? resolve(module) : null;
  if (file !== null && !existsSync(file))
    return `names the file ${JSON.stringify(module)}, which is not there`;
  return { name: module, file, options, timeoutMs };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
