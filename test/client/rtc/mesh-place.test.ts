// Places in a room of limited size, taken and given back over a model of a gateway: every answer takes a random time.
import { describe, expect, test } from '@jest/globals';
import { Mesh, type MeshEvents } from '../../../src/client/rtc/mesh.js';
import type { MeshClient, MeshRoom } from '../../../src/client/rtc/mesh-place.js';
import { peersOf } from '../../../src/client/rtc/peers.js';
import { GatewayError } from '../../../src/protocol/errors.js';
import { type Random, seeded } from '../../faults/random.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

const connections = useTestConnections();

/** Longest way to the gateway and back, ms. */
const WAY_MS = 60;

/** Chance by a seed, and time that passes when told. */
class SeededEnvironment extends ManualEnvironment {
  readonly #random: Random;
  constructor(seed: number) {
    super();
    this.#random = seeded(seed);
  }
  override random(): number {
    return this.#random.next();
  }
}

type Handler = (data: unknown, from: { client: string; session: string }) => unknown;

/** One room, who is in it, and the inbox of each client, which all of its sessions read in one order. */
class ModelGateway {
  readonly environment: SeededEnvironment;
  readonly present = new Map<string, Set<string>>();
  readonly #pages: ModelPage[] = [];

  constructor(seed: number) {
    this.environment = new SeededEnvironment(seed);
  }

