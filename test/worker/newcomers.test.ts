// Connections of whom a hello is expected: until they speak, go, or have been silent for too long.
import { beforeEach, expect, test } from '@jest/globals';
import { Newcomers } from '../../src/worker/newcomers.js';

let now: number;
let newcomers: Newcomers;

beforeEach(() => {
  now = 0;
  newcomers = new Newcomers(() => now);
});

test('counts a connection from when it was let in until it has left', () => {
  const [one, another] = [{}, {}];
  newcomers.enter(one);
  newcomers.enter(another);
  expect(newcomers.size).toBe(2);
  newcomers.leave(one);
  newcomers.leave(one);
  expect(newcomers.size).toBe(1);
});

test('forgets who has said nothing for a second, and only those', () => {
  newcomers.enter({});
  now = 600;
  newcomers.enter({});
  now = 999;
  expect(newcomers.size).toBe(2);
  now = 1000;
  expect(newcomers.size).toBe(1);
  now = 1600;
  expect(newcomers.size).toBe(0);
});
