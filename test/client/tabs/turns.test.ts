// Turns that a browser stops in the middle.
import { expect, test } from '@jest/globals';
import { Turns } from '../../../src/client/tabs/turns.js';

test('a turn runs when those before it have ended', () => {
  const ran: string[] = [];
  const turns = new Turns(() => ran.push('broken'));
  turns.run(() => ran.push('one'));
  turns.run(() => ran.push('two'));
  expect(ran).toEqual(['one', 'two']);
});

test('no turn runs behind one that did not end, and it is told', () => {
  const ran: string[] = [];
  const turns = new Turns(() => ran.push('broken'));
  // As near as a script can come to being stopped.
  expect(() => {
    turns.run(() => {
      throw new Error('stopped');
    });
  }).toThrow('stopped');
  turns.run(() => ran.push('two'));
  turns.run(() => ran.push('three'));
  expect(ran).toEqual(['broken', 'broken']);
});
