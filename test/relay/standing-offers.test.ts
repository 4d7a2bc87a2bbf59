// Who is given a standing offer, and who is not.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import {
  type ClientId,
  type EventName,
  parseAddress,
  type SessionId,
  type WorkerId,
} from '../../src/protocol/ids.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { encodePayload } from '../../src/protocol/payload.js';
import type { Envelope } from '../../src/relay/envelope.js';
import { StandingOffers, type StandingOutcome } from '../../src/relay/standing-offers.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { Session } from '../../src/session/session.js';
import type { SessionPlace } from '../../src/session/store/store.js';
import { W1, W2 } from '../session/store/fixture.js';
import { createReceiver, sessionId } from './receiver.js';

describe('a standing offer', () => {
  let now: number;
  let sent: [WorkerId, Envelope][];
  let offers: StandingOffers;
  let registry: SessionRegistry;
  let alice: Session;
  let bob: Session;
  let bobHears: GatewayFrame[];
  let counted: StandingOutcome[];
  beforeEach(() => {
    now = 1_000;
    sent = [];
    counted = [];
    registry = new SessionRegistry();
    ({ session: alice } = createReceiver('alice'));
    ({ session: bob, frames: bobHears } = createReceiver('bob'));
    registry.add(alice);
    registry.add(bob);
    offers = new StandingOffers({
      worker: W1,
      registry,
      codec: msgpackCodec,
      now: () => now,
      count: (outcome) => counted.push(outcome),
      relay: {
        send: (to: WorkerId, envelope: Envelope) => sent.push([to, envelope]) > 0,
      } as unknown as ConstructorParameters<typeof StandingOffers>[0]['relay'],
    });
    leave();
  });
  const leave = (): void => {
    const event = 'call' as EventName;
    offers.leave(bob, {
      type: 'standingOffer',
      ref: 1,
      id: 'end',
      event,
      payload: encodePayload('an offer'),
    });
  };
  const placeOf = ({ ref: { client, session } }: Session, connected = true): SessionPlace => {
    return { client, session, generation: 1, worker: W2, connected };
  };
  const ask = (session: Session, to: string, ...places: SessionPlace[]): number => {
    const before = sent.length;
    const address = parseAddress(to);
    if (address === null) throw new Error('no address');
    offers.note(session, address.client);
    offers.ask(session, address, places, 'name');
    return sent.length - before;
  };
  const give = (from: Session, to: SessionId = bob.ref.session): number => {
    const before = sent.length;
    const letter = { kind: 'wanted', from: from.ref.client, sender: from.ref.session, name: 'name' } as const;
    offers.give({ kind: 'letter', origin: W2, client: bob.ref.client, session: to, letter }, letter);
    return sent.length - before;
  };

  test('is asked for at the worker of its session, and comes back from there', () => {
    expect(ask(alice, 'bob', placeOf(bob))).toBe(1);
    expect(sent[0]).toMatchObject([
      W2,
      { kind: 'letter', client: 'bob', letter: { kind: 'wanted', from: 'alice', name: 'name' } },
    ]);
    expect(give(alice)).toBe(1);
    expect(sent[1]).toMatchObject([W2, { kind: 'deliver', client: 'alice', sessions: [alice.ref.session] }]);
    expect(bobHears).toMatchObject([{ type: 'ok' }, { type: 'message', from: 'alice', event: 'call' }]);
    expect(give(alice)).toBe(0);
    expect(counted).toEqual(['left', 'given', 'none']);
  });

  test('does not hold the memory that it came in', () => {
    const event = 'call' as EventName;
    const data = Buffer.alloc(100_000).subarray(7, 17);
    offers.leave(bob, { type: 'standingOffer', ref: 1, id: 'end', event, payload: { encoding: 3, data } });
    expect(bob.standing?.payload.data.buffer.byteLength).toBe(10);
  });

  test('is not asked for where nobody can say which session will take the call', () => {
    const other = { ...placeOf(bob), session: sessionId('other') };
    expect(ask(alice, 'bob')).toBe(0);
    expect(ask(alice, 'bob', placeOf(bob, false))).toBe(0);
    expect(ask(alice, 'bob', placeOf(bob), other)).toBe(0);
    expect(ask(alice, `bob#${other.session}`, placeOf(bob))).toBe(0);
    expect(ask(bob, 'bob', placeOf(bob))).toBe(0);
    expect(counted).toEqual(['left', ...Array<string>(5).fill('sessions')]);
    expect(ask(alice, `bob#${bob.ref.session}`, placeOf(bob))).toBe(1);
    now += 1_000;
    // Which one is known.
    expect(ask(alice, `bob#${bob.ref.session}`, other, placeOf(bob))).toBe(1);
    now += 1_000;
    expect(ask(alice, 'bob', placeOf(bob), { ...other, connected: false })).toBe(1);
  });

  test('is not given to whom its session may not send', () => {
    bob.identity = { ...bob.identity, permissions: parsePermissions({ send: ['carol'] }) };
    expect(give(alice)).toBe(0);
    expect(bob.standing).not.toBe(null);
    expect(counted).toEqual(['left', 'forbidden']);
    const { session: carol } = createReceiver('carol');
    expect(give(carol)).toBe(1);
  });

  test('is not given to whom its session has called itself, whatever it wanted of that one', () => {
    offers.note(bob, alice.ref.client);
    now += 5_000;
    expect(give(alice)).toBe(0);
    expect(counted).toEqual(['left', 'crossed']);
    offers.note(bob, alice.ref.client);
    now += 5_000;
    expect(give(alice)).toBe(0);
    now++;
    expect(give(alice)).toBe(1);
  });

  test('is given to nobody while its session calls more than are remembered', () => {
    for (let i = 0; i < 64; i++) offers.note(bob, `c${i}` as ClientId);
    now++;
    offers.note(bob, 'one-more' as ClientId);
    now += 5_000;
    expect(give(alice)).toBe(0);
    now++;
    expect(give(alice)).toBe(1);
    // Those before are forgotten where others come.
    offers.note(bob, alice.ref.client);
    leave();
    expect(give(alice)).toBe(0);
  });

  test('is never given on both sides of two calls that cross', () => {
    offers.leave(alice, {
      type: 'standingOffer',
      ref: 1,
      id: 'end',
      event: 'call' as EventName,
      payload: encodePayload('an offer'),
    });
    ask(alice, 'bob', placeOf(bob));
    ask(bob, 'alice', placeOf(alice));
    expect(give(alice)).toBe(0);
  });

  test('that was given is an answer to whoever has it: its session asks for none of that one before it leaves the next', () => {
    expect(give(alice)).toBe(1);
    now += 60_000;
    expect(ask(bob, 'alice', placeOf(alice))).toBe(0);
    expect(counted).toEqual(['left', 'given', 'crossed']);
    const { session: carol } = createReceiver('carol');
    expect(ask(bob, 'carol', placeOf(carol))).toBe(1);
    leave();
    expect(ask(bob, 'alice', placeOf(alice))).toBe(1);
  });

  test('is asked for by 16 calls in 5 s at most, and of one client once in a second', () => {
    const calls = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => ask(alice, `c${from + i}`, placeOf(bob)));
    expect(calls(0, 1)).toEqual([1]);
    expect(calls(0, 1)).toEqual([0]);
    now += 999;
    expect(calls(0, 1)).toEqual([0]);
    now++;
    expect(calls(0, 15)).toEqual(Array<number>(15).fill(1));
    expect(calls(15, 16)).toEqual([0]);
    expect(counted).toEqual(['left', 'limit', 'limit', 'limit']);
    now += 4_001;
    expect(calls(15, 17)).toEqual([1, 0]);
    now += 1_000;
    expect(calls(16, 17)).toEqual([1]);
  });

  test('may be asked for by who took its own back after it was given to that client', () => {
    ask(alice, 'bob', placeOf(bob));
    expect(give(alice)).toBe(1);
    expect(ask(bob, 'alice', placeOf(alice))).toBe(0);
    const payload = { ...encodePayload(null), data: new Uint8Array(0) };
    offers.leave(bob, { type: 'standingOffer', ref: 1, id: '-', event: 'call' as EventName, payload });
    now += 1_000;
    expect(ask(bob, 'alice', placeOf(alice))).toBe(1);
  });
});
