// A frame for many receivers: built once per codec, however many sessions get it.
import type { FrameCodec, GatewayFrame } from '../protocol/frame.js';
import { type BodyType, frameFromBody } from '../protocol/msgpack-codec.js';

export class PreparedFrame {
  private text: Uint8Array | string | null = null;

  private constructor(
    readonly binary: Uint8Array,
    private readonly msgpack: FrameCodec,
  ) {}

  static of(type: BodyType, id: string | null, body: Uint8Array, msgpack: FrameCodec): PreparedFrame {
    return new PreparedFrame(frameFromBody(type, id, body), msgpack);
  }

  /** Any frame that several sessions get as it is. */
  static whole(frame: GatewayFrame, msgpack: FrameCodec): PreparedFrame {
    // Only a binary codec's frames are bytes.
    return new PreparedFrame(Buffer.from(msgpack.encodeGateway(frame)), msgpack);
  }

  /** The frame as `codec` writes it. */
  for(codec: FrameCodec): Uint8Array | string {
    if (codec.binary) return this.binary;
    return (this.text ??= codec.encodeGateway(this.msgpack.decodeGateway(this.binary)));
  }
}
