// What a client does after a close: by the table where the number stands in it, by range where it does not.
import { expect, test } from '@jest/globals';
import { CODES, codeOfClose, comesBack } from '../../src/protocol/codes.js';

test('comesBack says what the table says when the table has the number', () => {
  for (const { close, then } of Object.values(CODES)) {
    if (close !== null) expect([close, comesBack(close)]).toEqual([close, then === 'resume']);
  }
});

test.each([1004, 1005, 1010, 1014, 1015, 3000, 3999, 4499])(
  'comesBack says yes when the table does not have %i',
  (number) => {
    expect(codeOfClose(number)).toBeNull();
    expect(comesBack(number)).toBe(true);
  },
);

test.each([4510, 4999])('comesBack says no when %i is of the range of those that stop', (number) => {
  expect(codeOfClose(number)).toBeNull();
  expect(comesBack(number)).toBe(false);
});
