// Rooms: joining, publishing, listening, presence, and coming back to them.
import { describe, expect, test } from '@jest/globals';
import type { RoomName } from '../../src/protocol/ids.js';
import { codeOf, useScriptedGateways } from './fixture.js';
import { BOB, OTHER_SESSION, type Peer, textOf } from './scripted-gateway.js';

const { client, gateway, pair } = useScriptedGateways();
const LOBBY = 'lobby' as RoomName;

async function answer(peer: Peer, type: 'join' | 'leave' | 'watch', result: unknown = null): Promise<void> {
  peer.ok((await peer.next(type)).ref, result);
}

async function joinedPair() {
  const made = await pair();
  const room = made.client.room('lobby');
  const joined = room.join();
  await answer(made.peer, 'join', { count: 1 });
  await joined;
  return { ...made, room };
}

describe('room()', () => {
  test('is the same object for the same name, and throws TypeError when it is no name', () => {
    const made = client('ws://127.0.0.1:1');
    expect(made.room('lobby')).toBe(made.room('lobby'));
    expect(() => made.room('no spaces')).toThrow(TypeError);
  });

  test('joins, publishes, counts, lists and leaves', async () => {
    const { peer, room } = await joinedPair();
    expect(room.joined).toBe(true);
    const published = room.publish('chat', 'hello', { except: ['carol'], self: false, trace: 't' });
    const frame = await peer.next('publish');
    expect(frame).toMatchObject({
      room: 'lobby',
      event: 'chat',
      seq: 1,
      options: { except: ['carol'], self: false, trace: 't' },
    });
    expect(textOf(frame.payload)).toBe('hello');
    peer.ok(frame.ref, { id: 'e:1-x' });
    expect(await published).toEqual({ id: 'e:1-x' });

    await room.publish('move', 1, { volatile: true });
    expect(await peer.next('publish')).toMatchObject({ ref: 0, seq: 0 });

    const count = room.count();
    peer.ok((await peer.next('count')).ref, 12);
    expect(await count).toBe(12);

    const page = room.members({ limit: 1 });
    const asked = await peer.next('members');
    expect(asked).toMatchObject({ room: 'lobby', cursor: null, limit: 1 });
    const members = [{ client: 'alice', sessions: 2 }];
    peer.ok(asked.ref, { members, cursor: 'next', count: 2 });
    expect(await page).toEqual({ members, cursor: 'next', count: 2 });

    const left = room.leave();
    await answer(peer, 'leave', true);
    await left;
    expect(room.joined).toBe(false);
  });

  test('rejects with the code of the gateway', async () => {
    const { client: made, peer } = await pair();
    const joined = codeOf(made.room('secret').join());
    peer.refuse((await peer.next('join')).ref, 'forbidden');
    expect(await joined).toBe('forbidden');
    expect(made.room('secret').joined).toBe(false);
    expect(await codeOf(made.room('secret').publish('no spaces', 1))).toBe('bad_parameter');
  });

  test('hands its own messages to its own handlers only', async () => {
    const { client: made, peer, room } = await joinedPair();
    const heard: unknown[] = [];
    made.onMessage('*', () => heard.push('client'));
    made.room('other').onMessage('*', () => heard.push('other'));
    room.onMessage('chat', (data, from, info) => heard.push([data, from.client, info.room]));
    const all = new Promise((resolve) => room.onMessage('*', resolve));
    peer.roomMessage('lobby', 'chat', 'hello');
    expect(await all).toBe('hello');
    expect(heard).toEqual([['hello', 'bob', 'lobby']]);
  });

  test('is forgotten when it was left and nobody listens, and works again when it is joined', async () => {
    const { client: made, peer, room } = await joinedPair();
    const remove = room.onMessage('chat', () => {});
    const left = room.leave();
    await answer(peer, 'leave');
    await left;
    expect(made.room('lobby')).toBe(room);
    remove();
    const joined = room.join();
    await answer(peer, 'join');
    await joined;
    expect(made.room('lobby')).toBe(room);
    const heard = new Promise((resolve) => room.onMessage('chat', resolve));
    peer.roomMessage('lobby', 'chat', 'hello');
    expect(await heard).toBe('hello');

    const other = made.room('other');
    void other.leave().catch(() => {});
    expect(made.room('other')).not.toBe(other);
  });

  test('is left when leave() was called while join() was in flight', async () => {
    const { client: made, peer } = await pair();
    const room = made.room('lobby');
    const joined = room.join();
    const left = room.leave();
    await answer(peer, 'join');
    await answer(peer, 'leave');
    await Promise.all([joined, left]);
    expect(room.joined).toBe(false);
  });

  test('is left when leave() or leaveAll() was called with join() before there was code for it', async () => {
    const opened = await gateway();
    const made = client(opened.url);
    const [lobby, attic] = [made.room('lobby'), made.room('attic')];
    const called = [attic.join(), made.leaveAll(), lobby.join(), lobby.leave()];
    const connected = made.connect();
    const peer = await opened.accept();
    await peer.welcome();
    await connected;
    for (const type of ['join', 'leaveAll', 'join', 'leave'] as const) peer.ok((await peer.next(type)).ref);
    await Promise.all(called);
    expect([lobby.joined, attic.joined]).toEqual([false, false]);
  });
});

