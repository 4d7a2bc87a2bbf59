// What a mesh sends to everybody: its streams, with the tracks that took the places of others.
import type { RTCSignalingPeer } from './signaling-peer.js';

/** As much of a peer as sending needs. */
export type StreamPeer = Pick<RTCSignalingPeer, 'addStream' | 'removeStream' | 'replaceTrack'>;

export class MeshStreams {
  /** Of each stream the tracks that it had, and what is sent in their places. */
  readonly #streams = new Map<MediaStream, Map<MediaStreamTrack, MediaStreamTrack>>();

  /** The same stream again has the tracks that it has more by now. */
  add(stream: MediaStream): void {
    const tracks = this.#streams.get(stream) ?? new Map<MediaStreamTrack, MediaStreamTrack>();
    for (const track of stream.getTracks()) if (!tracks.has(track)) tracks.set(track, track);
    this.#streams.set(stream, tracks);
  }

  remove(stream: MediaStream): void {
    this.#streams.delete(stream);
  }

  /** False where `previous` is not sent. */
  replace(previous: MediaStreamTrack, next: MediaStreamTrack): boolean {
    for (const tracks of this.#streams.values())
      for (const [original, current] of tracks) {
        if (current !== previous) continue;
        tracks.set(original, next);
        return true;
      }
    return false;
  }

  /** Everything, to somebody who came later. */
  async sendAll(peer: StreamPeer): Promise<void> {
    const done: Promise<unknown>[] = [];
    for (const [stream, tracks] of this.#streams) {
      done.push(peer.addStream(stream));
      for (const [original, current] of tracks)
        if (original !== current) done.push(peer.replaceTrack(original, current));
    }
    await Promise.all(done);
  }
}
