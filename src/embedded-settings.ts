// Settings as a program gives them: the names of the environment's, with values of their own types.
import { type Config, ConfigError, parseConfig } from './config.js';
import { misspelledSettings } from './misspelled-settings.js';
import { SETTINGS, type SettingName } from './settings.js';

type Secret = {
  [Name in SettingName]: (typeof SETTINGS)[Name] extends { secret: true } ? Name : never;
}[SettingName];

/**
 * Numbers may be numbers, `0 or 1` may be booleans, lists may be arrays, JSON may be what it stands for. Nothing is read from the
 * environment.
 */
export type GatewaySettings = {
  readonly [Name in SettingName | `${Secret}_FILE`]?: SettingValue | undefined;
};
/** Numbers may be numbers, 0 or 1 a boolean, lists arrays, JSON the value itself. */
export type SettingValue = string | number | boolean | readonly unknown[] | Readonly<Record<string, unknown>>;

/** @throws ConfigError with every mistake, names that are no settings included */
export function embeddedConfig(settings: GatewaySettings): Config {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings))
    if (value !== undefined) env[name] = textOf(name, value);
  const mistakes = unknownNames(env);
  try {
    const config = parseConfig(env);
    if (mistakes.length === 0) return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    mistakes.push(...error.mistakes);
  }
  throw new ConfigError(mistakes);
}

function textOf(name: string, value: SettingValue): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  const isList = !(name in SETTINGS && SETTINGS[name as SettingName].unit === 'JSON');
  if (isList && Array.isArray(value) && value.every((entry) => typeof entry === 'string'))
    return value.join(',');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Of an environment most names are none of ours; here each is meant. */
function unknownNames(env: Record<string, string>): string[] {
  const suggested = misspelledSettings(env);
  return Object.keys(env)
    .filter((name) => !isSetting(name))
    .map((name) => suggested.find((line) => line.startsWith(`${name} `)) ?? `${name} is no setting`);
}

function isSetting(name: string): boolean {
  const own = name.replace(/_FILE$/, '');
  return (
    Object.hasOwn(SETTINGS, name) ||
    (Object.hasOwn(SETTINGS, own) && 'secret' in SETTINGS[own as SettingName])
  );
}
