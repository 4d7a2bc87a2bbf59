// One connection of a hub to the gateway, from the hello of its session to its end.
import {
  type ClientFrame,
  type GatewayFrame,
  type HelloFrame,
  PROTOCOL_VERSION,
} from '../../protocol/frame.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import { offerSubprotocols } from '../../protocol/subprotocol.js';
import { Connection } from '../connection.js';
import type { Environment } from '../environment.js';
import { DROPPED, type WebSocketClass } from '../websocket-class.js';

/** As the socket of a client. */
const SOCKET_BUFFER_LIMIT_BYTES = 1024 * 1024;

export interface HubConnectionOptions {
  readonly url: string;
  readonly token: string;
  readonly agent: string;
  readonly resume: HelloFrame['resume'];
  readonly connectTimeoutMs: number;
  /** Whose timers are turns of the hub. */
  readonly environment: Environment;
  /** Of what is beneath. */
  readonly ofPage: Environment;
  /** Runs what comes from outside. */
  readonly turn: (run: () => void) => void;
  onFrame(frame: GatewayFrame): void;
  onUnknown(bytes: Uint8Array): void;
  /** Once, unless it was dropped. */
  onEnd(close: number): void;
}

export class HubConnection {
  readonly #connection: Connection;
  #isOver = false;
  #cancelDeadline: () => void = () => {};

  /** @throws where the platform forbids it, as a page of https and a ws: URL */
  constructor(SocketClass: WebSocketClass, options: HubConnectionOptions) {
    const { url, token, agent, resume, environment, turn } = options;
    const hello = msgpackCodec.encodeClient({
      type: 'hello',
      version: PROTOCOL_VERSION,
      token: null,
      resume,
      agent,
    });
    const socket = new SocketClass(url, offerSubprotocols('msgpack', token, hello));
    const drop = socket.terminate?.bind(socket);
    socket.terminate = () => {
      socket.close(DROPPED);
      drop?.();
    };
    const whileItLasts = (run: () => void): void => {
      turn(() => {
        if (!this.#isOver) run();
      });
    };
    this.#connection = new Connection(
      socket,
      msgpackCodec,
      hello,
      {
        onFrame: (frame) => {
          whileItLasts(() => {
            options.onFrame(frame);
          });
        },
        // What cannot be read no tab can read either.
        onError: () => {},
        onUnknown: (data) => {
          whileItLasts(() => {
            if (typeof data === 'object') options.onUnknown(new Uint8Array(data));
          });
        },
        onClose: (close) => {
          whileItLasts(() => {
            options.onEnd(close);
          });
        },
      },
      options.ofPage,
    );
    this.#cancelDeadline = environment.after(options.connectTimeoutMs, () => {
      options.onEnd(1006);
    });
  }

  get isCongested(): boolean {
    return this.#connection.bufferedBytes > SOCKET_BUFFER_LIMIT_BYTES;
  }

  /** Resolves when nothing more is heard of the socket. */
  get ended(): Promise<void> {
    return this.#connection.ended;
  }

  /** The gateway has answered the hello. */
  welcomed(pingIntervalMs: number, frameLimitBytes: number): void {
    this.#cancelDeadline();
    this.#connection.watch(2 * pingIntervalMs, frameLimitBytes);
  }

  /** @throws ProtocolError where the frame cannot be written */
  write(frame: ClientFrame): void {
    this.#connection.write(frame);
  }

  /** Asks something that the gateway answers in any case. */
  probe(question: ClientFrame): void {
    this.#connection.probe(question);
  }

  drop(): void {
    this.#isOver = true;
    this.#cancelDeadline();
    this.#connection.drop();
  }
}
