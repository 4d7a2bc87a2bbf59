// The streams that a peer sends, and those that it will send as soon as it may add tracks.

/** One stream from `addStream` to `removeStream`. */
export interface Outgoing {
  /** What is to be sent; `replaceTrack` changes it. */
  tracks: MediaStreamTrack[];
  senders: RTCRtpSender[];
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

  /** The same again has the tracks that the stream has more by now. */
  add(stream: MediaStream): Outgoing {
    const known = this.#streams.get(stream);
    const outgoing = known ?? { tracks: [], senders: [] };
    outgoing.tracks.push(...stream.getTracks().filter((track) => !outgoing.tracks.includes(track)));
    this.#streams.set(stream, outgoing);
    if (!this.#isHeld) this.#attach(stream, outgoing);
    return outgoing;
  }

  remove(stream: MediaStream): readonly RTCRtpSender[] {
    const { senders } = this.#streams.get(stream) ?? { senders: [] };
    this.#streams.delete(stream);
    for (const sender of senders) this.#connection.removeTrack(sender);
    return senders;
  }

  /** False where `previous` is not sent. */
  async replace(previous: MediaStreamTrack, next: MediaStreamTrack | null): Promise<boolean> {
    const outgoing = [...this.#streams.values()].find(({ tracks }) => tracks.includes(previous));
    if (outgoing === undefined) return false;
    const sender = outgoing.senders.find(({ track }) => track === previous);
    await sender?.replaceTrack(next);
    outgoing.tracks = outgoing.tracks.flatMap((track) => (track !== previous ? [track] : next ? [next] : []));
    return true;
  }

  /** To another connection, as if nothing had been added to the first. */
  move(connection: RTCPeerConnection): void {
    this.#connection = connection;
    this.#isHeld = true;
    for (const { senders } of this.#streams.values()) senders.length = 0;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    for (const [stream, outgoing] of this.#streams) this.#attach(stream, outgoing);
  }

  #attach(stream: MediaStream, { tracks, senders }: Outgoing): void {
    for (const track of tracks)
      if (!senders.some((sender) => sender.track === track))
        senders.push(this.#connection.addTrack(track, stream));
  }
}
