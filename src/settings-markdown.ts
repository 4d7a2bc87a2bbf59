// The settings as the tables of docs/configuration.md, which a test holds equal to this.
import { SETTINGS, type SettingName } from './settings.js';

const SECTIONS: Record<string, SettingName> = {
  'Where it listens': 'PORT',
  Processes: 'WORKERS',
  Tokens: 'JWT_SECRET',
  Sessions: 'DUPLICATE_CLIENT',
  Limits: 'FRAME_LIMIT_BYTES',
  Store: 'REDIS_URL',
  WebRTC: 'ICE_SERVERS',
};

/** One table per section; a section begins with the setting that SECTIONS names. */
export function settingsMarkdown(): string {
  const titles = new Map(Object.entries(SECTIONS).map(([title, first]) => [first, title]));
  let text = '';
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const title = titles.get(name);
    if (title !== undefined)
      text += `${text === '' ? '' : '\n'}### ${title}\n\n| variable | default | unit | what and why |\n|---|---|---|---|\n`;
    const setting = SETTINGS[name];
    const names = 'secret' in setting ? `\`${name}\` or \`${name}_FILE\`` : `\`${name}\``;
    text += `| ${names} | ${setting.default === null ? '–' : `\`${setting.default}\``} | ${setting.unit} | ${setting.text} |\n`;
  }
  return text;
}