  page(client: string): ModelPage {
    const page = new ModelPage(this, client, String(this.#pages.length).padStart(22, 'S'));
    this.#pages.push(page);
    return page;
  }

  /** What becomes of `run` at the gateway, when the answer is back. */
  ask<Answer>(run: () => Answer): Promise<Answer> {
    const { environment } = this;
    return new Promise((resolve) => {
      environment.after(environment.random() * WAY_MS, () => {
        const answer = run();
        environment.after(environment.random() * WAY_MS, () => resolve(answer));
      });
    });
  }

  post(to: string, event: string, data: unknown, from: ModelPage): void {
    const sender = { client: from.client.id ?? '', session: from.client.sessionId ?? '' };
    for (const page of this.#pages)
      if (page.client.id === to) page.deliver(() => page.hear(event, data, sender));
  }

  /** Until `isDone`, or so many ms. */
  async run(ms: number, look: () => void = () => {}): Promise<void> {
    for (let at = 0; at < ms; at += 5) {
      this.environment.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
      look();
    }
  }
}

class ModelPage {
  readonly client: MeshClient;
  readonly room: MeshRoom;
  mesh: Mesh | null = null;
  refusal: unknown = null;
  end: MeshEvents['close'][0] | null = null;
  readonly #handlers = new Map<string, Handler[]>();
  readonly #listeners: ((state: string, info: { code: string | null }) => unknown)[] = [];
  readonly #gateway: ModelGateway;
  #session: string;
  #isJoined = false;
  #hearsAt = 0;

  constructor(gateway: ModelGateway, id: string, session: string) {
    this.#gateway = gateway;
    this.#session = session;
    const sessionId = (): string => this.#session;
    const isJoined = (): boolean => this.#isJoined;
    this.client = {
      id,
      get sessionId() {
        return sessionId();
      },
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      send: (to, event, data) =>
        event.startsWith('~mesh')
          ? gateway.ask(() => gateway.post(to, event, data, this))
          : Promise.resolve(),
      onMessage: (event, handler) => {
        const handlers = this.#handlers.get(event) ?? [];
        this.#handlers.set(event, [...handlers, handler]);
        return () => this.#handlers.set(event, []);
      },
      on: (event: string, listener: never) => {
        if (event === 'state') this.#listeners.push(listener);
        return () => undefined;
      },
    };
    this.room = {
      name: 'lobby',
      get joined() {
        return isJoined();
      },
      join: async () => {
        await gateway.ask(() => this.#setPresent(true));
        this.#isJoined = true;
      },
      leave: async () => {
        this.#isJoined = false;
        await gateway.ask(() => this.#setPresent(false));
      },
      onPresence: () => () => undefined,
      members: () =>
        gateway.ask(() => {
          const rows = [...gateway.present].map(([client, sessions]) => ({
            client,
            sessions: sessions.size,
          }));
          return {
            members: rows.sort((a, b) => (a.client < b.client ? -1 : 1)),
            cursor: null,
            count: rows.length,
          };
        }),
    };
  }

  #setPresent(isPresent: boolean): void {
    const { present } = this.#gateway;
    const sessions = present.get(this.client.id ?? '') ?? new Set();
    if (isPresent) sessions.add(this.#session);
    else sessions.delete(this.#session);
    if (sessions.size > 0) present.set(this.client.id ?? '', sessions);
    else present.delete(this.client.id ?? '');
  }

  deliver(run: () => void): void {
    const { environment } = this.#gateway;
    this.#hearsAt = Math.max(this.#hearsAt, environment.now() + environment.random() * WAY_MS);
    environment.after(this.#hearsAt - environment.now(), run);
  }

  hear(event: string, data: unknown, from: { client: string; session: string }): void {
    for (const handler of this.#handlers.get(event) ?? []) handler(data, from);
  }

  /** Its session ran out while it was away; the room is joined again as the SDK does. */
  loseSession(): void {
    this.#setPresent(false);
    this.#session = this.#session.replace('S', 'T');
  }

  async comeBack(): Promise<void> {
    const joining = this.room.join();
    for (const listener of this.#listeners) listener('connected', { code: null });
    await joining;
  }

  enter(limitMembers: number): void {
    const { environment } = this.#gateway;
    const opening = Mesh.open(this.client, this.room, peersOf(this.client), { limitMembers, environment });
    opening.then(
      (mesh) => {
        this.mesh = mesh;
        mesh.on('close', (reason) => (this.end = reason));
      },
      (error: unknown) => (this.refusal = error),
    );
  }

  get isIn(): boolean {
    return this.mesh !== null && this.end === null;
  }
}

/** Long enough for all tries. */
const ENOUGH_MS = 8_000;
const codeOf = (error: unknown): unknown => (error instanceof GatewayError ? error.code : error);

describe.each(Array.from({ length: 20 }, (_, index) => index + 1))('seed %i', (seed) => {
  test('as many as may come into a room get in, and no more, however many come at the same moment', async () => {
    const gateway = new ModelGateway(seed);
    const limit = 2 + (seed % 3);
    const pages = Array.from({ length: limit + (seed % 4) }, (_, index) =>
      gateway.page(`client-${String(index)}`),
    );
    // One is there already; of the others some come a little later.
    pages[0]?.enter(limit);
    await gateway.run(seed % 2 === 0 ? 500 : 0);
    for (const page of pages.slice(1)) {
      await gateway.run(gateway.environment.random() < 0.7 ? 0 : 30);
      page.enter(limit);
    }
    const inside = (): number => pages.filter(({ isIn }) => isIn).length;
    await gateway.run(ENOUGH_MS, () => expect(inside()).toBeLessThanOrEqual(limit));
    expect(inside()).toBe(limit);
    expect(gateway.present.size).toBe(limit);
    const refused = pages.filter(({ isIn }) => !isIn);
    expect(refused.map(({ refusal }) => codeOf(refusal))).toEqual(refused.map(() => 'limit'));
    for (const { mesh } of pages) await Promise.race([mesh?.leave(), gateway.run(200)]);
  });

  test('of several pages of one client one has the place, the one that came last where that is clear', async () => {
    const gateway = new ModelGateway(seed);
    const pages = [gateway.page('bob'), gateway.page('bob'), gateway.page('bob')];
    const apartMs = seed % 2 === 0 ? 0 : 400;
    for (const page of pages) {
      page.enter(2);
      await gateway.run(apartMs);
    }
    await gateway.run(ENOUGH_MS);
    expect(pages.map(({ refusal }) => refusal)).toEqual([null, null, null]);
    const inside = pages.filter(({ isIn }) => isIn);
    expect(inside).toHaveLength(1);
    if (apartMs > 0) expect(inside).toEqual([pages[2]]);
    expect(pages.filter(({ isIn }) => !isIn).map(({ end }) => codeOf(end))).toEqual(['replaced', 'replaced']);
    expect([...(gateway.present.get('bob') ?? [])]).toEqual([inside[0]?.client.sessionId]);
    for (const { mesh } of inside) await Promise.race([mesh?.leave(), gateway.run(200)]);
  });
});

test('a client whose session was lost keeps its place, unless it was taken meanwhile', async () => {
  const gateway = new ModelGateway(1);
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => gateway.page(name));
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error('no pages');
  alice.enter(2);
  bob.enter(2);
  await gateway.run(1_000);
  alice.loseSession();
  void alice.comeBack();
  await gateway.run(5_000);
  expect([alice.isIn, bob.isIn]).toEqual([true, true]);
  alice.loseSession();
  carol.enter(2);
  await gateway.run(1_000);
  expect(carol.isIn).toBe(true);
  void alice.comeBack();
  await gateway.run(ENOUGH_MS);
  expect([codeOf(alice.end), bob.isIn, carol.isIn]).toEqual(['limit', true, true]);
  expect([...gateway.present.keys()].sort()).toEqual(['bob', 'carol']);
  for (const { mesh } of [bob, carol]) await Promise.race([mesh?.leave(), gateway.run(200)]);
});

test('a page whose session was lost leaves the call to the page that its client took it with meanwhile', async () => {
  const gateway = new ModelGateway(1);
  const [alice, carol] = [gateway.page('alice'), gateway.page('carol')];
  const [laptop, phone] = [gateway.page('bob'), gateway.page('bob')];
  alice.enter(3);
  laptop.enter(3);
  await gateway.run(1_000);
  laptop.loseSession();
  phone.enter(3);
  carol.enter(3);
  await gateway.run(4_000);
  expect([laptop.isIn, phone.isIn, carol.isIn]).toEqual([true, true, true]);
  const before = connections.length;
  void laptop.comeBack();
  // A call from it would take the peer with carol from the phone.
  await gateway.run(ENOUGH_MS, () => expect(connections.length).toBeLessThanOrEqual(before));
  expect([codeOf(laptop.end), phone.isIn]).toEqual(['replaced', true]);
  for (const { mesh } of [alice, carol, phone]) await Promise.race([mesh?.leave(), gateway.run(200)]);
});

test('a page whose session was lost calls who came meanwhile where no other page has its place', async () => {
  const gateway = new ModelGateway(1);
  const [carol, laptop, other] = [gateway.page('carol'), gateway.page('bob'), gateway.page('bob')];
  laptop.enter(3);
  await gateway.run(1_000);
  laptop.loseSession();
  carol.enter(3);
  void other.room.join();
  await gateway.run(4_000);
  const before = connections.length;
  void laptop.comeBack();
  await gateway.run(1_000);
  expect([laptop.isIn, connections.length]).toEqual([true, before]);
  await gateway.run(ENOUGH_MS);
  expect([laptop.isIn, connections.length]).toEqual([true, before + 1]);
  for (const { mesh } of [carol, laptop]) await Promise.race([mesh?.leave(), gateway.run(200)]);
});

test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
  'of two pages of one client that are back as other sessions at the same moment one stays (seed %i)',
  async (seed) => {
    const gateway = new ModelGateway(seed);
    const [first, second] = [gateway.page('bob'), gateway.page('bob')];
    first.enter(2);
    await gateway.run(1_000);
    first.loseSession();
    second.enter(2);
    await gateway.run(1_000);
    second.loseSession();
    for (const page of seed % 2 === 0 ? [first, second] : [second, first]) {
      void page.comeBack();
      await gateway.run(gateway.environment.random() * 100);
    }
    await gateway.run(ENOUGH_MS);
    const inside = [first, second].filter(({ isIn }) => isIn);
    expect(inside).toHaveLength(1);
    expect([...(gateway.present.get('bob') ?? [])]).toEqual([inside[0]?.client.sessionId]);
    for (const { mesh } of inside) await Promise.race([mesh?.leave(), gateway.run(200)]);
  },
);
