// Feeds: what the fast path loses is read from the log, in order, for all who read a channel and for each who comes late.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, RoomName } from '../../src/protocol/ids.js';
import {
  encodeMessageBody,
  encodeRoomMessageBody,
  encodeSender,
  msgpackCodec,
} from '../../src/protocol/msgpack-codec.js';
import { Feeds } from '../../src/relay/feeds.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type {
  Channel,
  Entry,
  ReadQuery,
  ReadResult,
  SessionRef,
  StoreEvent,
} from '../../src/session/store/store.js';
import { SETTINGS, W1, attach, attachRequest } from '../session/store/fixture.js';
import { until } from '../gateway-process.js';
import { createReceiver, sessionId } from './receiver.js';

const lobby = { kind: 'room', room: 'lobby' as RoomName } satisfies Channel;
const inbox: Channel = { kind: 'inbox', client: 'alice' as ClientId };

const message = (event: string) => ({
  options: {},
  sender: encodeSender('sender', sessionId('sender')),
  event: event,
  payload: { encoding: 2, data: Buffer.from('1') },
});

describe('feeds', () => {
  let store: MemoryStore;
  let registry: SessionRegistry;
  let feeds: Feeds;
  /** What the store told; `lost` says which of it is not passed on. */
  let lose: (event: StoreEvent) => boolean;
  let failures: number;
  /** Called before each read of a log. */
  let onRead: (reason: 'hole' | 'replay', channel: Channel) => Promise<unknown> | undefined;
  let reason: 'hole' | 'replay';
  /** What the log of the lobby is after a failover that lost what it was; null without one. */
  let heir: Entry[] | null;
  let sender: SessionRef;

  beforeEach(async () => {
    lose = () => false;
    failures = 0;
    onRead = () => undefined;
    heir = null;
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
      const { channel, from } = query;
      const result = channel.kind === 'room' && heir !== null ? readHeir(heir, from) : read(query);
      return Promise.resolve(onRead(reason, channel)).then(() => result);
    };
    feeds = new Feeds({
      store,
      registry,
      msgpack: msgpackCodec,
      count: () => undefined,
      countRead: (why) => (reason = why),
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
        ? encodeRoomMessageBody(channel.room, message(event))
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
  const readHeir = (entries: Entry[], from: ReadQuery['from']): Promise<ReadResult> => {
    const position = entries.at(-1)?.id ?? null;
    const at = 'after' in from ? entries.findIndex(({ id }) => id === from.after) : -1;
    if ('after' in from && at < 0) return Promise.resolve({ status: 'lost', position });
    const rest = entries.slice(at + 1);
    return Promise.resolve({ status: 'entries', missing: 0, entries: rest, more: false, position });
  };
  /** Events as the log of the lobby after a failover: its epoch stays, its entries are others. */
  const failOver = (epoch: string, ...events: string[]): Entry[] =>
    (heir = events.map((event, i) => ({
      ...{ id: `${epoch}:${String(i + 1)}-7`, only: null, skip: [], kept: false },
      body: encodeRoomMessageBody(lobby.room, message(event)),
    })));
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

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

  test('read once for a session that asks for history again and again, from where it asked last', async () => {
    for (const event of 'abcd') await publish(event);
    const alice = await member('alice', { last: 4 });
    const feed = feeds.hold(lobby);
    for (let i = 0; i < 50; i++) feed.replay(alice.session, { last: 1 });
    await until(() => alice.heard().length > 0);
    await settled();
    await publish('e');
    expect(alice.heard()).toEqual(['d', 'e']);
    feeds.release(feed);
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

  test('let nothing pass while they wait for their turn to be read again', async () => {
    for (let i = 0; i < 64; i++) feeds.hold({ kind: 'room', room: `r${String(i)}` as RoomName }).begin(null);
    const alice = await member('alice');
    const [epoch = ''] = (await publish('a'))?.split(':') ?? [];
    const [first, second] = failOver(epoch, 'x', 'y');
    if (second === undefined) throw new Error('no entry');
    const read = feeds.resync();
    // As if it came right after what was there before the failover.
    feeds.entry({ type: 'entry', channel: lobby, entry: { ...second, after: first?.id ?? null } });
    await read;
    expect(alice.heard()).toEqual(['a', 'lost null', 'x', 'y']);
  });

  test('notice another entry at the place of the last one', async () => {
    const alice = await member('alice');
    const [epoch = ''] = (await publish('a'))?.split(':') ?? [];
    const [first] = failOver(epoch, 'x');
    if (first === undefined) throw new Error('no entry');
    feeds.entry({ type: 'entry', channel: lobby, entry: { ...first, after: null } });
    await until(() => alice.heard().length === 3);
    expect(alice.heard()).toEqual(['a', 'lost null', 'x']);
  });

  test('lose nothing silently for a session that was ahead when the store lost the log', async () => {
    const bob = await member('bob');
    const seen = await publish('a');
    lose = () => true;
    await publish('b');
    await publish('c');
    onRead = (why) => (why === 'hole' ? Promise.reject(new Error('not now')) : undefined);
    void feeds.resync();
    const alice = await member('alice', { after: null });
    await until(() => alice.heard().length === 3);
    failOver(seen?.split(':')[0] ?? '', 'x', 'y');
    onRead = () => undefined;
    await until(() => alice.heard().length === 6 && bob.heard().length === 4);
    expect(alice.heard()).toEqual(['a', 'b', 'c', 'lost null', 'x', 'y']);
    expect(bob.heard()).toEqual(['a', 'lost null', 'x', 'y']);
  });

  test('do not wait for a log that cannot be read before others are', async () => {
    for (let i = 0; i < 64; i++) feeds.hold({ kind: 'room', room: `r${String(i)}` as RoomName }).begin(null);
    const alice = await member('alice');
    lose = () => true;
    await publish('a');
    onRead = (_, channel) => (channel === lobby ? undefined : Promise.reject(new Error('not now')));
    await feeds.resync();
    expect(alice.heard()).toEqual(['a']);
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
