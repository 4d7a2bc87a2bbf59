// Which plugins a worker loads, in which order, with what options: the setting PLUGINS.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SettingReader } from './setting-reader.js';
import { type WebhookSettings, webhookSettingsOf } from './webhook-settings.js';

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

/** All plugins: those that each worker loads, in their order, and the one that runs beside the primary. */
export interface PluginSettings {
  plugins: PluginEntry[];
  /** Null where there are none. */
  webhooks: WebhookSettings | null;
}

/** Not loaded by workers: it must outlive them. */
const WEBHOOKS = 'webhooks';
/** Plugins that ship with the gateway. */
export const SHIPPED_PLUGINS = ['audit-log', 'authorize', 'greeting-bot', WEBHOOKS] as const;

/** Each is asked about every frame. */
const PLUGINS_LIMIT = 16;
const TIMEOUT_MS = 1_000;
const TIMEOUT_LIMIT_MS = 10_000;

export function readPlugins(read: SettingReader): PluginSettings {
  const settings: PluginSettings = { plugins: [], webhooks: null };
  const text = read.text('PLUGINS');
  if (text === null) return settings;
  const list = parse(text);
  if (!Array.isArray(list) || list.length > PLUGINS_LIMIT) {
    read.wrong('PLUGINS', `must be a JSON array of at most ${String(PLUGINS_LIMIT)} modules`);
    return settings;
  }
  for (const value of list as unknown[]) {
    const entry = entryOf(value);
    if (typeof entry === 'string') read.wrong('PLUGINS', entry);
    else if (entry.name === WEBHOOKS) readWebhooks(read, settings, entry, value);
    else settings.plugins.push(entry);
  }
  return settings;
}

function readWebhooks(
  read: SettingReader,
  settings: PluginSettings,
  entry: PluginEntry,
  value: unknown,
): void {
  if (settings.webhooks !== null)
    read.wrong('PLUGINS', 'has webhooks twice: one application can pass them on');
  // Nobody waits for a verdict of it.
  if (typeof value === 'object' && value !== null && 'timeoutMs' in value)
    read.wrong('PLUGINS', 'has a timeoutMs for webhooks, where options.timeoutMs is meant');
  try {
    settings.webhooks = webhookSettingsOf(entry.options);
  } catch (error) {
    read.wrong('PLUGINS', `has webhooks that cannot be: ${error instanceof Error ? error.message : ''}`);
  }
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
