// Which page of one client has its place in a mesh: what they say to each other, before, while and after each of them takes it.
import { expect, test } from '@jest/globals';
import { Mesh } from '../../../src/client/rtc/mesh.js';
import {
  type MeshClient,
  type MeshMembersPage,
  MeshPlace,
  type MeshRoom,
} from '../../../src/client/rtc/mesh-place.js';
import { peersOf } from '../../../src/client/rtc/peers.js';
import { isEventName } from '../../../src/protocol/ids.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

useTestConnections();

type Handler = (data: unknown, from: { client: string; session: string }) => unknown;

const [FIRST, NEXT, OTHER] = ['A', 'B', 'C'].map((letter) => letter.repeat(22)) as [string, string, string];

/** A list of members that has alice with so many sessions. */
function listOf(sessions: number): MeshMembersPage {
  return { members: [{ client: 'alice', sessions }], cursor: null, count: 1 };
}

/** Alice's page: what its place says is kept, what it hears comes by hand. */
class Page {
  readonly environment = new ManualEnvironment(1);
  readonly said: string[] = [];
  readonly client: MeshClient;
  session = FIRST;
  reads = 0;
  replaced = 0;
  list = listOf(1);
  readonly #handlers = new Map<string, Handler>();

  constructor() {
    const sessionOf = (): string => this.session;
    this.client = {
      id: 'alice',
      get sessionId() {
        return sessionOf();
      },
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      send: (_to, event) => {
        if (!isEventName(event)) throw new TypeError(`No event may be named ${event}.`);
        this.said.push(event);
        return Promise.resolve();
      },
      onMessage: (event, handler) => {
        this.#handlers.set(event, handler);
        return () => undefined;
      },
      on: () => () => undefined,
    };
  }

  readonly room: MeshRoom = {
    name: 'lobby',
    joined: true,
    join: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    onPresence: () => () => undefined,
    members: () => {
      this.reads++;
      return Promise.resolve(this.list);
    },
  };

  place(limitMembers = 2): MeshPlace {
    const { client, room, environment } = this;
    return new MeshPlace({ client, room, limitMembers, environment, onReplaced: () => this.replaced++ });
  }

  hear(event: string, session: string): void {
    this.#handlers.get(event)?.('lobby', { client: 'alice', session });
  }
}

test('a mesh looks for its members again where its client is not among the first that it is told', async () => {
  const page = new Page();
  page.list = { members: [], cursor: null, count: 0 };
  const { client, room, environment } = page;
  const mesh = await Mesh.open(client, room, peersOf(client), { environment });
  expect(page.reads).toBe(1);
  page.list = listOf(1);
  environment.advance(3_000);
  expect(page.reads).toBe(2);
  await mesh.leave();
});

test('a claim that comes before the place is taken is answered by one when it is', () => {
  const page = new Page();
  const place = page.place();
  page.hear('~mesh', OTHER);
  place.take(listOf(1));
  expect([page.said, page.replaced]).toEqual([['~mesh'], 0]);
  // That of the other page came before the own one, which it has heard by now.
  page.hear('~mesh', OTHER);
  page.hear('~mesh', FIRST);
  expect(page.replaced).toBe(0);
  page.hear('~mesh', OTHER);
  expect(page.replaced).toBe(1);
});

test('a claim that was lost with its session does not keep the place from hearing the next one', () => {
  const page = new Page();
  const place = page.place();
  place.take(listOf(2));
  page.session = NEXT;
  // If it comes after all, it is no other page's, whether the place is taken again by then or not.
  page.hear('~mesh', FIRST);
  place.take(listOf(1));
  page.hear('~mesh', FIRST);
  expect([page.said, page.replaced]).toEqual([['~mesh', '~mesh/who'], 0]);
  page.hear('~mesh', OTHER);
  expect(page.replaced).toBe(1);
});

test('a page that is back as another session asks, and nobody is called from it before there was time to answer', () => {
  const page = new Page();
  const place = page.place();
  place.take(listOf(1));
  page.session = NEXT;
  place.take(listOf(1));
  expect([page.said, place.isInDoubt]).toEqual([['~mesh/who'], true]);
  page.hear('~mesh/who', NEXT);
  page.hear('~mesh/who', OTHER);
  // Two who are back at once ask and claim both; the first claim is its own.
  expect(page.said).toEqual(['~mesh/who', '~mesh']);
  page.hear('~mesh/who', OTHER);
  page.hear('~mesh', OTHER);
  page.hear('~mesh', NEXT);
  expect([page.said.length, page.replaced]).toEqual([2, 0]);
  page.environment.advance(2_000);
  expect(place.isInDoubt).toBe(false);
  page.hear('~mesh', OTHER);
  expect(page.replaced).toBe(1);
});

test('who gives entering up does not wait for its next try', async () => {
  const page = new Page();
  Reflect.set(page.room, 'joined', false);
  const giving = new AbortController();
  const place = page.place();
  await place.join(undefined);
  const trying = place.givesWay(giving.signal);
  await new Promise((resolve) => setImmediate(resolve));
  expect(page.environment.pending).toBe(1);
  giving.abort();
  await expect(trying).rejects.toMatchObject({ code: 'aborted' });
  expect([page.environment.pending, page.reads]).toEqual([0, 0]);
});
