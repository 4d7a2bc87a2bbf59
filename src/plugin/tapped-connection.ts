// A connection whose frames to the client are shown to plugins, each decoded only where one looks into it.
import type { CloseCode } from '../protocol/codes.js';
import type { FrameCodec, GatewayFrame } from '../protocol/frame.js';
import { type Connection, wholeFrame, type WireFrame } from '../session/connection.js';
import type { OutgoingFrame } from './plugin.js';

/** Messages may be dropped; without the others a client would wait, or lose count. */
const DROPPABLE: ReadonlySet<GatewayFrame['type']> = new Set(['message', 'roomMessage', 'presence']);

/** @returns whether it may pass */
export type Look = (frame: OutgoingFrame) => boolean;

class Outgoing implements OutgoingFrame {
  private decoded: GatewayFrame | null = null;

  constructor(
    private readonly wire: WireFrame,
    private readonly codec: FrameCodec,
  ) {}

  get frame(): GatewayFrame {
    return (this.decoded ??= this.codec.decodeGateway(wholeFrame(this.wire)));
  }
}

export class TappedConnection implements Connection {
  readonly codec: FrameCodec;
  readonly address: string;
  /** From the welcome on. */
  look: Look | null = null;

  constructor(private readonly inner: Connection) {
    this.codec = inner.codec;
    this.address = inner.address;
  }

  get queuedBytes(): number {
    return this.inner.queuedBytes;
  }

  send(frame: WireFrame, canWait = false): boolean {
    if (this.look !== null) {
      const outgoing = new Outgoing(frame, this.codec);
      if (!this.look(outgoing) && DROPPABLE.has(outgoing.frame.type)) return true;
    }
    return this.inner.send(frame, canWait);
  }

  pause(ms: number): void {
    this.inner.pause(ms);
  }
  close(code: CloseCode): void {
    this.inner.close(code);
  }
  terminate(): void {
    this.inner.terminate();
  }
}
