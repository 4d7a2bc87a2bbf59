// What a client does so that nothing is lost and nothing comes twice: resending, cursors, receipts, gaps.
import { describe, expect, test } from '@jest/globals';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { RoomName, SessionId } from '../../src/protocol/ids.js';
import { codeOf, ManualEnvironment, type Pair, until, useScriptedGateways } from './fixture.js';
import { BOB, OTHER_SESSION, type Peer, SESSION, textOf } from './scripted-gateway.js';

const { gateway, client, pair } = useScriptedGateways();
const LOBBY = 'lobby' as RoomName;

/** Cuts the connection and lets the client come back. */
async function comeBack(
  { gateway: opened, peer }: Pair<Record<string, unknown>>,
  info: Parameters<Peer['welcome']>[0] = { resumed: true },
) {
  peer.cut();
  const again = await opened.accept();
  const { resume } = await again.welcome(info);
  return { again, resume };
}

/** All that was sent to the client was handled. */
async function settled(peer: Peer): Promise<void> {
  peer.send({ type: 'ping' });
  await peer.next('pong');
}

function gap(fields: Partial<Extract<GatewayFrame, { type: 'gap' }>>): GatewayFrame {
  return { type: 'gap', channel: null, reason: 'trimmed', missing: 3, id: null, ...fields };
}

describe('kept messages', () => {
  test('are written again with their numbers when the session is resumed, ahead of newer ones', async () => {
    const made = await pair();
    const sent = [made.client.send('bob', 'n', 1), made.client.send('bob', 'n', 2)];
    const first = await made.peer.next('send');
    await made.peer.next('send');
    made.peer.ok(first.ref, { id: 'e:1-x' });
    expect(await sent[0]).toEqual({ id: 'e:1-x', absent: [] });
    made.peer.cut();
    const again = await made.gateway.accept();
    const newer = made.client.send('bob', 'n', 3);
    await again.welcome({ resumed: true });
    const second = await again.next('send');
    expect([second.seq, textOf(second.payload)]).toEqual([2, 2]);
    again.ok(second.ref, { id: null });
    const third = await again.next('send');
    expect([third.seq, textOf(third.payload)]).toEqual([3, 3]);
    again.ok(third.ref, { id: 'e:3-x' });
    expect(await Promise.all([...sent.slice(1), newer])).toEqual([
      { id: null, absent: [] },
      { id: 'e:3-x', absent: [] },
    ]);
  });

  test('are not changed when the application changes its bytes after they were written', async () => {
    const made = await pair();
    const bytes = new Uint8Array([1, 2, 3]);
    made.client.send('bob', 'n', bytes).catch(() => {});
    await made.peer.next('send');
    bytes.fill(9);
    const { again } = await comeBack(made);
    expect((await again.next('send')).payload.data).toEqual(new Uint8Array([1, 2, 3]));
  });

  test('of a client and its sessions are one channel, those of a room another', async () => {
    const { client: made, peer } = await pair();
    for (const to of ['bob', `bob#${SESSION}`, 'carol']) made.send(to, 'n', 1).catch(() => {});
    made
      .room('bob')
      .publish('n', 1)
      .catch(() => {});
    const numbers = [];
    for (let i = 0; i < 3; i++) numbers.push((await peer.next('send')).seq);
    expect([...numbers, (await peer.next('publish')).seq]).toEqual([1, 2, 1, 1]);
  });

  test('reject with unknown_outcome when they were written in a session that is lost', async () => {
    const made = await pair();
    const sent = codeOf(made.client.send('bob', 'n', 1));
    await made.peer.next('send');
    made.peer.cut();
    const again = await made.gateway.accept();
    made.client.send('bob', 'n', 2).catch(() => {});
    await again.welcome({ session: OTHER_SESSION });
    expect(await sent).toBe('unknown_outcome');
    const second = await again.next('send');
    expect([second.seq, textOf(second.payload)]).toEqual([1, 2]);
  });
});

