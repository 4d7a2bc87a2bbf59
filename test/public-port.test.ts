// Which port workers ask for where the system chose it.
import { describe, expect, test } from '@jest/globals';
import { PublicPort } from '../src/public-port.js';

describe('PORT=0', () => {
  test('is asked for by 0 while workers share what the first of them was given', () => {
    const port = new PublicPort(0);
    expect([port.number, port.asked]).toEqual([0, 0]);
    expect(port.opened(4711)).toBe(true);
    expect(port.opened(4711)).toBe(true);
    expect([port.number, port.asked]).toEqual([4711, 0]);
  });

  test('is asked for by its number once no worker is left that listened', () => {
    const port = new PublicPort(0);
    // None has listened yet: there is nothing to keep.
    expect(port.closed()).toBe(false);
    port.opened(4711);
    expect(port.closed()).toBe(true);
    expect(port.asked).toBe(4711);
    expect(port.closed()).toBe(false);
  });

  test('stays what it was when a worker comes to another one', () => {
    const port = new PublicPort(0);
    port.opened(4711);
    expect(port.opened(4712)).toBe(false);
    expect([port.number, port.asked]).toEqual([4711, 4711]);
  });
});

test('a PORT that is set is asked for as it is, whatever happens', () => {
  const port = new PublicPort(8080);
  expect([port.asked, port.closed()]).toEqual([8080, false]);
  port.opened(8080);
  expect([port.asked, port.closed(), port.asked]).toEqual([8080, false, 8080]);
});
