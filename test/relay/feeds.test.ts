// Feeds: what the fast path loses is read from the log, in order, for all who read a channel and for each who comes late.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, RoomName } from '../../src/protocol/ids.js';
import { encodeMessageBody, encodeRoomMessageBody, msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { Feeds } from '../../src/relay/feeds.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { Channel, SessionRef, StoreEvent } from '../../src/session/store/store.js';
import { SETTINGS, W1, attach, attachRequest } from '../session/store/fixture.js';
import { createReceiver, sessionId } from './receiver.js';

const lobby = { kind: 'room', room: 'lobby' as RoomName } satisfies Channel;
const inbox: Channel = { kind: 'inbox', client: 'alice' as ClientId };

const message = (event: string) => ({
  options: {},
  from: 'sender' as ClientId,
  session: sessionId('sender'),
  event: event as Parameters<typeof encodeMessageBody>[0]['event'],
  payload: { encoding: 2, data: Buffer.from('1') },
});

describe('feeds', () => {
  let store: MemoryStore;
  let registry: SessionRegistry;
  let feeds: Feeds;
  /** What the store told; `lost` says which of it is not passed on. */
  let lose: (event: StoreEvent) => boolean;
  let failures: number;
  let sender: SessionRef;

  beforeEach(async () => {
    lose = () => false;
    failures = 0;
    registry = new SessionRegistry();
    store = new MemoryStore({
      settings: SETTINGS,
      deliver: (_, event) => {
        if (event.type === 'entry' && !lose(event)) feeds.entry(event);
      },
    });
    const read = store.read.bind(store);
    store.read = (query) => {
      if (failures > 0) {
        failures--;
        return Promise.reject(new Error('not now'));
      }
      return read(query);
    };
    feeds = new Feeds({
      store,
      registry,
      msgpack: msgpackCodec,
      count: () => undefined,
      countRead: () => undefined,
      countGap: () => undefined,
    });
    sender = await attach(store, attachRequest('sender', W1));
  });

  const publish = async (
    event: string,
    channel: Channel = lobby,
    more: object = {},
  ): Promise<string | null> => {
    const { client, session, generation } = sender;
    const body =
      channel.kind === 'room'
        ? encodeRoomMessageBody({ ...message(event), room: channel.room })
        : encodeMessageBody(message(event));
    const result = await store.append({
      channel,
      sender: { client, session, generation },
      seq: null,
      first: null,
      ttlMs: null,
      keep: false,
      only: null,
      skip: [],
      body,
      ...more,
    });
    return result.status === 'accepted' ? result.id : null;
  };
  /** A member of the lobby on this worker, and what it hears: event names, gaps and positions. */
  const member = async (name: string, from?: { after: string | null } | { last: number }) => {
    const { session, frames } = createReceiver(name);
    const ref = await attach(store, attachRequest(name, W1, { fresh: session.ref.session }));
    registry.add(session);
    const feed = feeds.hold(lobby);
    feed.expect(session);
    registry.enter(session, lobby.room);
    const joined = await store.join({ ...ref, room: lobby.room, worker: W1, roomsLimit: 9 });
    if (joined.status !== 'joined') throw new Error('not joined');
    if (from === undefined) feed.enter(session, joined.position, joined.position, null);
    else if ('after' in from) feed.enter(session, from.after, undefined, null);
    else {
      feed.begin(joined.position);
      feed.replay(session, from);
    }
    feeds.release(feed);
    const heard = () =>
      frames.map((frame) =>
        frame.type === 'roomMessage' || frame.type === 'message'
          ? frame.event
          : frame.type === 'gap'
            ? `${frame.reason} ${String(frame.missing)}`
            : frame.type,
      );
    return { session, heard };
  };
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
  const until = async (condition: () => boolean) => {
    while (!condition()) await settled();
  };

  test('pass entries to who reads live, and nothing that came before', async () => {
    await publish('before');
    const alice = await member('alice');
    await publish('a');
    await publish('b');
    expect(alice.heard()).toEqual(['a', 'b']);
  });

  test.each([
    ['one', ['b'], ['a', 'b', 'c', 'd']],
    ['several', ['a', 'b', 'c'], ['a', 'b', 'c', 'd']],
  ])('read %s that the fast path lost from the log before what comes next', async (_, lost, expected) => {
    const alice = await member('alice');
    const bob = await member('bob');
    let count = 0;
    lose = () => lost.includes('abcd'[count++] ?? '');
    for (const event of 'abcd') await publish(event);
    await until(() => alice.heard().length === 4 && bob.heard().length === 4);
    expect([alice.heard(), bob.heard()]).toEqual([expected, expected]);
  });

  test('drop what comes twice', async () => {
    const alice = await member('alice');
    lose = (event) => {
      if (event.type === 'entry') feeds.entry(event);
      return false;
    };
    await publish('a');
    await publish('b');
    expect(alice.heard()).toEqual(['a', 'b']);
  });

  test('give a session that comes back what it missed, then what is new, while others hear it once', async () => {
    const bob = await member('bob');
    const seen = await publish('a');
    await publish('b');
    const alice = await member('alice', { after: seen });
    await publish('c');
    await until(() => alice.heard().length === 2);
    await publish('d');
    expect([alice.heard(), bob.heard()]).toEqual([
      ['b', 'c', 'd'],
      ['a', 'b', 'c', 'd'],
    ]);
  });

  test('give the first reader what it missed', async () => {
    const seen = await publish('a');
    await publish('b');
    const alice = await member('alice', { after: seen });
    await publish('c');
    await until(() => alice.heard().length === 2);
    expect(alice.heard()).toEqual(['b', 'c']);
  });

  test('tell how many are missing where the log was trimmed', async () => {
    const seen = await publish('0');
    for (const event of '1234567') await publish(event);
    const alice = await member('alice', { after: seen });
    const bob = await member('bob', { after: seen });
    await until(() => alice.heard().length === 6 && bob.heard().length === 6);
    expect(alice.heard()).toEqual(['trimmed 2', '3', '4', '5', '6', '7']);
    expect(bob.heard()).toEqual(alice.heard());
  });

  test('tell that the store lost what it had, and give what is still there', async () => {
    await publish('a');
    const alice = await member('alice', { after: 'other:7-1' });
    await until(() => alice.heard().length === 2);
    await publish('b');
    expect(alice.heard()).toEqual(['lost null', 'a', 'b']);
  });

  test('give the last so many when a session joins with history', async () => {
    const bob = await member('bob');
    for (const event of 'abcd') await publish(event);
    const alice = await member('alice', { last: 2 });
    await until(() => alice.heard().length === 2);
    await publish('e');
    expect(alice.heard()).toEqual(['c', 'd', 'e']);
    expect(bob.heard()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('ask again while the store does not answer', async () => {
    const seen = await publish('a');
    await publish('b');
    failures = 2;
    const alice = await member('alice', { after: seen });
    await until(() => alice.heard().length > 0);
    expect(alice.heard()).toEqual(['b']);
  });

  test('read every log again when events were interrupted', async () => {
    const alice = await member('alice');
    lose = () => true;
    await publish('a');
    await feeds.resync();
    expect(alice.heard()).toEqual(['a']);
  });

  test('read once more when events were interrupted while a read was under way', async () => {
    const alice = await member('alice');
    lose = () => true;
    await publish('a');
    let answer = (): void => undefined;
    const read = store.read.bind(store);
    store.read = async (query) => {
      const result = await read(query);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return result;
    };
    const first = feeds.resync();
    await settled();
    store.read = read;
    await publish('b');
    await feeds.resync();
    answer();
    await first;
    await until(() => alice.heard().length === 2);
    expect(alice.heard()).toEqual(['a', 'b']);
  });

  test('skip who is not meant, and tell where the channel stands now and then', async () => {
    const alice = await member('alice');
    const bob = await member('bob');
    for (let i = 0; i < 64; i++) await publish('x', lobby, { skip: ['alice'] });
    expect(bob.heard()).toHaveLength(64);
    expect(alice.heard()).toEqual(['position']);
  });

  test.each([
    ['every session of the client', null, [1, 1]],
    ['the one session it is for', sessionId('second'), [0, 1]],
  ])('take an inbox’s entry to %s', async (_, only, expected) => {
    const sessions = ['first', 'second'].map((name) => createReceiver('alice', name));
    for (const { session } of sessions) {
      const feed = feeds.hold(inbox);
      const fresh = session.ref.session;
      const result = await store.attach(attachRequest('alice', W1, { fresh }));
      registry.add(session);
      if (result.status === 'attached') feed.enter(session, result.inbox, result.inbox, null);
      feeds.release(feed);
    }
    await publish('hi', inbox, { only });
    expect(sessions.map(({ frames }) => frames.length)).toEqual(expected);
  });

  test('give a slow reader no more than it reads: the log holds the rest', async () => {
    const alice = await member('alice');
    let queued = 0;
    Object.defineProperty(alice.session.connection, 'queuedBytes', { get: () => queued });
    await publish('a');
    queued = 900_000;
    await publish('b');
    await publish('c');
    expect(alice.heard()).toEqual(['a']);
    queued = 0;
    await until(() => alice.heard().length === 3);
    await publish('d');
    expect(alice.heard()).toEqual(['a', 'b', 'c', 'd']);
  });
});