describe('cursors', () => {
  test('are those of the last messages handed over, and of what gap and position say', async () => {
    const made = await pair({}, undefined, { inbox: 'e:1-x' });
    const joined = made.client.room('lobby').join();
    made.peer.ok((await made.peer.next('join')).ref, { count: 1, position: 'r:4-x' });
    await joined;
    const other = made.client.room('other').join();
    made.peer.ok((await made.peer.next('join')).ref, { count: 1, position: null });
    await other;
    made.peer.message('n', 1, undefined, { id: 'e:2-x', seq: 1 });
    made.peer.roomMessage('lobby', 'n', 1, { id: 'r:5-x', seq: 1 });
    await settled(made.peer);
    const first = await comeBack(made, { resumed: true, rooms: [LOBBY, 'other'] });
    expect(first.resume?.cursors).toEqual([
      [null, 'e:2-x'],
      ['lobby', 'r:5-x'],
      ['other', null],
    ]);
    first.again.send({ type: 'position', channel: null, id: 'e:9-x' });
    first.again.send(gap({ channel: LOBBY, id: 'r:8-x' }));
    await settled(first.again);
    const second = await comeBack({ ...made, peer: first.again });
    expect(second.resume?.cursors).toEqual([
      [null, 'e:9-x'],
      ['lobby', 'r:8-x'],
      ['other', null],
    ]);
  });

  test('begin with the welcome when the session is new', async () => {
    const made = await pair({}, undefined, { inbox: 'e:1-x' });
    const { again } = await comeBack(made, { session: OTHER_SESSION, inbox: 'e:7-x' });
    await settled(again);
    const { resume } = await comeBack({ ...made, peer: again });
    expect(resume).toMatchObject({ session: OTHER_SESSION, cursors: [[null, 'e:7-x']] });
  });

  test('are not told to a gateway that does not know them', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const connected = made.connect();
    const peer = await opened.accept();
    // As it was before there were cursors.
    const before: object = { inbox: undefined };
    await peer.welcome(before);
    await connected;
    peer.message('n', 1, undefined, { id: 'e:2-x' });
    const joined = made.room('lobby').join();
    peer.ok((await peer.next('join')).ref, { count: 1 });
    await joined;
    peer.cut();
    expect((await (await opened.accept()).next('hello')).resume?.cursors).toEqual([]);
  });

  test('of joined rooms are where a new session begins to read them', async () => {
    const made = await pair();
    for (const [name, position] of [
      ['lobby', 'r:4-x'],
      ['empty', null],
    ] as const) {
      const joined = made.client.room(name).join();
      made.peer.ok((await made.peer.next('join')).ref, { count: 1, position });
      await joined;
    }
    const { again } = await comeBack(made, { session: OTHER_SESSION });
    expect(await again.next('join')).toMatchObject({ room: 'lobby', since: 'r:4-x' });
    expect(await again.next('join')).toMatchObject({ room: 'empty', since: 1000 });
  });

  test('that are not known have the room joined again as it was', async () => {
    const made = await pair();
    const joined = made.client.room('lobby').join({ history: 20 });
    const join = await made.peer.next('join');
    expect(join.since).toBe(20);
    made.peer.ok(join.ref, { count: 1 });
    await joined;
    const { again, resume } = await comeBack(made, { resumed: true, rooms: [LOBBY] });
    expect(resume?.cursors).toEqual([[null, null]]);
    expect(await again.next('join')).toMatchObject({ room: 'lobby', since: 20 });
  });
});

