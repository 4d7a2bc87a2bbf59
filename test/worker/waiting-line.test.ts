// Hellos that wait for a place: order, bounds, and what happens where nothing is answered.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { TimerWheel } from '../../src/session/wheel.js';
import { WaitingLine } from '../../src/worker/waiting-line.js';

const PLACES = 2;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('enter', () => {
  let now: number;
  let wheel: TimerWheel;
  let line: WaitingLine;
  let events: string[];
  let finish: Map<string, () => void>;

  beforeEach(() => {
    now = 0;
    wheel = new TimerWheel(() => now);
    line = new WaitingLine(PLACES, wheel);
    events = [];
    finish = new Map();
  });

  afterEach(() => {
    wheel.close();
  });

  function come(...names: string[]): void {
    for (const name of names) {
      line.enter({
        begin: () => {
          events.push(`begin ${name}`);
          return new Promise((resolve) => finish.set(name, resolve));
        },
        refuse: () => {
          events.push(`refuse ${name}`);
        },
      });
    }
  }

  async function end(name: string): Promise<void> {
    finish.get(name)?.();
    await settled();
  }

  test('begins at once when there is a place', () => {
    come('a', 'b');
    expect(events).toEqual(['begin a', 'begin b']);
    expect(line.isFull).toBe(true);
  });

  test('begins in order, one for each that is finished, when there was no place', async () => {
    come('a', 'b', 'c', 'd');
    expect(events).toHaveLength(2);
    await end('b');
    expect(events.at(-1)).toBe('begin c');
    await end('a');
    expect(events.at(-1)).toBe('begin d');
    await end('c');
    await end('d');
    expect([line.taken, line.length, line.isFull]).toEqual([0, 0, false]);
  });

  test('refuses who has waited too long, and does not begin it later', async () => {
    come('a', 'b', 'c');
    now = 900;
    wheel.advance();
    come('d');
    expect(events).toEqual(['begin a', 'begin b']);
    now = 1_200;
    wheel.advance();
    expect(events.slice(2)).toEqual(['refuse c']);
    await end('a');
    expect(events.slice(3)).toEqual(['begin d']);
    // Its time to wait is over with its turn.
    now = 10_000;
    wheel.advance();
    expect(events).toHaveLength(4);
  });

  test('refuses one more than may wait', () => {
    come('a', 'b', ...Array.from({ length: 8 * PLACES }, (_, i) => `w${String(i)}`));
    expect(events).toHaveLength(2);
    come('x');
    expect(events.slice(2)).toEqual(['refuse x']);
  });
});
