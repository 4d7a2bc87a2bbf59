// What a ladder does with the channels that the other side makes: so many for a stream, and nothing of them stays behind.
import { expect, jest, test } from '@jest/globals';
import { Ladder, type LadderClient } from '../../../src/client/rtc/ladder.js';
import { StreamCodec } from '../../../src/client/streams/stream-codec.js';
import { StreamEnd } from '../../../src/client/streams/stream-end.js';
import { isStreamId } from '../../../src/protocol/ids.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

const ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const BOB = { client: 'bob', session: 'BBBBBBBBBBBBBBBBBBBBBB' };

/** As much of a channel as a path looks at. */
class TestChannel extends EventTarget {
  readyState = 'open';
  readonly label = `~stream ${ID}`;
  readonly bufferedAmount = 0;

  send(): void {}
  close(): void {
    this.readyState = 'closed';
  }
}

const connections = useTestConnections();
/** What the handler of the stream wants of the connection. */
const WAY: RTCConfiguration = { iceTransportPolicy: 'relay' };

/** A stream with bob, who called this client to give it a path. */
function called() {
  const environment = new ManualEnvironment();
  const handlers: ((data: unknown, from: typeof BOB) => unknown)[] = [];
  const client: LadderClient = {
    id: 'alice',
    state: 'connected',
    iceServers: [],
    connect: () => Promise.resolve(),
    send: () => Promise.resolve(),
    request: () => Promise.resolve(true),
    onMessage: (_event, handler) => {
      handlers.push(handler);
      return () => undefined;
    },
    on: () => () => undefined,
  };
  if (!isStreamId(ID)) throw new Error('no id');
  const stream = new StreamEnd(
    {
      isOpen: true,
      isCongested: false,
      now: () => environment.now(),
      put: () => undefined,
      pumpLater: () => undefined,
      done: () => undefined,
    },
    {
      id: ID,
      name: 'bytes',
      codec: new StreamCodec(undefined, 'bytes', undefined),
      opened: false,
      peer: BOB,
      windowBytes: 4096,
      sendBufferBytes: 4096,
      rtcConfiguration: {},
    },
  );
  const awaited = jest.spyOn(stream.closed, 'then');
  new Ladder(client, { find: () => stream, wayOut: () => WAY }, environment);
  for (const hear of handlers)
    hear({ type: 'hello', route: ['b'.repeat(22), null, 1, 0], name: '~streams' }, BOB);
  const offer = (): TestChannel => {
    const channel = new TestChannel();
    connections.at(-1)?.dispatchEvent(Object.assign(new Event('datachannel'), { channel }));
    return channel;
  };
  return { environment, stream, awaited, offer };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('the end of who takes a stream is as its handler wants it', () => {
  called();
  expect(connections.map((connection) => connection.getConfiguration())).toEqual([
    expect.objectContaining(WAY),
  ]);
});

test('a stream has four channels at most, and another one when one of them is gone', async () => {
  const { offer } = called();
  const channels = Array.from({ length: 6 }, offer);
  const states = (): string[] => channels.map(({ readyState }) => readyState);
  expect(states()).toEqual(['open', 'open', 'open', 'open', 'closed', 'closed']);
  channels[0]?.dispatchEvent(new Event('close'));
  await settle();
  channels.push(offer(), offer());
  expect(states().slice(-2)).toEqual(['open', 'closed']);
});

test('channels that came and went leave nothing behind that waits', async () => {
  const { environment, awaited, offer } = called();
  await settle();
  const { pending } = environment;
  for (let round = 0; round < 10; round++) {
    offer().dispatchEvent(new Event('close'));
    await settle();
  }
  expect(environment.pending).toBe(pending);
  expect(awaited.mock.calls.length).toBeLessThanOrEqual(1);
});

test('the end of a stream closes all its channels, and one that comes after it', async () => {
  const { stream, offer } = called();
  const channels = [offer(), offer(), offer()];
  stream.abort();
  await settle();
  channels.push(offer());
  expect(channels.map(({ readyState }) => readyState)).toEqual(['closed', 'closed', 'closed', 'closed']);
});
