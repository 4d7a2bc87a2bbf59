// Reads single settings of the table from an environment, and collects what is wrong with them.
import { readFileSync } from 'node:fs';
import { SETTINGS, type SettingName } from './settings.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export class SettingReader {
  readonly mistakes: string[] = [];

  constructor(private readonly env: Environment) {}

  text(name: SettingName): string | null {
    const setting = SETTINGS[name];
    const own = this.env[name];
    const file = 'secret' in setting ? this.env[`${name}_FILE`] : undefined;
    if (own !== undefined && own !== '' && file !== undefined) {
      this.wrong(name, `and ${name}_FILE are both set: choose one`);
    }
    if (file !== undefined && file !== '') {
      const content = this.file(`${name}_FILE`, file);
      return content === null ? null : content.trim();
    }
    if ('notEmpty' in setting && (own === '' || file === '')) {
      this.wrong(
        own === '' ? name : `${name}_FILE`,
        'is empty, which would switch a check off: set it or leave it out',
      );
    }
    return own === undefined || own === '' ? setting.default : own;
  }

  number(name: SettingName): number {
    const setting = SETTINGS[name];
    const text = this.text(name);
    const { min, max } = 'min' in setting ? setting : { min: 0, max: Number.MAX_SAFE_INTEGER };
    const value = text !== null && /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    this.wrong(
      name,
      `is ${JSON.stringify(text)}: a whole number from ${String(min)} to ${String(max)} is wanted`,
    );
    // So that one mistake does not look like several: other settings are compared with this one.
    return Number(setting.default ?? min);
  }

  optionalNumber(name: SettingName): number | null {
    return this.text(name) === null ? null : this.number(name);
  }

  choice<Value extends string>(name: SettingName, values: readonly [Value, ...Value[]]): Value {
    const text = this.text(name);
    const value = values.find((known) => known === text);
    if (value !== undefined) return value;
    this.wrong(name, `is ${JSON.stringify(text)}: one of ${values.join(', ')} is wanted`);
    return values[0];
  }

  list(name: SettingName): string[] {
    return (this.text(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }

  /** Content of a file that a setting names. */
  file(name: string, path: string): string | null {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const reason =
        typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unreadable';
      this.wrong(name, `names the file ${JSON.stringify(path)}, which cannot be read (${reason})`);
      return null;
    }
  }

  wrong(name: string, text: string): void {
    const line = `${name} ${text}`;
    // A setting that two parts need is read twice; its mistake is one.
    if (!this.mistakes.includes(line)) this.mistakes.push(line);
  }
}
