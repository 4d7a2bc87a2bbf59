// Each verb of the SDK as the frame that it writes and the answer that it takes.
import { describe, expect, test } from '@jest/globals';
import { codeOf, TOKEN, until, useScriptedGateways } from './fixture.js';
import { BOB, OTHER_SESSION, SESSION, textOf } from './scripted-gateway.js';

const { gateway, client, pair } = useScriptedGateways();

describe('connect()', () => {
  test('says hello on /v1/connect with the token as second subprotocol', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const connected = made.connect();
    const peer = await opened.accept();
    const hello = await peer.welcome({ iceServers: [{ urls: 'stun:127.0.0.1' }] });
    await connected;
    expect(hello).toEqual({
      type: 'hello',
      version: 1,
      token: null,
      resume: null,
      agent: 'signalbox-js/0.1.0',
    });
    expect(peer.offered?.split(/, ?/)).toEqual([
      'signalbox.v1.msgpack',
      `bearer.${TOKEN}`,
      'signalbox.v1.hello',
      expect.stringMatching(/^hello\.149\.0\.1\./),
    ]);
    expect(opened.paths).toEqual(['/v1/connect']);
    expect(made).toMatchObject({ id: 'alice', sessionId: SESSION, state: 'connected' });
    expect(made.iceServers).toEqual([{ urls: 'stun:127.0.0.1' }]);
  });

  test('has the ICE servers that the gateway tells of later, and says so', async () => {
    const { client: made, peer } = await pair();
    const heard: unknown[] = [];
    made.on('iceServers', () => heard.push(made.iceServers));
    const servers = [{ urls: ['turn:127.0.0.1'], username: 'alice', credential: 'renewed' }];
    peer.send({ type: 'iceServers', servers });
    await until(() => heard.length > 0);
    expect(heard).toEqual([servers]);
  });

  test('resolves for every caller with one connection when called twice', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const both = Promise.all([made.connect(), made.connect()]);
    await (await opened.accept()).welcome();
    await both;
    await made.connect();
    expect(opened.waiting).toBe(0);
  });

  test('takes http URLs and keeps a path', async () => {
    const opened = await gateway();
    const made = client(`${opened.url.replace('ws:', 'http:')}/eu/v1/connect`);
    const connected = made.connect();
    await (await opened.accept()).welcome();
    await connected;
    expect(opened.paths).toEqual(['/eu/v1/connect']);
  });

  test('rejects with aborted and goes back to idle when its signal fires', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const controller = new AbortController();
    const connected = made.connect({ signal: controller.signal });
    await (await opened.accept()).next('hello');
    controller.abort();
    expect(await codeOf(connected)).toBe('aborted');
    expect(made.state).toBe('idle');
  });

  test('throws TypeError when URL or options can never work', () => {
    expect(() => client('ftp://127.0.0.1')).toThrow(TypeError);
    expect(() => client('ws://127.0.0.1', { codec: 'xml' as never })).toThrow(TypeError);
    expect(() => client('ws://127.0.0.1', { token: undefined as never })).toThrow(TypeError);
  });
});

