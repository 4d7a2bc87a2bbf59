// Calls while the connection comes and goes: the queue, its limits, aborts, and what becomes of calls in flight.
import { describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/client.js';
import { codeOf, EAGER, ManualEnvironment, TOKEN, until, useScriptedGateways } from './fixture.js';
import { OTHER_SESSION, textOf } from './scripted-gateway.js';

const { gateway, client, pair } = useScriptedGateways();

function ignore(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

describe('the offline queue', () => {
  test('writes what was called before the connection, in order', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    for (let i = 0; i < 20; i++) ignore(made.send('bob', 'n', i));
    ignore(made.room('lobby').join());
    ignore(made.connect());
    const peer = await opened.accept();
    await peer.welcome();
    for (let i = 0; i < 20; i++) expect(textOf((await peer.next('send')).payload)).toBe(i);
    await peer.next('join');
  });

  test('rejects with queue_full beyond its calls, and takes new ones after a withdrawal', async () => {
    const made = client('ws://127.0.0.1:1', { offlineQueueLimitMessages: 2 });
    const controller = new AbortController();
    const first = codeOf(made.send('bob', 'a', 1, { signal: controller.signal }));
    ignore(made.send('bob', 'a', 2));
    expect(await codeOf(made.send('bob', 'a', 3))).toBe('queue_full');
    controller.abort();
    expect(await first).toBe('aborted');
    const fourth = codeOf(made.send('bob', 'a', 4));
    await made.close();
    expect(await fourth).toBe('closed');
  });

  test('rejects with queue_full beyond its bytes', async () => {
    const made = client('ws://127.0.0.1:1', { offlineQueueLimitBytes: 1000, compressAboveBytes: Infinity });
    ignore(made.send('bob', 'a', new Uint8Array(600)));
    expect(await codeOf(made.send('bob', 'a', new Uint8Array(600)))).toBe('queue_full');
  });

  test('never sends what was aborted or timed out while it waited', async () => {
    const opened = await gateway();
    const environment = new ManualEnvironment();
    const made = client(opened.url, {}, environment);
    const controller = new AbortController();
    const aborted = codeOf(made.send('bob', 'aborted', 1, { signal: controller.signal }));
    const late = codeOf(made.request('bob', 'late', 1, { timeoutMs: 1000 }));
    ignore(made.send('bob', 'kept', 1));
    controller.abort(new Error('changed my mind'));
    environment.advance(1000);
    expect(await aborted).toBe('aborted');
    expect(await late).toBe('timeout');
    ignore(made.connect());
    const peer = await opened.accept();
    await peer.welcome();
    expect((await peer.next('send')).event).toBe('kept');
  });

  test('is not used when the call, the client or being volatile says fail', async () => {
    const made = client('ws://127.0.0.1:1');
    expect(await codeOf(made.send('bob', 'a', 1, { whenOffline: 'fail' }))).toBe('offline');
    expect(await codeOf(made.send('bob', 'a', 1, { volatile: true }))).toBe('offline');
    const impatient = client('ws://127.0.0.1:1', { whenOffline: 'fail' });
    expect(await codeOf(impatient.clients())).toBe('offline');
    const queued = codeOf(impatient.send('bob', 'a', 1, { whenOffline: 'queue' }));
    await impatient.close();
    expect(await queued).toBe('closed');
  });

  test('holds the bytes as they were when the call was made', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const bytes = new Uint8Array([1, 2, 3]);
    ignore(made.send('bob', 'a', bytes));
    bytes.fill(9);
    ignore(made.connect());
    const peer = await opened.accept();
    await peer.welcome();
    expect((await peer.next('send')).payload.data).toEqual(new Uint8Array([1, 2, 3]));
  });

  test('takes what exceeds the calls in flight, and goes on with each answer', async () => {
    const { client: made, peer } = await pair();
    const limit = 10_000;
    const refs: number[] = [];
    for (let i = 0; i < limit + 2; i++) ignore(made.isOnline(`n${i}`));
    for (let i = 0; i < limit; i++) refs.push((await peer.next('online')).ref);
    for (const [i, ref] of refs.slice(0, 2).entries()) {
      expect(peer.unread).toBe(0);
      peer.ok(ref, true);
      expect((await peer.next('online')).client).toBe(`n${limit + i}`);
    }
  });

  test('refuses with aborted at once when the signal has fired already', async () => {
    const { client: made, peer } = await pair();
    expect(await codeOf(made.send('bob', 'a', 1, { signal: AbortSignal.abort() }))).toBe('aborted');
    ignore(made.send('bob', 'b', 1));
    expect((await peer.next('send')).event).toBe('b');
  });
});

