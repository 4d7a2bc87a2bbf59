// What goes on between clients for longer than a message: loaded when a page first opens or hears of it.
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import type { ClientSideCodec, GatewayFrame } from '../protocol/frame.js';
import { jsonClientCodec } from '../protocol/json-codec.js';
import { msgpackClientCodec } from '../protocol/msgpack-codec.js';
import type { Caller } from './caller.js';
import type { DialogueClient, DialogueLink, DialoguePort } from './dialogue-port.js';
import type { Environment } from './environment.js';
import type { Intake } from './intake.js';
import type { LateCode } from './late-code.js';
import type { Settings } from './options.js';
import type { State, StateInfo } from './state.js';
import type { PairClient } from './services/pair.js';
import { Pairs } from './services/pairs.js';
import { Services, type ServicesPort } from './services/services.js';
import { type PathClient, PathFinder, type RtcCode } from './streams/path-finder.js';
import { encodeChunk } from './streams/roomy-payload.js';
import { Streams } from './streams/streams.js';

/** These know the frames of dialogues: those of a page's first file do not. */
const CODECS = { msgpack: msgpackClientCodec, json: jsonClientCodec };

export class Dialogues {
  readonly streams: Streams;
  readonly services: Services;
  readonly pairs: Pairs;
  readonly #codec: ClientSideCodec;
  readonly #tell: (error: unknown) => void;
  /** Whose dialogues these are; null while there is none. */
  #session: string | null;

  constructor(
    client: DialogueClient & PairClient & PathClient,
    link: DialogueLink,
    { codec, exposeErrors, serializers }: Pick<Settings, 'codec' | 'exposeErrors' | 'serializers'>,
    clock: Environment,
    caller: Caller,
    late: LateCode,
    intake: Pick<Intake, 'decode'>,
    rtc: RtcCode,
  ) {
    const tell = (error: unknown): void => caller.report(error);
    this.#codec = CODECS[codec];
    this.#tell = tell;
    this.#session = client.sessionId;
    const port: DialoguePort = {
      link: () => link.welcome,
      isOpen: () => link.open,
      isClosed: () => link.state === 'closed',
      isCongested: () => link.congested,
      clock,
      put: (frame) =>
        link.put(frame.type === 'chunk' ? encodeChunk(this.#codec, frame) : this.#codec.encodeClient(frame)),
      tell,
    };
    this.streams = new Streams(port, serializers, (stream) => void paths.climb(stream));
    const paths = new PathFinder(client, this.streams, clock, rtc);
    const decode: ServicesPort['decode'] = (...frame) => intake.decode(...frame);
    const room = (name: string): ReturnType<ServicesPort['room']> => client.room(name);
    this.services = new Services({ room, caller, late, decode, exposeErrors, clock });
    this.pairs = new Pairs({ client, caller, late, decode, exposeErrors, clock });
    client.on('state', (state, { code }) => this.#moved(state, code, client.sessionId));
  }

  /** A frame, or what the codec of a page's first file could not read. */
  deliver(unit: GatewayFrame | string | Uint8Array): void {
    const frame = typeof unit === 'string' || unit instanceof Uint8Array ? this.#read(unit) : unit;
    if (frame === null) return;
    switch (frame.type) {
      case 'called':
        return this.services.called(frame);
      case 'owners':
        return this.services.owners(frame);
      case 'pairing':
        return this.pairs.asked(frame);
      case 'unpaired':
        return this.pairs.unpaired(frame);
      default:
        this.streams.receive(frame);
    }
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
      this.services.close();
      this.pairs.end(code ?? 'closed');
      this.streams.end(new GatewayError(code ?? 'closed'));
    }
    if (state !== 'connected') return;
    if (this.#session === session) {
      this.streams.resumed();
      this.pairs.resumed();
    } else if (this.#session !== null) {
      this.services.end();
      this.pairs.end('unknown_outcome');
      this.streams.end(new GatewayError('unknown_outcome', 'The session was lost.'));
    }
    this.#session = session;
  }
}
