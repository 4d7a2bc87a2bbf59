// Names that somebody meant as settings.
import { describe, expect, test } from '@jest/globals';
import { misspelledSettings } from '../src/misspelled-settings.js';
import { SETTINGS } from '../src/settings.js';

describe('misspelledSettings', () => {
  test.each([
    ['WORKER', 'WORKERS'],
    ['WOKRERS', 'WORKERS'],
    ['workers', 'WORKERS'],
    ['REDIS_URI', 'REDIS_URL'],
    ['ORIGIN', 'ORIGINS'],
    ['JWT_SECRETFILE', 'JWT_SECRET_FILE'],
    ['MESSAGE_PER_SECONDS_LIMIT', 'MESSAGES_PER_SECOND_LIMIT'],
  ])('names for %s what was meant', (variable, name) => {
    expect(misspelledSettings({ [variable]: '4' })).toEqual([`${variable} is no setting: ${name} is`]);
  });

  test.each([
    'PATH',
    'HOSTS',
    'HOSTNAME',
    'REDIS_HOST',
    'LOGNAME',
    'SIGNALBOX_PORT',
    'NODE_ENV',
    'SSL_CERT_FILE',
  ])('leaves %s alone', (variable) => {
    expect(misspelledSettings({ [variable]: 'x' })).toEqual([]);
  });

  test('takes no setting for another', () => {
    const all = Object.entries(SETTINGS).flatMap(([name, setting]) =>
      'secret' in setting ? [name, `${name}_FILE`] : [name],
    );
    expect(misspelledSettings(Object.fromEntries(all.map((name) => [name, '1'])))).toEqual([]);
  });
});
