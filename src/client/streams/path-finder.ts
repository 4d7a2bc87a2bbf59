// Whether streams may leave the gateway, and the code that finds them a path: loaded when the first of them wants one.
import { GatewayError } from '../../protocol/errors.js';
import { isText, pick } from '../../protocol/fields.js';
import type { Environment } from '../environment.js';
import type { Sender } from '../events.js';
import type { Lazy } from '../lazy.js';
import type { LadderClient } from '../rtc/ladder.js';
import type * as rtc from '../rtc/rtc.js';
import { PATH_EVENT } from './paths.js';
import type { StreamEnd } from './stream-end.js';
import type { Streams } from './streams.js';

export type RtcCode = Lazy<Pick<typeof rtc, 'Ladder'>>;

/** The client, as far as this looks at it. */
export interface PathClient extends LadderClient {
  onRequest(event: string, handler: (data: unknown, from: Sender) => unknown): () => void;
}

export class PathFinder {
  readonly #client: PathClient;
  readonly #streams: Streams;
  readonly #clock: Environment;
  readonly #rtc: RtcCode;
  #ladder: rtc.Ladder | null = null;

  constructor(client: PathClient, streams: Streams, clock: Environment, rtc: RtcCode) {
    this.#client = client;
    this.#streams = streams;
    this.#clock = clock;
    this.#rtc = rtc;
    // Nothing is said where there is no WebRTC: who asks gets `no_handler`.
    if (canLeave(client)) client.onRequest(PATH_EVENT, (data, from) => this.#letLeave(data, from));
  }

  /** Without WebRTC, or where its code cannot be had now, the stream stays where it is. */
  async climb(stream: StreamEnd): Promise<void> {
    if (!canLeave(this.#client)) return;
    try {
      await (await this.#load()).climb(stream);
    } catch {
      // The gateway goes on carrying it.
    }
  }

  /** Whoever opened a stream asks; it calls when this was answered. */
  async #letLeave(data: unknown, from: Sender): Promise<true> {
    const asked = pick<{ stream: string }>(data, { stream: isText });
    if (asked === null) throw new GatewayError('bad_parameter');
    const stream = this.#streams.find(asked.stream);
    const isTheirs = stream?.peer?.session === from.session && stream.peer.client === from.client;
    if (!isTheirs || stream.rtcConfiguration === null) throw new GatewayError('forbidden');
    await this.#load();
    return true;
  }

  async #load(): Promise<rtc.Ladder> {
    const { Ladder } = await this.#rtc.load();
    return (this.#ladder ??= new Ladder(this.#client, this.#streams, this.#clock));
  }
}

/** Whether there can be peers. */
function canLeave({ isShared }: PathClient): boolean {
  return typeof RTCPeerConnection === 'function' && !isShared;
}
