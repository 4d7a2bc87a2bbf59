// Ends of connections that the store could not hear of, with the embedded store behind a wire that can be cut.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, SessionId, WorkerId } from '../../src/protocol/ids.js';
import { GatewayError } from '../../src/protocol/errors.js';
import { Endings } from '../../src/session/endings.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { SessionRef } from '../../src/session/store/store.js';
import { SETTINGS } from './store/fixture.js';

const WORKER = 'n.1' as WorkerId;
let memory: MemoryStore;
let cut: (ref: SessionRef) => boolean | Promise<boolean>;
let asked: SessionRef[];
let failures: number;
let endings: Endings;

beforeEach(() => {
  memory = new MemoryStore({ settings: SETTINGS, deliver: () => undefined, now: () => 0 });
  cut = () => true;
  asked = [];
  failures = 0;
  const through = (tell: (ref: SessionRef) => Promise<void>) => async (ref: SessionRef) => {
    asked.push(ref);
    if (await cut(ref)) throw new GatewayError('unavailable');
    await tell(ref);
  };
  const store = {
    detach: through((ref) => memory.detach(ref)),
    end: through((ref) => memory.end(ref)),
  };
  endings = new Endings(store, () => {
    failures++;
  });
});

async function attach(name: string, resume: string | null = null): Promise<SessionRef> {
  const session = name as SessionId;
  const result = await memory.attach({
    client: `client-${name}` as ClientId,
    worker: WORKER,
    resume: resume === null ? null : { session, keyHash: resume },
    fresh: session,
    keyHash: 'key',
    duplicates: 'allow',
    sessionsLimit: 10,
  });
  if (result.status !== 'attached') throw new Error('the session was refused');
  return { client: `client-${name}` as ClientId, session, generation: result.generation };
}

const placesOf = ({ client }: SessionRef) => memory.locate(client, null);
/** Lets what was told arrive: everything here answers in microtasks. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('Endings', () => {
  test('tells again what the store could not hear, once', async () => {
    const [waits, gone] = [await attach('waits'), await attach('gone')];
    void endings.tell(waits, false);
    void endings.tell(gone, true);
    await settle();
    await endings.retry();
    expect(failures).toBe(4);
    await expect(placesOf(waits)).resolves.toMatchObject([{ connected: true }]);
    cut = () => false;
    await endings.retry();
    await expect(placesOf(waits)).resolves.toMatchObject([{ connected: false }]);
    await expect(placesOf(gone)).resolves.toEqual([]);
    asked = [];
    await endings.retry();
    expect(asked).toEqual([]);
  });

  test('does not disconnect a session that came back meanwhile', async () => {
    const first = await attach('alice');
    void endings.tell(first, false);
    await settle();
    const second = await attach('alice', 'key');
    cut = () => false;
    await endings.retry();
    await expect(placesOf(second)).resolves.toMatchObject([{ connected: true, generation: 2 }]);
  });

  test('keeps the newest word where several of one session failed', async () => {
    const first = await attach('alice');
    let failLate = (_: boolean): void => undefined;
    const late = new Promise<boolean>((resolve) => (failLate = resolve));
    cut = (ref) => ref !== first || late;
    void endings.tell(first, false);
    const second = await attach('alice', 'key');
    void endings.tell(second, true);
    await settle();
    failLate(true);
    await settle();
    asked = [];
    cut = () => false;
    await endings.retry();
    expect(asked).toEqual([second]);
    await expect(placesOf(second)).resolves.toEqual([]);
  });

  test('stops a round in which nobody was heard, and begins the next with others', async () => {
    for (let i = 0; i < 450; i++) void endings.tell(await attach(`s${String(i)}`), false);
    await settle();
    asked = [];
    await endings.retry();
    expect(asked).toHaveLength(200);
    const [first] = asked;
    cut = (ref) => ref === first;
    asked = [];
    await endings.retry();
    expect(asked).toHaveLength(450);
    asked = [];
    await endings.retry();
    expect(asked).toEqual([first]);
  });
});