describe('received messages', () => {
  test('are handed over once, by their numbers and else by their ids', async () => {
    const made = await pair();
    const heard: unknown[] = [];
    made.client.onMessage('n', (data, _from, { id }) => heard.push([data, id]));
    const session = 'CCCCCCCCCCCCCCCCCCCCCC' as SessionId;
    made.peer.message('n', 'a', undefined, { id: 'e:1-x', seq: 1 });
    made.peer.message('n', 'b', undefined, { id: 'e:2-x', seq: 3 });
    made.peer.message('n', 'other sender', undefined, { id: 'e:3-x', seq: 1, session });
    made.peer.message('n', 'no number', undefined, { id: 'e:4-x' });
    made.peer.message('n', 'volatile');
    await settled(made.peer);
    const { again } = await comeBack(made);
    again.message('n', 'b', undefined, { id: 'f:1-x', seq: 3 });
    again.message('n', 'no number', undefined, { id: 'e:4-x' });
    again.message('n', 'volatile');
    again.message('n', 'c', undefined, { id: 'f:2-x', seq: 4 });
    await settled(again);
    expect(heard).toEqual([
      ['a', 'e:1-x'],
      ['b', 'e:2-x'],
      ['other sender', 'e:3-x'],
      ['no number', 'e:4-x'],
      ['volatile', null],
      ['volatile', null],
      ['c', 'f:2-x'],
    ]);
  });

  test('of a room are counted apart from those of the inbox', async () => {
    const { client: made, peer } = await pair();
    const heard: unknown[] = [];
    made.onMessage('n', (data) => heard.push(data));
    made.room('lobby').onMessage('n', (data) => heard.push(data));
    peer.message('n', 'inbox', undefined, { id: 'e:1-x', seq: 1 });
    for (let i = 0; i < 2; i++) peer.roomMessage('lobby', 'n', 'room', { id: 'r:1-x', seq: 1 });
    await settled(peer);
    expect(heard).toEqual(['inbox', 'room']);
  });

  test('are told missing exactly where they are', async () => {
    const { client: made, peer } = await pair();
    const heard: unknown[] = [];
    made.onMessage('n', (data) => heard.push(data));
    made.on('gap', (told) => heard.push(told));
    // Compressed, so that what follows has to wait for the code that inflates it.
    const { deflate } = await import('../../src/client/compression.js');
    const { encodePayload } = await import('../../src/protocol/payload.js');
    const long = 'a'.repeat(2000);
    peer.message('n', null, deflate(encodePayload(long)), { id: 'e:1-x', seq: 1 });
    peer.send(gap({ reason: 'lost', missing: null }));
    peer.message('n', 'b', undefined, { id: 'e:9-x', seq: 2 });
    await until(() => heard.length === 3);
    expect(heard).toEqual([long, { room: null, reason: 'lost', missing: null }, 'b']);
  });

  test('that were kept while the client was away are acknowledged once when the last was handed over', async () => {
    const made = await pair({}, undefined, { inbox: 'e:1-x', kept: 'e:3-x' });
    const { again } = await comeBack(made, { resumed: true, inbox: 'e:1-x', kept: 'e:3-x' });
    again.message('n', 1, undefined, { id: 'e:2-x', seq: 1 });
    await settled(again);
    again.message('n', 2, undefined, { id: 'e:3-x', seq: 2 });
    expect(await again.next('ack')).toEqual({ type: 'ack', id: 'e:3-x' });
    again.message('n', 3, undefined, { id: 'e:4-x', seq: 3 });
    await settled(again);
    // It got lost: the gateway still has them.
    const last = await comeBack({ ...made, peer: again }, { resumed: true, kept: 'e:3-x' });
    expect((await last.again.next('ack')).id).toBe('e:3-x');
  });
});