describe('send()', () => {
  test('resolves when the gateway accepts the message', async () => {
    const { client: made, peer } = await pair();
    const sent = made.send('bob', 'greet', { hi: 1 }, { trace: 't-1' });
    const frame = await peer.next('send');
    expect(frame).toMatchObject({ to: 'bob', event: 'greet', seq: 1, options: { trace: 't-1' } });
    expect(frame.ref).toBeGreaterThan(0);
    expect(textOf(frame.payload)).toEqual({ hi: 1 });
    peer.ok(frame.ref, { id: 'e:1-x' });
    expect(await sent).toEqual({ id: 'e:1-x', absent: [] });
  });

  test('sends to each of several targets, and tells which of them were not reached', async () => {
    const { client: made, peer } = await pair();
    const sent = made.send(['bob', `carol#${SESSION}`, 'bob'], 'greet', 1);
    const [first, second] = [await peer.next('send'), await peer.next('send')];
    expect([first.to, first.seq, second.to, second.seq]).toEqual(['bob', 1, `carol#${SESSION}`, 1]);
    peer.refuse(first.ref, 'not_found');
    peer.ok(second.ref, { id: 'e:1-x' });
    expect(await sent).toEqual({ id: null, absent: ['bob'] });
  });

  test('rejects when none of several targets was reached, or one was refused for another reason', async () => {
    const { client: made, peer } = await pair();
    const none = codeOf(made.send(['bob', 'carol'], 'greet', 1));
    for (let i = 0; i < 2; i++) peer.refuse((await peer.next('send')).ref, 'not_found');
    expect(await none).toBe('not_found');
    const mixed = codeOf(made.send(['dave', 'erin'], 'greet', 1));
    peer.refuse((await peer.next('send')).ref, 'forbidden');
    peer.ok((await peer.next('send')).ref, { id: 'e:1-x' });
    expect(await mixed).toBe('forbidden');
    expect(await codeOf(made.send([], 'greet', 1))).toBe('bad_parameter');
  });

  test('rejects with the code of the gateway', async () => {
    const { client: made, peer } = await pair();
    const sent = made.send('nobody', 'greet', 1);
    const { ref } = await peer.next('send');
    peer.refuse(ref, 'not_found', null, 'no');
    expect(await codeOf(sent)).toBe('not_found');
  });

  test('resolves without an answer when volatile, and tells a refusal through error', async () => {
    const { client: made, peer, errors } = await pair();
    await made.send('bob', 'move', [1, 2], { volatile: true });
    expect(await peer.next('send')).toMatchObject({ ref: 0, seq: 0 });
    const told = new Promise((resolve) => made.on('error', resolve));
    peer.refuse(0, 'not_found', null, 'no');
    await told;
    expect(errors).toMatchObject([{ code: 'not_found' }]);
  });

  test('tells a refusal of a volatile message to who asked for it, once, and nobody else', async () => {
    const { client: made, peer, errors } = await pair();
    const codes: string[] = [];
    const onRefused = ({ code }: { code: string }) => codes.push(code);
    for (const event of ['a', 'b']) await made.send('bob', event, 1, { volatile: true, onRefused });
    const first = await peer.next('send');
    const second = await peer.next('send');
    expect([first.seq, second.seq, first.ref === second.ref]).toEqual([0, 0, false]);
    peer.refuse(second.ref, 'not_found', null, 'no');
    peer.refuse(second.ref, 'not_found', null, 'no');
    peer.refuse(first.ref, 'limit', null, 'no');
    const sent = made.send('bob', 'c', 1);
    const kept = await peer.next('send');
    peer.ok(kept.ref, { id: null });
    await sent;
    expect(codes).toEqual(['not_found', 'limit']);
    expect(errors).toEqual([]);
  });

  test('rejects with bad_parameter, bad_payload or too_big and writes nothing when the frame cannot be', async () => {
    const { client: made, peer } = await pair({ compressAboveBytes: Infinity }, undefined, {
      frameLimitBytes: 1000,
    });
    expect(await codeOf(made.send('bob', 'no spaces', 1))).toBe('bad_parameter');
    expect(await codeOf(made.send('bob', 'greet', () => {}))).toBe('bad_payload');
    expect(await codeOf(made.send('bob', 'greet', 'x'.repeat(1000)))).toBe('too_big');
    expect(await codeOf(made.send('bob', 'greet', 'x'.repeat(1000), { volatile: true }))).toBe('too_big');
    void made.send('bob', 'after', 1).catch(() => {});
    expect((await peer.next('send')).event).toBe('after');
  });
});

describe('broadcast(), clients(), isOnline(), leaveAll()', () => {
  test('write their frames and take their answers', async () => {
    const { client: made, peer } = await pair();
    const news = made.broadcast('news', 'hello');
    const broadcast = await peer.next('broadcast');
    expect(broadcast).toMatchObject({ event: 'news', options: {} });
    peer.ok(broadcast.ref);
    await news;

    const page = made.clients({ prefix: 'a', cursor: 'c-1', limit: 2 });
    const asked = await peer.next('clients');
    expect(asked).toMatchObject({ prefix: 'a', cursor: 'c-1', limit: 2 });
    peer.ok(asked.ref, { clients: ['alice', 'anna'], cursor: 'c-2' });
    expect(await page).toEqual({ clients: ['alice', 'anna'], cursor: 'c-2' });

    const online = made.isOnline('bob');
    const question = await peer.next('online');
    expect(question.client).toBe('bob');
    peer.ok(question.ref, true);
    expect(await online).toBe(true);

    const left = made.leaveAll();
    peer.ok((await peer.next('leaveAll')).ref);
    await left;
  });

  test('clients() asks for the first 100 of all when told nothing', async () => {
    const { client: made, peer } = await pair();
    void made.clients().catch(() => {});
    expect(await peer.next('clients')).toMatchObject({ prefix: '', cursor: null, limit: 100 });
  });

  test('reject with bad_frame when the answer has another shape', async () => {
    const { client: made, peer } = await pair();
    const page = made.clients();
    peer.ok((await peer.next('clients')).ref, { clients: 'all of them' });
    expect(await codeOf(page)).toBe('bad_frame');
  });
});

