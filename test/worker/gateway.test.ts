import { expect, test } from '@jest/globals';
import { parseConfig } from '../../src/config.js';
import { GatewayError } from '../../src/protocol/errors.js';
import { Endings } from '../../src/session/endings.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { Store } from '../../src/session/store/store.js';
import { Gateway } from '../../src/worker/gateway.js';
import type { VisitOptions } from '../../src/worker/visit.js';
import {
  appendRequest,
  attachRequest,
  client,
  newSession,
  room,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from '../session/store/fixture.js';

const LOBBY = room('lobby');

/** A session of alice that is in the lobby and away, with one message there; and how to come back. */
async function aliceWasHere() {
  const store = new MemoryStore({ settings: SETTINGS, deliver: () => undefined });
  const session = newSession();
  await store.attach(attachRequest('alice', W1, { fresh: session }));
  const ref = { client: client('alice'), session, generation: 1 };
  await store.join({ ...ref, worker: W1, room: LOBBY, roomsLimit: 10 });
  const sent = await store.append(appendRequest(roomLog('lobby'), { sender: ref }));
  await store.detach(ref);
  const back = attachRequest('alice', W2, { resume: { session, keyHash: 'key-1' } });
  return { store, back, id: 'id' in sent ? sent.id : null };
}

function gatewayOn(store: Store): Gateway {
  // All that an attach needs.
  const endings = new Endings(store, () => undefined);
  return new Gateway({
    store,
    registry: new SessionRegistry(),
    endings,
    config: parseConfig({}),
    plugins: null,
  } as unknown as VisitOptions);
}

test('a session that does not say how far it has read a room goes on from where the room stands at its attach', async () => {
  const { store, back, id } = await aliceWasHere();
  expect(id).not.toBeNull();
  const { result, positions } = await gatewayOn(store).attach(back, new Map([[null, null]]));
  expect(result).toMatchObject({ status: 'attached', resumed: true });
  expect(positions).toEqual(new Map([[LOBBY, id]]));
});

test('a room whose cursor is known is not looked up', async () => {
  const { store, back } = await aliceWasHere();
  store.read = () => Promise.reject(new Error('not needed'));
  const { positions } = await gatewayOn(store).attach(back, new Map([[LOBBY, null]]));
  expect(positions).toEqual(new Map());
});

test('a store that cannot say where a room stands makes the attach fail', async () => {
  const { store, back } = await aliceWasHere();
  store.read = () => Promise.reject(new Error('away'));
  const { result, positions } = await gatewayOn(store).attach(back, new Map());
  expect(result.status).toBe('attached');
  expect(positions).toBeNull();
});

test('a store that may attach later is told that the session is over', async () => {
  const { store } = await aliceWasHere();
  const ended: unknown[] = [];
  store.end = (ref) => Promise.resolve(void ended.push(ref));
  const request = attachRequest('bob', W1);
  for (const code of ['unavailable', 'unknown_outcome'] as const) {
    store.attach = () => Promise.reject(new GatewayError(code));
    await expect(gatewayOn(store).attach(request, new Map())).rejects.toMatchObject({ code });
  }
  // What was never sent will not be done.
  expect(ended).toEqual([{ client: client('bob'), session: request.fresh, generation: 1 }]);
});
