// What a mesh does with those who call it: browsers show the rest (test/browser/rtc/mesh.test.ts).
import { expect, test } from '@jest/globals';
import { Client } from '../../../src/client/index.js';
import { Mesh } from '../../../src/client/rtc/mesh.js';
import type { MeshClient, MeshRoom } from '../../../src/client/rtc/mesh-place.js';
import { peersOf } from '../../../src/client/rtc/peers.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

const BOB = { client: 'bob', session: 'BBBBBBBBBBBBBBBBBBBBBB' };
const OWN = [{ urls: 'turn:own.example' }];
const connections = useTestConnections();

/** A mesh with bob, who is in the room; `hello` is a page of bob's that was just loaded, or says so. */
async function withBob() {
  const environment = new ManualEnvironment();
  const handlers: ((data: unknown, from: typeof BOB) => unknown)[] = [];
  const client: MeshClient = {
    id: 'alice',
    sessionId: 'AAAAAAAAAAAAAAAAAAAAAA',
    state: 'connected',
    iceServers: [],
    connect: () => Promise.resolve(),
    send: () => Promise.resolve(),
    onMessage: (_event, handler) => {
      handlers.push(handler);
      return () => undefined;
    },
    on: () => () => undefined,
  };
  let told: Parameters<MeshRoom['onPresence']>[0] = () => undefined;
  const room: MeshRoom = {
    name: 'lobby',
    joined: true,
    join: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    onPresence: (handler) => {
      told = handler;
      return () => undefined;
    },
    members: () =>
      Promise.resolve({
        members: ['alice', 'bob'].map((one) => ({ client: one, sessions: 1 })),
        cursor: null,
        count: 2,
      }),
  };
  const mesh = await Mesh.open(client, room, peersOf(client), {
    environment,
    iceServers: () => OWN,
  });
  const made = new Set(connections);
  let pages = 0;
  const hello = (): void => {
    const id = String(pages++).padStart(22, 'b');
    const signal = { type: 'hello', route: [id, null, 1, 0], name: '~mesh/lobby' };
    for (const hear of handlers) hear(signal, BOB);
    for (const connection of connections) made.add(connection);
  };
  return { environment, mesh, made, hello, change: (change: Parameters<typeof told>[0]) => told(change) };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a member that calls again and again gets so many new peers, and one a while later', async () => {
  const { environment, mesh, made, hello } = await withBob();
  for (let i = 0; i < 50; i++) hello();
  expect(made.size).toBeLessThanOrEqual(6);
  // The newest page of that member is called: it may be an honest one.
  environment.advance(3_000);
  await settle();
  expect(connections).toHaveLength(1);
  expect(connections.filter((connection) => made.has(connection))).toEqual([]);
  environment.advance(10_000);
  const before = made.size;
  hello();
  expect(made.size).toBeGreaterThan(before);
  await mesh.leave();
});

test('options of a mesh are those of each of its peers', async () => {
  const { mesh } = await withBob();
  await settle();
  expect(connections.map((connection) => connection.getConfiguration().iceServers)).toEqual([OWN]);
  await mesh.leave();
});

test('a member that went and came back may call again', async () => {
  const { mesh, made, hello, change } = await withBob();
  for (let i = 0; i < 50; i++) hello();
  change({ joined: [], left: ['bob'] });
  change({ joined: ['bob'], left: [] });
  const before = made.size;
  hello();
  expect(made.size).toBe(before + 1);
  await mesh.leave();
});

test('a mesh gives up entering while there is no gateway when its signal says so, and can be entered again', async () => {
  const client = new Client('ws://127.0.0.1:9', { token: 'x' });
  const enter = (): Promise<unknown> => client.room('lobby').mesh({ signal: AbortSignal.timeout(100) });
  await expect(enter()).rejects.toMatchObject({ code: 'aborted' });
  await expect(enter()).rejects.toMatchObject({ code: 'aborted' });
  await client.close();
  await expect(enter()).rejects.toMatchObject({ code: 'closed' });
});

test('what cannot be sent is refused before any peer hears of it', async () => {
  const { mesh } = await withBob();
  const track = (kind: string, readyState = 'live') => ({ kind, readyState }) as MediaStreamTrack;
  const streamOf = (...tracks: MediaStreamTrack[]) => ({ getTracks: () => tracks }) as MediaStream;
  const refused = expect.objectContaining({ code: 'bad_parameter' }) as unknown as Error;
  expect(() => mesh.addStream(streamOf())).toThrow(refused);
  expect(() => mesh.addStream(streamOf(track('audio', 'ended')))).toThrow(refused);
  const camera = track('video');
  mesh.addStream(streamOf(camera));
  expect(() => mesh.replaceTrack(camera, track('audio'))).toThrow(refused);
  mesh.replaceTrack(camera, track('video'));
  await mesh.leave();
});