describe('calls in flight when the connection is lost', () => {
  test('reject with unknown_outcome when writing them again could do it twice', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    const outcome = codeOf(made.broadcast('b', 1));
    await peer.next('broadcast');
    peer.cut();
    expect(await outcome).toBe('unknown_outcome');
    const again = await opened.accept();
    await again.welcome({ resumed: true });
    ignore(made.send('bob', 'after', 1));
    expect((await again.next('send')).event).toBe('after');
  });

  test('are written again, ahead of newer ones, when that is harmless', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    const room = made.room('r');
    const joined = room.join();
    const page = made.clients();
    const count = room.count();
    const online = made.isOnline('bob');
    const refs = [(await peer.next('join')).ref];
    await peer.next('clients');
    await peer.next('count');
    await peer.next('online');
    peer.cut();
    const again = await opened.accept();
    ignore(made.send('bob', 'newer', 1));
    await again.welcome({ resumed: true });
    expect(refs[0]).toBeGreaterThan(0);
    const join2 = await again.next('join');
    again.ok(join2.ref, { count: 1 });
    expect(join2.ref).toBe(refs[0]);
    again.ok((await again.next('clients')).ref, { clients: [], cursor: null });
    again.ok((await again.next('count')).ref, 7);
    again.ok((await again.next('online')).ref, false);
    await again.next('send');
    await joined;
    expect(await Promise.all([page, count, online])).toEqual([{ clients: [], cursor: null }, 7, false]);
  });

  test('stay in flight when they are requests and the session is resumed', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    const sum = made.request('bob', 'add', [1, 2]);
    const { ref, payload } = await peer.next('request');
    peer.cut();
    const again = await opened.accept();
    await again.welcome({ resumed: true });
    again.send({ type: 'response', ref, payload });
    expect(await sum).toEqual([1, 2]);
  });

  test('reject with unknown_outcome when they are requests and the session is lost', async () => {
    const { gateway: opened, client: made, peer } = await pair();
    const sum = codeOf(made.request('bob', 'add', [1, 2]));
    await peer.next('request');
    peer.cut();
    await (await opened.accept()).welcome({ session: OTHER_SESSION });
    expect(await sum).toBe('unknown_outcome');
  });

  test('reject with unknown_outcome when the gateway sends the client away', async () => {
    const { client: made, peer } = await pair();
    const sent = codeOf(made.send('bob', 'a', 1));
    await peer.next('send');
    peer.close(4504);
    expect(await sent).toBe('unknown_outcome');
  });

  test('ignore an answer that comes after they were aborted', async () => {
    const { client: made, peer, errors } = await pair();
    const controller = new AbortController();
    const sent = codeOf(made.send('bob', 'a', 1, { signal: controller.signal }));
    const { ref } = await peer.next('send');
    controller.abort();
    expect(await sent).toBe('aborted');
    peer.refuse(ref, 'not_found', null, 'late');
    const second = made.isOnline('bob');
    peer.ok((await peer.next('online')).ref, true);
    await second;
    expect(errors).toEqual([]);
  });
});

describe('request()', () => {
  test('resolves with the answer', async () => {
    const { client: made, peer } = await pair();
    const sum = made.request('bob', 'add', [1, 2], { timeoutMs: 5000 });
    const frame = await peer.next('request');
    expect(frame).toMatchObject({ to: 'bob', event: 'add' });
    expect(frame.timeoutMs).toBeLessThanOrEqual(5000);
    peer.send({ type: 'response', ref: frame.ref, payload: { encoding: 1, data: new Uint8Array([3]) } });
    expect(await sum).toBe(3);
  });

  test('rejects with timeout when no answer comes, and ignores a late one', async () => {
    const environment = new ManualEnvironment();
    const { client: made, peer, errors } = await pair({ requestTimeoutMs: 3000 }, environment);
    const sum = codeOf(made.request('bob', 'add', 1));
    const { ref, timeoutMs, payload } = await peer.next('request');
    expect(timeoutMs).toBe(3000);
    environment.advance(3000);
    expect(await sum).toBe('timeout');
    peer.send({ type: 'response', ref, payload });
    const second = made.isOnline('bob');
    peer.ok((await peer.next('online')).ref, true);
    await second;
    expect(errors).toEqual([]);
  });

  test('tells the gateway only the time that is left after waiting in the queue', async () => {
    const opened = await gateway();
    const environment = new ManualEnvironment();
    const made = client(opened.url, {}, environment);
    ignore(made.request('bob', 'add', 1, { timeoutMs: 3000 }));
    environment.advance(1000);
    ignore(made.connect());
    const peer = await opened.accept();
    await peer.welcome();
    expect((await peer.next('request')).timeoutMs).toBe(2000);
  });

  test.each(['no_handler', 'rejected', 'not_found', 'timeout'] as const)(
    'rejects with %s when told so',
    async (code) => {
      const { client: made, peer } = await pair();
      const sum = made.request('bob', 'add', 1);
      const { ref } = await peer.next('request');
      peer.refuse(ref, code, null, 'because');
      await expect(sum).rejects.toMatchObject({ code, message: 'because' });
    },
  );

  test('rejects with bad_payload when the answer cannot be decoded', async () => {
    const { client: made, peer } = await pair();
    const sum = codeOf(made.request('bob', 'add', 1));
    const { ref } = await peer.next('request');
    peer.send({ type: 'response', ref, payload: { encoding: 1, data: new Uint8Array([0xc1]) } });
    expect(await sum).toBe('bad_payload');
  });
});

