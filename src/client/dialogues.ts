// What goes on between clients for longer than a message: loaded when a page first opens or hears of it.
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import type { ClientSideCodec, GatewayFrame } from '../protocol/frame.js';
import { jsonClientCodec } from '../protocol/json-codec.js';
import { msgpackClientCodec } from '../protocol/msgpack-codec.js';
import type { DialogueClient, DialogueLink, DialoguePort, RtcCode } from './dialogue-port.js';
import type { Environment } from './environment.js';
import type { Settings } from './options.js';
import { isText, pick } from '../protocol/fields.js';
import type { Ladder } from './rtc/rtc.js';
import type { State, StateInfo } from './state.js';
import { Streams } from './streams/streams.js';
import { PATH_EVENT } from './streams/paths.js';
import type { Sender } from './events.js';

/** These know the frames of dialogues: those of a page's first file do not. */
const CODECS = { msgpack: msgpackClientCodec, json: jsonClientCodec };

export class Dialogues {
  readonly streams: Streams;
  readonly #client: DialogueClient;
  readonly #clock: Environment;
  readonly #rtc: RtcCode;
  #ladder: Ladder | null = null;
  readonly #codec: ClientSideCodec;
  readonly #tell: (error: unknown) => void;
  /** Whose dialogues these are; null while there is none. */
  #session: string | null;

  constructor(
    client: DialogueClient,
    link: DialogueLink,
    { codec }: Pick<Settings, 'codec'>,
    clock: Environment,
    tell: (error: unknown) => void,
    rtc: RtcCode,
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#rtc = rtc;
    this.#codec = CODECS[codec];
    this.#tell = tell;
    this.#session = client.sessionId;
    const port: DialoguePort = {
      link: () => link.welcome,
      isOpen: () => link.open,
      isCongested: () => link.congested,
      clock,
      put: (frame) => link.put(this.#codec.encodeClient(frame)),
      tell,
    };
    this.streams = new Streams(port, (stream, configuration) => {
      // Without it the stream stays where it is.
      this.#climber().then(
        (ladder) => ladder?.climb(stream, configuration),
        () => {},
      );
    });
    if (hasWebRtc()) client.onRequest(PATH_EVENT, (data, from) => this.#letLeave(data, from));
    client.on('state', (state, { code }) => this.#moved(state, code, client.sessionId));
  }

  /** A frame, or what the codec of a page's first file could not read. */
  deliver(unit: GatewayFrame | string | Uint8Array): void {
    const frame = typeof unit === 'string' || unit instanceof Uint8Array ? this.#read(unit) : unit;
    if (frame !== null) this.streams.receive(frame);
  }

  /** Null where the platform has no WebRTC. */
  async #climber(): Promise<Ladder | null> {
    if (!hasWebRtc()) return null;
    const { Ladder } = await this.#rtc.load();
    return (this.#ladder ??= new Ladder(this.#client, this.streams, this.#clock));
  }

  /** Whoever opened a stream asks; it calls when this was answered. */
  async #letLeave(data: unknown, from: Sender): Promise<true> {
    const asked = pick<{ stream: string }>(data, { stream: isText });
    if (asked === null) throw new GatewayError('bad_parameter');
    const stream = this.streams.find(asked.stream);
    const isTheirs = stream?.peer?.session === from.session && stream.peer.client === from.client;
    if (!isTheirs || !stream.mayLeave) throw new GatewayError('forbidden');
    await this.#climber();
    return true;
  }

  #read(bytes: string | Uint8Array): GatewayFrame | null {
    try {
      return this.#codec.decodeGateway(bytes);
    } catch (error) {
      // A newer gateway may say things that this version does not know either.
      if (!(error instanceof ProtocolError) || error.code !== 'unknown_type') this.#tell(error);
      return null;
    }
  }

  #moved(state: State, code: StateInfo['code'], session: string | null): void {
    if (state === 'closed') {
      this.#session = null;
      this.streams.end(new GatewayError(code ?? 'closed'));
    }
    if (state !== 'connected') return;
    if (this.#session === session) this.streams.resumed();
    else if (this.#session !== null)
      this.streams.end(new GatewayError('unknown_outcome', 'The session was lost.'));
    this.#session = session;
  }
}

function hasWebRtc(): boolean {
  return typeof RTCPeerConnection === 'function';
}
