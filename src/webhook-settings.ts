// What the application wants to be told of sessions and rooms, and where: the entry `webhooks` of PLUGINS.
import { type Target, targetOf } from './hook-target.js';
import { WEBHOOK_EVENTS, type WebhookEvent, type WebhookRules } from './session/store/webhook-queue.js';

export interface WebhookSettings {
  target: Target;
  rules: WebhookRules;
  /** How long the application may take for its answer, ms. */
  timeoutMs: number;
  /** How old an event may be that the application has not taken, s; then it is given up. */
  retryForS: number;
  /** Events of one POST. */
  batchLimitEvents: number;
}

interface NumberOption {
  byDefault: number;
  min: number;
  max: number;
}

const NUMBERS = {
  // A page that is loaded again, or a room that is left and entered again, is nobody's news.
  debounceMs: { byDefault: 1_000, min: 0, max: 60_000 },
  timeoutMs: { byDefault: 5_000, min: 100, max: 30_000 },
  // A receiver that is mended the next morning has lost nothing.
  retryForS: { byDefault: 86_400, min: 1, max: 604_800 },
  // Some 300 bytes each.
  queueLimitEvents: { byDefault: 100_000, min: 10, max: 1_000_000 },
  batchLimitEvents: { byDefault: 100, min: 1, max: 1_000 },
} as const satisfies Record<string, NumberOption>;

const NAMES = ['url', 'secret', 'events', 'rooms', ...Object.keys(NUMBERS)];

/** @throws TypeError that says which option is wrong */
export function webhookSettingsOf(options: unknown): WebhookSettings {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError('options must have url and secret');
  const given = options as Record<string, unknown>;
  const unknown = Object.keys(given).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new TypeError(`options.${unknown} is none: there are ${NAMES.join(', ')}`);
  const target = targetOf(given);
  const { username, password } = new URL(target.url);
  // Node would send it as a header, and a log would show it.
  if (username !== '' || password !== '') throw new TypeError('options.url must not hold a password');
  return {
    target,
    rules: {
      debounceMs: numberOf(given, 'debounceMs'),
      queueLimitEvents: numberOf(given, 'queueLimitEvents'),
      events: eventsOf(given.events),
      rooms: roomsOf(given.rooms),
    },
    timeoutMs: numberOf(given, 'timeoutMs'),
    retryForS: numberOf(given, 'retryForS'),
    batchLimitEvents: numberOf(given, 'batchLimitEvents'),
  };
}

function numberOf(given: Record<string, unknown>, name: keyof typeof NUMBERS): number {
  const { byDefault, min, max } = NUMBERS[name];
  const value = given[name] ?? byDefault;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw new TypeError(`options.${name} must be a whole number from ${String(min)} to ${String(max)}`);
  return value;
}

function eventsOf(value: unknown = WEBHOOK_EVENTS): WebhookEvent['type'][] {
  const isEvent = (name: unknown): name is WebhookEvent['type'] =>
    WEBHOOK_EVENTS.some((event) => event === name);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isEvent))
    throw new TypeError(`options.events must be a list of ${WEBHOOK_EVENTS.join(', ')}`);
  return value;
}

function roomsOf(value: unknown = null): string[] | null {
  if (value === null) return null;
  const isRule = (rule: unknown): rule is string =>
    typeof rule === 'string' && /^[A-Za-z0-9._~@:/+-]{0,128}\*?$/.test(rule) && rule !== '';
  if (!Array.isArray(value) || value.length > 100 || !value.every(isRule))
    throw new TypeError(
      'options.rooms must be a list of at most 100 names, or beginnings of names with * behind',
    );
  return value;
}
