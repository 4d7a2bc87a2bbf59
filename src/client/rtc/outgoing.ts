// The streams that a peer sends, and those that it will send as soon as it may add tracks.

/** One stream from `addStream` to `removeStream`, by the tracks that it had when they were added. */
export interface Outgoing {
  /** What is sent in their places; `replaceTrack` changes it. */
  readonly tracks: Map<MediaStreamTrack, MediaStreamTrack | null>;
  readonly senders: Map<MediaStreamTrack, RTCRtpSender>;
}

export class OutgoingStreams {
  #connection: RTCPeerConnection;
  readonly #streams = new Map<MediaStream, Outgoing>();
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
    for (const sender of senders) this.#connection.removeTrack(sender);
    return senders;
  }

  /** False where `previous` is not sent; a place that null was put in is known by the track that it had first. */
  async replace(previous: MediaStreamTrack, next: MediaStreamTrack | null): Promise<boolean> {
    for (const [stream, outgoing] of this.#streams)
      for (const [original, track] of outgoing.tracks) {
        if ((track ?? original) !== previous) continue;
        const sender = outgoing.senders.get(original);
        if (sender !== undefined) await sender.replaceTrack(next);
        outgoing.tracks.set(original, next);
        if (!this.#isHeld) this.#attach(stream, outgoing);
        return true;
      }
    return false;
  }

  /** To another connection, as if nothing had been added to the first. */
  move(connection: RTCPeerConnection): void {
    this.#connection = connection;
    this.#isHeld = true;
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
        senders.set(original, this.#connection.addTrack(track, stream));
  }
}