describe('onRequest()', () => {
  test('replies with what the handler returns or resolves with', async () => {
    const { client: made, peer } = await pair();
    made.onRequest('add', (data: unknown) => (data as number[]).reduce((a, b) => a + b));
    made.onRequest('later', async (_data, from, info) => ({ from: from.client, event: info.event }));
    peer.requested('h-1', 'add', [1, 2]);
    const reply = await peer.next('reply');
    expect([reply.handle, textOf(reply.payload)]).toEqual(['h-1', 3]);
    peer.requested('h-2', 'later', null);
    expect(textOf((await peer.next('reply')).payload)).toEqual({ from: 'bob', event: 'later' });
  });

  test('executes a request once when it is delivered twice', async () => {
    const { client: made, peer } = await pair();
    let calls = 0;
    made.onRequest('add', () => ++calls);
    peer.requested('h-1', 'add', 1);
    peer.requested('h-1', 'add', 1);
    peer.requested('h-2', 'add', 1);
    expect(textOf((await peer.next('reply')).payload)).toBe(1);
    expect(await peer.next('reply')).toMatchObject({ handle: 'h-2' });
    expect(calls).toBe(2);
  });

  test('rejects with no_handler when there is none, or none any more', async () => {
    const { client: made, peer } = await pair();
    made.onRequest('add', () => 1)();
    peer.requested('h-1', 'add', 1);
    expect(await peer.next('reject')).toMatchObject({ handle: 'h-1', code: 'no_handler' });
  });

  test('keeps the text of an unforeseen error to itself, and tells it through error', async () => {
    const { client: made, peer, errors } = await pair();
    made.onRequest('add', () => {
      throw new Error('password is 1234');
    });
    peer.requested('h-1', 'add', 1);
    const { code, text } = await peer.next('reject');
    expect(code).toBe('rejected');
    expect(text).not.toContain('1234');
    expect(errors).toMatchObject([{ message: 'password is 1234' }]);
  });

  test('prints one line when a handler throws and nobody listens to error', async () => {
    const opened = await gateway();
    const made = new Client(opened.url, { token: TOKEN }, EAGER);
    const printed: unknown[][] = [];
    const { error } = console;
    console.error = (...args) => printed.push(args);
    try {
      const connected = made.connect();
      const peer = await opened.accept();
      await peer.welcome();
      await connected;
      made.onRequest('add', () => {
        throw new Error('no memory');
      });
      peer.requested('h-1', 'add', 1);
      await peer.next('reject');
      const closing = made.close();
      peer.close(1000);
      await closing;
    } finally {
      console.error = error;
    }
    expect(printed).toEqual([['signalbox:', 'request rejected: Error: no memory']]);
  });

  test('passes on code and text of a GatewayError, and any text with exposeErrors', async () => {
    const { GatewayError } = await import('../../src/client/index.js');
    const { client: made, peer, errors } = await pair({ exposeErrors: true });
    made.onRequest('missing', () => {
      throw new GatewayError('not_found', 'no such file');
    });
    made.onRequest('closing', () => {
      throw new GatewayError('kicked', 'not for handlers');
    });
    made.onRequest('plain', () => {
      throw new Error('x'.repeat(500));
    });
    peer.requested('h-1', 'missing', 1);
    expect(await peer.next('reject')).toMatchObject({ code: 'not_found', text: 'no such file' });
    peer.requested('h-2', 'closing', 1);
    expect(await peer.next('reject')).toMatchObject({ code: 'rejected' });
    peer.requested('h-3', 'plain', 1);
    expect((await peer.next('reject')).text).toHaveLength(200);
    expect(errors).toHaveLength(1);
  });

  test('rejects with bad_payload when the request cannot be decoded or the result not be encoded', async () => {
    const { client: made, peer } = await pair();
    made.onRequest('add', () => () => {});
    peer.requested('h-1', 'add', 1);
    expect(await peer.next('reject')).toMatchObject({ handle: 'h-1', code: 'bad_payload' });
  });

  test('throws TypeError when the event has a handler', () => {
    const made = client('ws://127.0.0.1:1');
    made.onRequest('add', () => 1);
    expect(() => made.onRequest('add', () => 2)).toThrow(TypeError);
  });

  test('replies on the next connection when the handler is slower than the connection', async () => {
    const { gateway: opened, client: made, peer } = await pair({}, EAGER);
    let finish = (_result: number): void => {};
    let called = false;
    made.onRequest('slow', () => {
      called = true;
      return new Promise<number>((resolve) => (finish = resolve));
    });
    peer.requested('h-1', 'slow', 1);
    await until(() => called);
    peer.cut();
    const again = await opened.accept();
    finish(42);
    await again.welcome({ resumed: true });
    expect(textOf((await again.next('reply')).payload)).toBe(42);
  });
});
