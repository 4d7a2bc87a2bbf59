// Requests that wait: each ends once, by who was asked, by time, or with the one who asked.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, WorkerId } from '../../src/protocol/ids.js';
import { PendingRequests } from '../../src/relay/pending-requests.js';
import { Refusals } from '../../src/session/refusals.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { createReceiver, sessionId } from './receiver.js';

const worker = 'node-a.1' as WorkerId;
const request = () => ({
  address: { client: 'bob' as ClientId, session: null },
  body: Buffer.from('question'),
  retried: false,
});
const answer = (handle: string, from: string) => ({
  kind: 'response' as const,
  handle,
  session: sessionId(from),
  code: '' as const,
  text: '',
  body: Buffer.from([2, ...Buffer.from('42')]),
});

describe('a waiting request', () => {
  let now: number;
  let wheel: TimerWheel;
  let pending: PendingRequests;
  let refused: string[];
  let asker: ReturnType<typeof createReceiver>;
  beforeEach(() => {
    now = 0;
    wheel = new TimerWheel(() => now);
    refused = [];
    pending = new PendingRequests(worker, wheel, new Refusals(60, (code) => refused.push(code)));
    asker = createReceiver('alice');
  });
  afterEach(() => wheel.close());
  const pass = (ms: number) => {
    now += ms;
    wheel.advance();
  };
  const ask = (ref: number) => {
    const handle = pending.open(asker.session, ref, 1000, request());
    pending.expectFrom(handle, sessionId('bob'));
    return handle;
  };

  test('is settled by the session that was asked, once, and times out no more', () => {
    const handle = ask(7);
    expect(PendingRequests.workerOf(handle)).toBe(worker);
    expect(asker.session.pendingRequests).toBe(1);
    expect(asker.session.pendingRequestBytes).toBe(8);
    pending.settle(answer(handle, 'bob'));
    pending.settle(answer(handle, 'bob'));
    pass(5000);
    expect(asker.frames).toMatchObject([{ type: 'response', ref: 7 }]);
    expect(asker.session.pendingRequests).toBe(0);
    expect(asker.session.pendingRequestBytes).toBe(0);
  });

  test('takes no answer from anybody else, nor one to a handle that nobody opened', () => {
    const handle = ask(7);
    const unasked = pending.open(asker.session, 8, 1000, request());
    pending.settle(answer(handle, 'mallory'));
    pending.settle(answer(unasked, 'bob'));
    pending.settle(answer('node-a.1!999', 'bob'));
    expect(asker.frames).toEqual([]);
    expect(asker.session.pendingRequests).toBe(2);
  });

  test.each([
    ['the code of a refusal', { code: 'unavailable', text: 'later', body: Buffer.alloc(0) }, 'unavailable'],
    ['rejected when an answer has not even an encoding', { body: Buffer.alloc(0) }, 'rejected'],
  ])('ends with %s', (_, change, code) => {
    const handle = ask(7);
    pending.settle({ ...answer(handle, 'bob'), ...change } as ReturnType<typeof answer>);
    expect(asker.frames).toMatchObject([{ type: 'error', ref: 7, code }]);
    // Not the gateway's refusal: whoever was asked cannot draw from the asker's budget.
    expect(refused).toEqual([]);
  });

  test('is refused when its time is over, and hears no late answer', () => {
    const handle = ask(7);
    pass(1000);
    expect(asker.frames).toEqual([]);
    pass(200);
    pending.settle(answer(handle, 'bob'));
    expect(asker.frames).toMatchObject([{ type: 'error', ref: 7, code: 'timeout' }]);
    expect(refused).toEqual(['timeout']);
    expect(asker.session.pendingRequests).toBe(0);
  });

  test('is retried once', () => {
    const handle = ask(7);
    expect(pending.retry(handle)).toMatchObject({ body: Buffer.from('question') });
    expect(pending.retry(handle)).toBe('retried');
    pending.refuse(handle, 'unavailable', '');
    expect(pending.retry(handle)).toBe('unknown');
    expect(asker.frames).toMatchObject([{ type: 'error', ref: 7, code: 'unavailable' }]);
  });

  test('is dropped without a word when the one who asked is gone, and others stay', () => {
    const other = createReceiver('carol');
    const stays = pending.open(other.session, 9, 1000, request());
    pending.expectFrom(stays, sessionId('bob'));
    const handles = [ask(7), ask(8)];
    pending.dropOf(asker.session);
    expect(asker.session.pendingRequests).toBe(0);
    for (const handle of [...handles, stays]) pending.settle(answer(handle, 'bob'));
    pass(5000);
    expect(asker.frames).toEqual([]);
    expect(other.frames).toMatchObject([{ type: 'response', ref: 9 }]);
  });

  test('names its worker in the handle, and whatever is no handle names none', () => {
    for (const text of ['', '!', '!1', 'node!1', 'node.x!1', '../x.1!1', 'node.1', 'node.1 !1'])
      expect(PendingRequests.workerOf(text)).toBeNull();
  });
});