describe('onMessage()', () => {
  test('hands data, sender and what the message is to the handlers of the event and of *', async () => {
    const { client: made, peer } = await pair();
    const heard: unknown[] = [];
    made.onMessage('greet', (data, from, info) => heard.push([data, from, info]));
    const all = new Promise((resolve) => made.onMessage('*', resolve));
    peer.message('greet', { hi: 1 });
    expect(await all).toEqual({ hi: 1 });
    const from = { client: BOB, session: OTHER_SESSION };
    expect(heard).toEqual([[{ hi: 1 }, from, { id: null, event: 'greet', room: null, trace: null }]]);
  });

  test('calls a handler no more when it was removed', async () => {
    const { client: made, peer } = await pair();
    const heard: unknown[] = [];
    const remove = made.onMessage('greet', (data) => heard.push(data));
    made.onMessage('greet', () => remove());
    const second = new Promise<void>((resolve) => made.onMessage('*', (data) => data === 2 && resolve()));
    peer.message('greet', 1);
    peer.message('greet', 2);
    await second;
    expect(heard).toEqual([1]);
  });

  test('goes on with the other handlers when one throws or rejects, and tells both through error', async () => {
    const { client: made, peer, errors } = await pair();
    made.onMessage('greet', () => {
      throw new Error('thrown');
    });
    made.onMessage('greet', async () => {
      throw new Error('rejected');
    });
    const heard = new Promise((resolve) => made.onMessage('greet', resolve));
    peer.message('greet', 1);
    expect(await heard).toBe(1);
    expect(errors).toMatchObject([{ message: 'thrown' }, { message: 'rejected' }]);
  });

  test('survives an error listener that throws', async () => {
    const { client: made, peer } = await pair();
    const { error } = console;
    const printed: unknown[] = [];
    console.error = (...args) => printed.push(args);
    try {
      made.on('error', () => {
        throw new Error('in the listener');
      });
      made.onMessage('greet', () => {
        throw new Error('in the handler');
      });
      const heard = new Promise((resolve) => made.onMessage('*', resolve));
      peer.message('greet', 1);
      await heard;
    } finally {
      console.error = error;
    }
    expect(printed).toMatchObject([['signalbox:', { message: 'in the listener' }]]);
  });

  test('tells bad_payload through error and goes on when data cannot be decoded', async () => {
    const { client: made, peer, errors } = await pair();
    const heard = new Promise((resolve) => made.onMessage('*', resolve));
    peer.message('greet', null, { encoding: 1, data: new Uint8Array([0xc1]) });
    peer.message('greet', 2);
    expect(await heard).toBe(2);
    expect(errors).toMatchObject([{ code: 'bad_payload' }]);
  });
});

describe('the json codec', () => {
  test('speaks the json subprotocol both ways', async () => {
    const { client: made, peer } = await pair({ codec: 'json' });
    expect(peer.offered?.split(/, ?/)).toEqual(['signalbox.v1.json', `bearer.${TOKEN}`]);
    const heard = new Promise((resolve) => made.onMessage('greet', resolve));
    const sent = made.send('bob', 'greet', { hi: 'ü' });
    const frame = await peer.next('send');
    expect(textOf(frame.payload)).toEqual({ hi: 'ü' });
    peer.ok(frame.ref);
    await sent;
    peer.message('greet', [1, 'two'], frame.payload);
    expect(await heard).toEqual({ hi: 'ü' });
  });
});

describe('close()', () => {
  test('says bye, rejects all that is pending with closed, and is idempotent', async () => {
    const { client: made, peer } = await pair();
    const pending = [
      made.send('bob', 'a', 1),
      made.request('bob', 'b', 2),
      made.clients(),
      made.room('lobby').join(),
    ].map(codeOf);
    await peer.next('send');
    const closing = made.close();
    expect(made.close()).toBe(closing);
    expect(made.state).toBe('closed');
    expect(await Promise.all(pending)).toEqual(['closed', 'closed', 'closed', 'closed']);
    await peer.next('request');
    await peer.next('clients');
    await peer.next('join');
    await peer.next('bye');
    peer.close(1000);
    await closing;
    expect(await codeOf(made.send('bob', 'a', 1))).toBe('closed');
    expect(await codeOf(made.isOnline('bob'))).toBe('closed');
  });

  test('rejects a pending connect() with closed, and one after it begins anew', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const connected = codeOf(made.connect());
    await (await opened.accept()).next('hello');
    await made.close();
    expect(await connected).toBe('closed');
    const again = made.connect();
    const hello = await (await opened.accept()).welcome();
    await again;
    expect(hello.resume).toBeNull();
  });

  test('resolves for a client that never connected', async () => {
    const made = client('ws://127.0.0.1:1');
    const queued = codeOf(made.send('bob', 'a', 1));
    await made.close();
    expect(await queued).toBe('closed');
  });
});
