// Handles say who waits for an answer and what for; whatever is none says nobody.
import { expect, test } from '@jest/globals';
import type { WorkerId } from '../../src/protocol/ids.js';
import { kindOf, makeHandle, workerOf } from '../../src/relay/handles.js';

test('a handle names its worker and its kind', () => {
  for (const kind of ['request', 'call', 'pair', 'move'] as const) {
    const handle = makeHandle('node-1.2' as WorkerId, kind, 12);
    expect([workerOf(handle), kindOf(handle)]).toEqual(['node-1.2', kind]);
  }
});

test('what is no handle names no worker', () => {
  for (const text of ['', '!', '!1', 'node!1', 'node.x!1', '../x.1!1', 'node.1', 'node.1 !1'])
    expect(workerOf(text)).toBeNull();
});
