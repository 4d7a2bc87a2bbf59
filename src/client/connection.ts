// One WebSocket from its construction to its end: hello first, then frames both ways, watched for silence.
import { ProtocolError } from '../protocol/errors.js';
import type { ClientFrame, ClientSideCodec, GatewayFrame } from '../protocol/frame.js';
import { HELLO_SUBPROTOCOL } from '../protocol/subprotocol.js';
import type { Environment } from './environment.js';
import { DROPPED, type WebSocketLike } from './websocket-class.js';

export interface ConnectionPort {
  /** What the codec has no name for: of a newer gateway, or for code that is loaded when first needed. */
  onUnknown(data: string | Uint8Array): void;
  /** Every frame but ping, in order. */
  onFrame(frame: GatewayFrame): void;
  /** A frame that could not be used; the connection may go on. */
  onError(error: unknown): void;
  /** Called once, and not after `drop()`. */
  onClose(close: number): void;
}

/** How long a probe waits for any sign of life, ms. */
const PROBE_MS = 5_000;

export class Connection {
  #frameLimitBytes = Infinity;
  #lastHeard: number;
  #stopWatching: () => void = () => {};
  #stopProbing: () => void = () => {};
  #finish: () => void = () => {};
  #ended = false;
  /** Resolves when nothing more is heard of the socket. */
  readonly ended = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  readonly #socket: WebSocketLike;
  readonly #codec: ClientSideCodec;
  readonly #port: ConnectionPort;
  readonly #environment: Environment;

  constructor(
    socket: WebSocketLike,
    codec: ClientSideCodec,
    hello: string | Uint8Array,
    port: ConnectionPort,
    environment: Environment,
  ) {
    this.#socket = socket;
    this.#codec = codec;
    this.#port = port;
    this.#environment = environment;
    this.#lastHeard = environment.now();
    socket.binaryType = 'arraybuffer';
    // Said in the handshake already, where it has one and the gateway took it.
    socket.onopen = () => socket.protocol === HELLO_SUBPROTOCOL || this.put(hello);
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => {
      this.#stop();
      port.onClose(event.code);
    };
    // A close event follows every error event, and says more.
    socket.onerror = () => {};
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** @throws ProtocolError `too_big`, or what the codec refuses */
  write(frame: ClientFrame): void {
    this.put(this.#codec.encodeClient(frame));
  }

  /** A frame that is written already. @throws ProtocolError `too_big` */
  put(bytes: string | Uint8Array): void {
    if (sizeOf(bytes) > this.#frameLimitBytes) {
      throw new ProtocolError('too_big', `Frames may have ${this.#frameLimitBytes} bytes.`);
    }
    // Codecs write into plain ArrayBuffers, never shared ones.
    this.#socket.send(bytes as string | Uint8Array<ArrayBuffer>);
  }

  /** From the welcome on: the gateway's limits, and silence for `silenceMs` means that the connection is dead. */
  watch(silenceMs: number, frameLimitBytes: number): void {
    this.#frameLimitBytes = frameLimitBytes;
    const check = (): void => {
      const leftMs = this.#lastHeard + silenceMs - this.#environment.now();
      if (leftMs <= 0) this.#lose();
      else this.#stopWatching = this.#environment.after(leftMs, check);
    };
    this.#stopWatching();
    this.#stopWatching = this.#environment.after(silenceMs, check);
  }

  /** Asks something that the gateway answers in any case; no sign of life within 5 s means that the connection is dead. */
  probe(question: ClientFrame): void {
    this.write(question);
    this.#stopProbing();
    this.#stopProbing = this.#environment.after(PROBE_MS, () => this.#lose());
  }

  /** Forgets the socket at once, without `onClose`: nothing of it is heard any more. */
  drop(): void {
    if (this.#ended) return;
    this.#stop();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    // A dead peer never answers a closing handshake; `ws` would wait 30 s for it.
    if (this.#socket.terminate === undefined) this.#socket.close(DROPPED);
    else this.#socket.terminate();
  }

  #lose(): void {
    if (this.#ended) return;
    this.drop();
    this.#port.onClose(1006);
  }

  #stop(): void {
    this.#ended = true;
    this.#stopWatching();
    this.#stopProbing();
    this.#finish();
  }

  #receive(data: unknown): void {
    this.#lastHeard = this.#environment.now();
    this.#stopProbing();
    // The codec refuses text where it wants bytes. Only an ArrayBuffer, of whichever realm, has no length.
    const sized = data as string | Uint8Array;
    const frame = this.#decode(sized.length >= 0 ? sized : new Uint8Array(data as ArrayBuffer));
    if (frame === null) return;
    if (frame.type === 'ping') this.write({ type: 'pong' });
    else this.#port.onFrame(frame);
  }

  #decode(data: string | Uint8Array): GatewayFrame | null {
    try {
      return this.#codec.decodeGateway(data);
    } catch (error) {
      const code = error instanceof ProtocolError && error.code;
      if (code === 'unknown_type') this.#port.onUnknown(data);
      else this.#port.onError(error);
      // After bytes that are no frame nothing that follows can be trusted.
      if (code === 'bad_frame') this.#lose();
      return null;
    }
  }
}

function sizeOf(bytes: Uint8Array | string): number {
  return typeof bytes === 'string' ? new TextEncoder().encode(bytes).length : bytes.length;
}