describe('onPresence()', () => {
  test('watches while the room is joined and somebody listens', async () => {
    const { client: made, peer } = await pair();
    const room = made.room('lobby');
    const changes: unknown[] = [];
    const removeFirst = room.onPresence((change) => changes.push(change));
    const joined = room.join();
    await answer(peer, 'join');
    await joined;
    const watch = await peer.next('watch');
    expect(watch).toMatchObject({ room: 'lobby', on: true });
    peer.ok(watch.ref);

    const told = new Promise<void>((resolve) => room.onPresence(() => resolve()));
    peer.send({ type: 'presence', room: LOBBY, joined: [BOB], left: [], count: 2 });
    await told;
    expect(changes).toEqual([{ joined: ['bob'], left: [], count: 2 }]);

    removeFirst();
    removeFirst();
    expect(peer.unread).toBe(0);
  });

  test('stops watching when the last listener is removed', async () => {
    const { peer, room } = await joinedPair();
    const remove = room.onPresence(() => {});
    expect((await peer.next('watch')).on).toBe(true);
    remove();
    expect((await peer.next('watch')).on).toBe(false);
  });

  test('reports a refusal through error', async () => {
    const { client: made, peer, room } = await joinedPair();
    const told = new Promise((resolve) => made.on('error', resolve));
    room.onPresence(() => {});
    peer.refuse((await peer.next('watch')).ref, 'forbidden');
    expect(await told).toMatchObject({ code: 'forbidden' });
  });
});

describe('rooms after a reconnect', () => {
  test('are joined and watched again, ahead of what waits, when the session was lost', async () => {
    const { gateway, client: made, peer, room } = await joinedPair();
    room.onPresence(() => {});
    await answer(peer, 'watch');
    peer.cut();
    const again = await gateway.accept();
    room.publish('chat', 'while away').catch(() => {});
    await again.welcome({ session: OTHER_SESSION });
    const lost = new Promise((resolve) => made.on('stateLost', resolve));
    const join = await again.next('join');
    expect(join.room).toBe('lobby');
    const watch = await again.next('watch');
    expect(watch.on).toBe(true);
    expect(textOf((await again.next('publish')).payload)).toBe('while away');
    await lost;
    again.ok(join.ref);
    again.ok(watch.ref);
    expect(room.joined).toBe(true);
  });

  test('are watched again but not joined again when the session was resumed with them', async () => {
    const { gateway, peer, room } = await joinedPair();
    room.onPresence(() => {});
    await answer(peer, 'watch');
    peer.cut();
    const again = await gateway.accept();
    await again.welcome({ resumed: true, rooms: [LOBBY] });
    expect((await again.next('watch')).room).toBe('lobby');
  });

  test('are joined again when the resumed session is no longer in them', async () => {
    const { gateway, peer } = await joinedPair();
    peer.cut();
    const again = await gateway.accept();
    await again.welcome({ resumed: true, rooms: [] });
    expect((await again.next('join')).room).toBe('lobby');
  });

  test('are given up and reported when joining again is refused', async () => {
    const { gateway, client: made, peer, room } = await joinedPair();
    peer.cut();
    const again = await gateway.accept();
    await again.welcome({ session: OTHER_SESSION });
    const told = new Promise((resolve) => made.on('error', resolve));
    again.refuse((await again.next('join')).ref, 'forbidden');
    expect(await told).toMatchObject({ code: 'forbidden' });
    expect(room.joined).toBe(false);
  });

  test('are not joined again after leave() or leaveAll()', async () => {
    const { gateway, client: made, peer } = await joinedPair();
    const left = made.leaveAll();
    peer.ok((await peer.next('leaveAll')).ref);
    await left;
    peer.cut();
    const again = await gateway.accept();
    await again.welcome({ session: OTHER_SESSION });
    made.isOnline('bob').catch(() => {});
    await again.next('online');
  });
});
