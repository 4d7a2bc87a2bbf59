// Which tracks of a stream are sent by how many senders: before and after they may be added, replaced, and added again.
import { beforeEach, describe, expect, test } from '@jest/globals';
import { OutgoingStreams } from '../../../src/client/rtc/outgoing.js';

/** As much of an `RTCPeerConnection` as streams are sent by. */
class Sending {
  readonly senders: { track: object | null }[] = [];

  addTrack(track: object): object {
    const sender = {
      track: track as object | null,
      replaceTrack: (next: object | null): Promise<void> => {
        sender.track = next;
        return Promise.resolve();
      },
    };
    this.senders.push(sender);
    return sender;
  }
}

const trackOf = (id: string): MediaStreamTrack => ({ id }) as MediaStreamTrack;
const [camera, microphone, screen] = [trackOf('camera'), trackOf('microphone'), trackOf('screen')];

describe.each(['at once', 'later'])('streams that are sent %s', (when) => {
  const isHeld = when === 'later';
  let connection: Sending;
  let streams: OutgoingStreams;
  let tracks: MediaStreamTrack[];
  const stream = { getTracks: () => tracks } as MediaStream;
  const sent = (): unknown[] => {
    streams.release();
    return connection.senders.map(({ track }) => track);
  };
  beforeEach(() => {
    connection = new Sending();
    streams = new OutgoingStreams(connection as unknown as RTCPeerConnection, isHeld);
    tracks = [camera];
    streams.add(stream);
  });

  test('add() again adds only what the stream has more by now', () => {
    tracks = [camera, microphone];
    streams.add(stream);
    expect(sent()).toEqual([camera, microphone]);
  });

  test.each([
    ['still has the track that was replaced', [camera, microphone]],
    ['has the other one in its place', [microphone, screen]],
    ['has both', [camera, microphone, screen]],
  ])('add() again after replace() adds only what is new where the stream %s', async (_name, now) => {
    expect(await streams.replace(camera, screen)).toBe(true);
    tracks = now;
    streams.add(stream);
    expect(sent()).toEqual([screen, microphone]);
    expect(await streams.replace(screen, camera)).toBe(true);
    expect(sent()).toEqual([camera, microphone]);
  });

  test('replace() with null sends nothing until the track that was added first is replaced again', async () => {
    expect(await streams.replace(camera, null)).toBe(true);
    streams.add(stream);
    expect(sent().filter((track) => track !== null)).toEqual([]);
    expect(await streams.replace(camera, screen)).toBe(true);
    expect(sent()).toEqual([screen]);
  });

  test('replace() again before the first is done ends with what came last', async () => {
    streams.release();
    expect(await Promise.all([streams.replace(camera, screen), streams.replace(screen, camera)])).toEqual([
      true,
      true,
    ]);
    expect(sent()).toEqual([camera]);
    expect(await streams.replace(camera, screen)).toBe(true);
  });

  test('replace() that the connection refuses leaves what was sent', async () => {
    streams.release();
    const [sender] = connection.senders as { replaceTrack?: unknown }[];
    Object.assign(sender ?? {}, { replaceTrack: () => Promise.reject(new TypeError('of another kind')) });
    await expect(streams.replace(camera, microphone)).rejects.toThrow('of another kind');
    expect(await streams.replace(microphone, screen)).toBe(false);
    await expect(streams.replace(camera, screen)).rejects.toThrow('of another kind');
  });

  test('replace() says false where the track is not sent', async () => {
    expect(await streams.replace(microphone, screen)).toBe(false);
    await streams.replace(camera, screen);
    expect(await streams.replace(camera, microphone)).toBe(false);
    expect(sent()).toEqual([screen]);
  });
});
