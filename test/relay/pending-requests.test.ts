// Requests that wait: each ends once, by who was asked or by time, whether or not the asker is connected.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, WorkerId } from '../../src/protocol/ids.js';
import { workerOf } from '../../src/relay/handles.js';
import { type Answer, PendingRequests } from '../../src/relay/pending-requests.js';
import { WaitingCounts } from '../../src/relay/waiting-counts.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { sessionId } from './receiver.js';

const worker = 'node-a.1' as WorkerId;
const request = () => ({
  address: { client: 'bob' as ClientId, session: null },
  body: Buffer.from('question'),
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
  let counts: WaitingCounts;
  let answers: ({ session: string; ref: number } & Answer)[];
  beforeEach(() => {
    now = 0;
    wheel = new TimerWheel(() => now);
    answers = [];
    counts = new WaitingCounts();
    pending = new PendingRequests(
      worker,
      wheel,
      ({ asker, ref }, answered) => {
        answers.push({ session: asker.session, ref, ...answered });
      },
      counts,
    );
  });
  afterEach(() => wheel.close());
  const pass = (ms: number) => {
    now += ms;
    wheel.advance();
  };
  const asked = (ref: number, by = 'alice') => ({
    asker: { client: by as ClientId, session: sessionId(by) },
    ref,
  });
  const waiting = () => counts.of(sessionId('alice')).requests;
  const ask = (ref: number, by = 'alice') => {
    const handle = pending.open(asked(ref, by), 1000, request());
    pending.expectFrom(handle, sessionId('bob'));
    return handle;
  };

  test('is settled by the session that was asked, once, and times out no more', () => {
    const handle = ask(7);
    expect(workerOf(handle)).toBe(worker);
    expect(waiting()).toBe(1);
    pending.settle(answer(handle, 'bob'));
    pending.settle(answer(handle, 'bob'));
    pass(5000);
    expect(answers).toMatchObject([{ ref: 7, payload: { encoding: 2, data: Buffer.from('42') } }]);
    expect(waiting()).toBe(0);
  });

  test('takes no answer from anybody else, nor one to a handle that nobody opened', () => {
    const handle = ask(7);
    const unasked = pending.open(asked(8), 1000, request());
    pending.settle(answer(handle, 'mallory'));
    pending.settle(answer(unasked, 'bob'));
    pending.settle(answer('node-a.1!999', 'bob'));
    expect(answers).toEqual([]);
    expect(waiting()).toBe(2);
  });

  test.each([
    ['the code of a refusal', { code: 'unavailable', text: 'later', body: Buffer.alloc(0) }, 'unavailable'],
    ['rejected when an answer has not even an encoding', { body: Buffer.alloc(0) }, 'rejected'],
  ])('ends with %s', (_, change, code) => {
    const handle = ask(7);
    pending.settle({ ...answer(handle, 'bob'), ...change } as ReturnType<typeof answer>);
    // Not the gateway's refusal: whoever was asked cannot draw from the asker's budget.
    expect(answers).toMatchObject([{ ref: 7, code, byGateway: false }]);
  });

  test('is refused when its time is over, and hears no late answer', () => {
    const handle = ask(7);
    pass(1000);
    expect(answers).toEqual([]);
    pass(200);
    pending.settle(answer(handle, 'bob'));
    expect(answers).toMatchObject([{ ref: 7, code: 'timeout' }]);
    expect(waiting()).toBe(0);
  });

  test('is retried once', () => {
    const handle = ask(7);
    expect(pending.retry(handle)).toMatchObject({ body: Buffer.from('question') });
    expect(pending.retry(handle)).toBe('retried');
    pending.refuse(handle, 'unavailable', '');
    expect(pending.retry(handle)).toBe('unknown');
    expect(answers).toMatchObject([{ ref: 7, code: 'unavailable' }]);
  });

  test('is counted for who asked, and for nobody else', () => {
    const handles = [ask(7), ask(8)];
    ask(9, 'carol');
    expect(waiting()).toBe(2);
    for (const handle of handles) pending.settle(answer(handle, 'bob'));
    expect(counts.of(sessionId('alice'))).toEqual({ requests: 0, bytes: 0 });
    expect(counts.of(sessionId('carol'))).toEqual({ requests: 1, bytes: 8 });
  });
});
