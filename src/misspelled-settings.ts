// Variables that look like a setting and are none: what they were to set would silently keep its default.
import type { Environment } from './setting-reader.js';
import { SETTINGS, type SettingName } from './settings.js';

/** Shorter names resemble too much that is not ours. */
const SHORTEST_LENGTH = 6;
/** Where two mistakes are still no chance: in a name of this length. */
const LONG_LENGTH = 16;

/** @returns a line for each, with the name that was probably meant */
export function misspelledSettings(env: Environment): string[] {
  const names = Object.keys(SETTINGS) as SettingName[];
  const known = new Set(
    names.flatMap((name) => ('secret' in SETTINGS[name] ? [name, `${name}_FILE`] : [name])),
  );
  const lines: string[] = [];
  for (const variable of Object.keys(env)) {
    if (known.has(variable) || variable.length < SHORTEST_LENGTH) continue;
    const meant = [...known].find((name) => isNear(variable.toUpperCase(), name));
    if (meant !== undefined) lines.push(`${variable} is no setting: ${meant} is`);
  }
  return lines;
}

function isNear(variable: string, name: string): boolean {
  if (name.length < SHORTEST_LENGTH) return false;
  const most = name.length < LONG_LENGTH ? 1 : 2;
  return Math.abs(variable.length - name.length) <= most && distance(variable, name) <= most;
}

/** Letters that are missing, too many or others, or neighbours that changed places. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const at = (from: number[], index: number): number => from[index] ?? Infinity;
      const other = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(last, j) + 1,
          at(row, j - 1) + 1,
          at(last, j - 1) + other,
          swapped ? at(before, j - 2) + 1 : Infinity,
        ),
      );
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? Infinity;
}