describe('receipts', () => {
  const delivered = true as const;

  test('are given when a handler got the message, again when it comes again or is asked for, else not', async () => {
    const { client: made, peer } = await pair();
    made.onMessage('heard', () => {});
    peer.message('unheard', 1, undefined, { id: 'e:1-x', seq: 1, delivered });
    peer.message('heard', 1, undefined, { id: 'e:2-x', seq: 2, delivered });
    const receipt = { type: 'receipt', to: `bob#${OTHER_SESSION}`, seq: 2 };
    expect(await peer.next('receipt')).toEqual(receipt);
    peer.message('heard', 1, undefined, { id: 'e:2-x', seq: 2, delivered });
    expect(await peer.next('receipt')).toEqual(receipt);
    for (const seq of [1, 2, 3]) peer.send({ type: 'asked', from: BOB, session: OTHER_SESSION, seq });
    expect(await peer.next('receipt')).toEqual(receipt);
    made.onMessage('*', () => {});
    peer.message('any', 1, undefined, { id: 'e:3-x', seq: 3, delivered });
    expect((await peer.next('receipt')).seq).toBe(3);
  });

  test('let send() resolve with delivered when they and the acceptance came', async () => {
    const { client: made, peer } = await pair();
    const both = [
      made.send('bob', 'n', 1, { delivered: true }),
      made.send(`bob#${SESSION}`, 'n', 2, { delivered: true }),
    ];
    const [first, second] = [await peer.next('send'), await peer.next('send')];
    expect(first.options).toEqual({ delivered: true });
    peer.ok(first.ref, { id: 'e:1-x' });
    peer.send({ type: 'delivered', by: BOB, seq: 2 });
    await settled(peer);
    let count = 0;
    for (const each of both) void each.then(() => count++);
    await settled(peer);
    expect(count).toBe(0);
    peer.ok(second.ref, { id: 'e:2-x' });
    expect(await both[1]).toEqual({ id: 'e:2-x', absent: [] });
    peer.send({ type: 'delivered', by: BOB, seq: 1 });
    expect(await both[0]).toEqual({ id: 'e:1-x', absent: [] });
  });

  test('are asked for after a while, and after each resume', async () => {
    const environment = new ManualEnvironment();
    const made = await pair({}, environment);
    const sent = made.client.send('bob', 'n', 1, { delivered: true });
    const { ref } = await made.peer.next('send');
    made.peer.ok(ref, { id: 'e:1-x' });
    await settled(made.peer);
    for (const ms of [5_000, 10_000]) {
      environment.advance(ms - 1);
      await settled(made.peer);
      environment.advance(1);
      expect(await made.peer.next('confirm')).toEqual({ type: 'confirm', to: 'bob', seq: 1 });
    }
    made.peer.cut();
    await until(() => made.client.state === 'reconnecting');
    environment.advance(0);
    const again = await made.gateway.accept();
    await again.welcome({ resumed: true });
    expect((await again.next('confirm')).seq).toBe(1);
    again.send({ type: 'delivered', by: BOB, seq: 1 });
    expect(await sent).toEqual({ id: 'e:1-x', absent: [] });
  });

  test('that do not come reject with timeout, aborted, unknown_outcome or closed', async () => {
    const environment = new ManualEnvironment();
    const made = await pair({}, environment);
    const controller = new AbortController();
    const late = made.client.send('bob', 'n', 1, { delivered: true, timeoutMs: 3_000 });
    const lateOutcome = codeOf(late);
    const aborted = codeOf(made.client.send('bob', 'n', 2, { delivered: true, signal: controller.signal }));
    const lost = codeOf(made.client.send('bob', 'n', 3, { delivered: true }));
    for (let i = 0; i < 3; i++) made.peer.ok((await made.peer.next('send')).ref, { id: `e:${i}-x` });
    await settled(made.peer);
    environment.advance(3_000);
    expect(await lateOutcome).toBe('timeout');
    await expect(late).rejects.toThrow('Accepted, but not confirmed in time.');
    controller.abort();
    expect(await aborted).toBe('aborted');
    made.peer.cut();
    await until(() => made.client.state === 'reconnecting');
    environment.advance(0);
    const again = await made.gateway.accept();
    await again.welcome({ session: OTHER_SESSION });
    expect(await lost).toBe('unknown_outcome');
    const closed = codeOf(made.client.send('bob', 'n', 4, { delivered: true }));
    again.ok((await again.next('send')).ref, { id: 'e:9-x' });
    await settled(again);
    void made.client.close();
    expect(await closed).toBe('closed');
  });

  test('that come too late for ttlMs are told by expired, or by the promise with delivered', async () => {
    const environment = new ManualEnvironment();
    const { client: made, peer } = await pair({}, environment);
    const told: unknown[] = [];
    made.on('expired', (message) => told.push(message));
    const quiet = made.send('bob', 'n', 1, { ttlMs: 1_000, offline: 'keep' });
    const waiting = codeOf(made.send('bob', 'n', 2, { ttlMs: 1_000, delivered: true }));
    const received = made.send('bob', 'n', 3, { ttlMs: 1_000 });
    const first = await peer.next('send');
    expect(first.options).toEqual({ delivered: true, ttlMs: 1_000, offline: 'keep' });
    peer.ok(first.ref, { id: 'e:1-x' });
    for (const id of ['e:2-x', 'e:3-x']) peer.ok((await peer.next('send')).ref, { id });
    expect(await quiet).toEqual({ id: 'e:1-x', absent: [] });
    await received;
    peer.send({ type: 'delivered', by: BOB, seq: 3 });
    await settled(peer);
    environment.advance(2_999);
    await settled(peer);
    expect(told).toEqual([]);
    environment.advance(1);
    expect(await waiting).toBe('expired');
    await until(() => told.length > 0);
    expect(told).toEqual([{ to: 'bob', event: 'n', id: 'e:1-x' }]);
  });
});
