// The bridge between nodes: batches, and what becomes of those that nobody took.
import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClientId, ServiceName, SessionId, WorkerId } from '../../src/protocol/ids.js';
import { type Envelope, EnvelopeEncoder } from '../../src/relay/envelope.js';
import { NodeRelay } from '../../src/relay/node-relay.js';
import { joinBatch, RedisBridge, splitBatch } from '../../src/relay/redis-bridge.js';
import { sessionId } from './receiver.js';

const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));

describe('a batch', () => {
  test('splits into what it was joined of', () => {
    const node = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    fc.assert(
      fc.property(node, fc.array(bytes, { maxLength: 20 }), (name, envelopes) => {
        expect(splitBatch(joinBatch(name, envelopes))).toEqual({ node: name, envelopes });
      }),
    );
  });

  test('is null or a batch for any bytes, and null when it is cut within an envelope', () => {
    fc.assert(
      fc.property(bytes, (garbage) => {
        const batch = splitBatch(garbage);
        if (batch !== null) expect(joinBatch(batch.node, batch.envelopes).length).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
    const whole = joinBatch('node', [Buffer.from('hello')]);
    for (let length = 0; length < whole.length; length++) {
      // Cut behind the name it is a batch of nothing.
      if (length !== 5) expect(splitBatch(whole.subarray(0, length))).toBeNull();
    }
    expect(splitBatch(Buffer.concat([whole, Buffer.from([255, 255, 255, 255])]))).toBeNull();
  });
});

describe('the bridge', () => {
  const here = 'node-a.1' as WorkerId;
  const there = 'node-b.1' as WorkerId;
  const deliver: Envelope = {
    kind: 'deliver',
    origin: here,
    client: 'bob' as ClientId,
    sessions: [sessionId('bob')],
    body: Buffer.from('x'),
  };
  const request: Envelope = {
    kind: 'request',
    origin: here,
    handle: 'node-a.1!1',
    client: 'bob' as ClientId,
    session: sessionId('bob'),
    body: Buffer.from('x'),
  };
  const response: Envelope = {
    kind: 'response',
    handle: 'node-b.1!1',
    session: sessionId('bob'),
    code: '',
    text: '',
    body: Buffer.from('x'),
  };
  let published: { channel: string; bytes: Buffer }[];
  let publish: () => Promise<unknown>;
  let hear: (channel: string, bytes: Buffer) => void;
  let received: string[];
  let lost: number;
  let told: { envelope: Envelope; path: string }[];
  let bridge: RedisBridge;
  let relay: NodeRelay;
  let pubSub: { ready: boolean };
  beforeEach(async () => {
    [published, received, lost, told] = [[], [], 0, []];
    publish = async () => 1;
    const fake = {
      ready: true,
      reaches: () => fake.ready,
      publish: (channel: string, batch: Buffer) => {
        published.push({ channel, bytes: batch });
        return publish();
      },
      subscribe: async (_: string[], listener: typeof hear) => {
        hear = listener;
      },
    };
    pubSub = fake;
    relay = new NodeRelay({
      worker: here,
      directory: '/nowhere',
      listener: (envelope, path) => told.push({ envelope, path }),
      count: () => undefined,
    });
    bridge = new RedisBridge({
      pubSub: fake,
      prefix: 'sb',
      worker: here,
      node: 'node-a',
      receive: (envelope) => received.push(envelope.toString()),
      countLost: (envelopes) => (lost += envelopes),
      unreachable: (envelope) => {
        relay.unreachable(envelope);
      },
    });
    await bridge.open();
    relay.useBridge(bridge);
  });

  test('publishes once per tick and destination', async () => {
    for (const text of ['one', 'two']) expect(bridge.send(there, Buffer.from(text))).toBe(true);
    expect(bridge.sendToOtherNodes(Buffer.from('all'))).toBe(true);
    await bridge.close();
    expect(published.map(({ channel }) => channel)).toEqual(['sb:{node-b.1}:relay', 'sb:{all}:relay']);
    expect(published.map((each) => splitBatch(each.bytes)?.envelopes.map(String))).toEqual([
      ['one', 'two'],
      ['all'],
    ]);
  });

  test('passes on what comes in, but not its own node’s broadcasts, and no garbage', () => {
    hear('sb:{node-a.1}:relay', joinBatch('node-b', [Buffer.from('to me')]));
    hear('sb:{all}:relay', joinBatch('node-b', [Buffer.from('to all')]));
    hear('sb:{all}:relay', joinBatch('node-a', [Buffer.from('my own')]));
    hear('sb:{all}:relay', Buffer.from([200, 1]));
    hear('sb:{node-a.1}:relay', Buffer.alloc(0));
    expect(received).toEqual(['to me', 'to all']);
  });

  test('tells at once that a message or request which nobody took is missing its target', async () => {
    publish = async () => 0;
    for (const envelope of [deliver, request, response]) expect(relay.send(there, envelope)).toBe(true);
    bridge.send(there, Buffer.from('garbage'));
    await bridge.close();
    expect(lost).toBe(4);
    expect(told).toEqual([
      { envelope: { kind: 'missing', client: 'bob', handle: '' }, path: 'redis' },
      { envelope: { kind: 'missing', client: 'bob', handle: 'node-a.1!1' }, path: 'redis' },
    ]);
  });

  test('tells at once that a call which nobody took was not executed, for it to go on to another provider', async () => {
    publish = async () => 0;
    const serve = {
      kind: 'serve',
      origin: here,
      handle: 'node-a.1!s7',
      session: 'session-of-bob' as SessionId,
      service: 'resize' as ServiceName,
      timeoutMs: 5_000,
      again: false,
      body: Buffer.from('call'),
    } as const;
    expect(relay.send(there, serve)).toBe(true);
    await bridge.close();
    const { handle, session } = serve;
    expect(told).toEqual([
      {
        envelope: {
          kind: 'served',
          handle,
          session,
          outcome: 'missing',
          load: 0,
          code: '',
          text: '',
          body: new Uint8Array(0),
        },
        path: 'redis',
      },
    ]);
  });

  test('counts a failed publish, but calls nothing missing: it may have arrived', async () => {
    publish = () => Promise.reject(new Error('connection lost'));
    relay.send(there, request);
    await bridge.close();
    expect([lost, told]).toEqual([1, []]);
  });

  test('tells nothing when somebody took it', async () => {
    relay.send(there, request);
    await bridge.close();
    expect([published.length, lost, told]).toEqual([1, 0, []]);
  });

  test('refuses while Redis is away, and past its queue, until the bytes are gone', async () => {
    pubSub.ready = false;
    expect(bridge.send(there, Buffer.from('x'))).toBe(false);
    pubSub.ready = true;
    const half = new EnvelopeEncoder().encode({ ...deliver, body: Buffer.alloc(9 * 1024 * 1024) });
    expect([bridge.send(there, half), bridge.send(there, half)]).toEqual([true, false]);
    await bridge.close();
    expect(bridge.send(there, half)).toBe(true);
    await bridge.close();
  });
});
