// The streams that a peer sends, and those that it will send as soon as it may add tracks.
import { packetsSent, type SentBefore } from './flow.js';

/** One stream from `addStream` to `removeStream`, by the tracks that it had when they were added. */
export interface Outgoing {
  /** What is sent in their places; `replaceTrack` changes it. */
  readonly tracks: Map<MediaStreamTrack, MediaStreamTrack | null>;
  readonly senders: Map<MediaStreamTrack, RTCRtpSender>;
}

export class OutgoingStreams {
  #connection: RTCPeerConnection;
  readonly #streams = new Map<MediaStream, Outgoing>();
  /** Those of streams that were removed. */
  readonly #idle = new Set<RTCRtpSender>();
  readonly sentBefore: SentBefore = new WeakMap();
  /** Replacements that are not done yet. */
  #replacing = 0;
  #isHeld: boolean;

  /** @param isHeld nothing is added to the connection before `release` */
  constructor(connection: RTCPeerConnection, isHeld: boolean) {
    this.#connection = connection;
    this.#isHeld = isHeld;
  }

  get areAny(): boolean {
    return this.#streams.size > 0;
  }

  /** Whether streams wait for `release`. */
  get areWaiting(): boolean {
    return this.#isHeld && this.#streams.size > 0;
  }

  get(stream: MediaStream): Outgoing | undefined {
    return this.#streams.get(stream);
  }

  /** The same again has the tracks that the stream has more by now; those that were replaced are known. */
  add(stream: MediaStream): Outgoing {
    const outgoing = this.#streams.get(stream) ?? { tracks: new Map(), senders: new Map() };
    const { tracks } = outgoing;
    for (const track of stream.getTracks()) if (![...tracks].flat().includes(track)) tracks.set(track, track);
    this.#streams.set(stream, outgoing);
    if (!this.#isHeld) this.#attach(stream, outgoing);
    return outgoing;
  }

  remove(stream: MediaStream): readonly RTCRtpSender[] {
    const senders = [...(this.#streams.get(stream)?.senders.values() ?? [])];
    this.#streams.delete(stream);
    for (const sender of senders) {
      this.#connection.removeTrack(sender);
      this.#idle.add(sender);
    }
    return senders;
  }

  /** False where `previous` is not sent; a place that null was put in is known by the track that it had first. */
  async replace(previous: MediaStreamTrack, next: MediaStreamTrack | null): Promise<boolean> {
    for (const [stream, outgoing] of this.#streams)
      for (const [original, track] of outgoing.tracks) {
        if ((track ?? original) !== previous) continue;
        // At once: the next one may come before this one is done, and the connection does one after the other.
        outgoing.tracks.set(original, next);
        this.#replacing++;
        try {
          await outgoing.senders.get(original)?.replaceTrack(next);
        } catch (error) {
          if (outgoing.tracks.get(original) === next) outgoing.tracks.set(original, track);
          throw error;
        } finally {
          this.#replacing--;
        }
        if (!this.#isHeld && this.#streams.get(stream) === outgoing) this.#attach(stream, outgoing);
        return true;
      }
    return false;
  }

  /** To another connection, as if nothing had been added to the first. */
  move(connection: RTCPeerConnection): void {
    this.#connection = connection;
    this.#isHeld = true;
    this.#idle.clear();
    for (const { senders } of this.#streams.values()) senders.clear();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    for (const [stream, outgoing] of this.#streams) this.#attach(stream, outgoing);
  }

  #attach(stream: MediaStream, { tracks, senders }: Outgoing): void {
    for (const [original, track] of tracks)
      if (track !== null && !senders.has(original))
        senders.set(original, this.#again(track, stream) ?? this.#send(track, stream));
  }

  /** Chromium's tab crashes where `addTrack` takes a new sender whose track is just being replaced with null: by this it takes none. */
  #send(track: MediaStreamTrack, stream: MediaStream): RTCRtpSender {
    if (this.#replacing > 0) return this.#connection.addTransceiver(track, { streams: [stream] }).sender;
    return this.#connection.addTrack(track, stream);
  }

  /**
   * By a sender of before, if there is one for that kind: browsers take none twice by themselves, so that the descriptions of a long call
   * would grow with each stream that was ever sent. Not before both sides know that it sends nothing: else the other one would hear of no
   * new stream.
   */
  #again(track: MediaStreamTrack, stream: MediaStream): RTCRtpSender | undefined {
    if (this.#idle.size === 0) return undefined;
    const transceiver = this.#connection
      .getTransceivers()
      .find(
        ({ sender, receiver, direction, currentDirection }) =>
          this.#idle.has(sender) &&
          receiver.track.kind === track.kind &&
          !direction.includes('send') &&
          (currentDirection === 'recvonly' || currentDirection === 'inactive'),
      );
    if (transceiver === undefined) return undefined;
    const { sender, direction } = transceiver;
    this.#idle.delete(sender);
    this.sentBefore.set(sender, packetsSent(sender));
    sender.setStreams(stream);
    transceiver.direction = direction === 'recvonly' ? 'sendrecv' : 'sendonly';
    // Nothing that a live track of that kind could be refused for.
    void sender.replaceTrack(track).catch(() => {});
    return sender;
  }
}
