// One end of the way between a tab and its hub, which counts what passes.
import type { ChannelLike } from './platform.js';

/** A message may be missing, as where a browser stopped the script that had just got it (see turns.ts): who uses the way begins again then. */
export class Line<Out, In> {
  readonly #channel: ChannelLike;
  #sent = 0;
  #heard = 0;

  /** @param onGap something is missing; what comes behind it is not taken any more */
  constructor(channel: ChannelLike, take: (message: In) => void, onGap: () => void) {
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      const [count, message] = data as [count: number, message: In];
      if (count === ++this.#heard) return take(message);
      channel.onmessage = null;
      onGap();
    };
  }

  post(message: Out): void {
    this.#channel.postMessage([++this.#sent, message]);
  }

  close(): void {
    this.#channel.close();
  }
}
