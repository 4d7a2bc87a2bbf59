// Letters find the session where it is now, also when the route that they took was old.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, SessionId, WorkerId } from '../../src/protocol/ids.js';
import type { Envelope } from '../../src/relay/envelope.js';
import { type Letter, Postman } from '../../src/relay/postman.js';
import { RouteCache } from '../../src/relay/route-cache.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { SessionPlace, Store } from '../../src/session/store/store.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { until } from '../gateway-process.js';
import { W1, W2 } from '../session/store/fixture.js';
import { createReceiver } from './receiver.js';

const W3 = 'n1.3' as WorkerId;
const ANSWER: Letter = { kind: 'response', ref: 7, code: '', text: '', encoding: 0, data: Buffer.from('42') };
const RECEIPT: Letter = { kind: 'delivered', by: 'bob' as ClientId, seq: 1 };

describe('the postman of a worker', () => {
  const { session } = createReceiver('alice', 'alice');
  const { client, session: id } = session.ref;
  let now: number;
  let place: SessionPlace;
  let registry: SessionRegistry;
  let wheel: TimerWheel;
  let sent: [WorkerId, Envelope][];
  let received: Letter[];
  let dropped: string[];
  let postman: Postman;
  beforeEach(() => {
    now = 0;
    [sent, received, dropped] = [[], [], []];
    place = { client, session: id, generation: 1, worker: W2, connected: true };
    registry = new SessionRegistry();
    wheel = new TimerWheel(() => now);
    const store = { locate: () => Promise.resolve([place]) } as unknown as Store;
    postman = new Postman({
      worker: W1,
      registry,
      routes: new RouteCache(store, W1),
      wheel,
      relay: {
        send: (to: WorkerId, envelope: Envelope) => sent.push([to, envelope]) > 0,
      } as unknown as ConstructorParameters<typeof Postman>[0]['relay'],
      receive: (_, letter) => received.push(letter),
      countDropped: (reason) => dropped.push(reason),
    });
  });
  afterEach(() => wheel.close());
  const letter = (to: SessionId, text: Letter): Extract<Envelope, { kind: 'letter' }> => ({
    kind: 'letter',
    origin: W3,
    client,
    session: to,
    letter: text,
  });

  test('hands a letter to a session that is here', () => {
    registry.add(session);
    postman.deliver(letter(id, ANSWER));
    expect([received, sent, dropped]).toEqual([[ANSWER], [], []]);
  });

  test('sends an answer on that came too late, and corrects the route of who sent it', async () => {
    postman.deliver(letter(id, ANSWER));
    await until(() => sent.length === 2);
    expect(sent).toEqual([
      [W3, { kind: 'missing', client, handle: '' }],
      [W2, { ...letter(id, ANSWER), origin: W1 }],
    ]);
    expect(dropped).toEqual([]);
  });

  test('keeps an answer that came too late until the session has a connection again', async () => {
    place = { ...place, connected: false };
    postman.deliver(letter(id, ANSWER));
    await new Promise(setImmediate);
    registry.add(session);
    for (const end = now + 2_000; now < end; now += 100) {
      wheel.advance();
      await new Promise(setImmediate);
    }
    expect([received, dropped]).toEqual([[ANSWER], []]);
  });

  test('drops a receipt that came too late, and counts it', () => {
    postman.deliver(letter(id, RECEIPT));
    expect(sent).toEqual([[W3, { kind: 'missing', client, handle: '' }]]);
    expect([received, dropped]).toEqual([[], ['away']]);
  });
});
