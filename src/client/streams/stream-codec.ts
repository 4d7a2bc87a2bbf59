// How one stream writes and reads its chunks, its metadata and its answer: as its client does, or with a serializer of its own.
import { ProtocolError } from '../../protocol/errors.js';
import type { Payload } from '../../protocol/frame.js';
import { decodePayload, encodePayload } from '../../protocol/payload.js';
import type { Serializers } from '../../protocol/serializers.js';

export class StreamCodec {
  readonly #serializers: Serializers | undefined;
  readonly #name: string;
  readonly #serializer: string | undefined;

  /** @throws ProtocolError `bad_parameter` for a serializer of a client that has none */
  constructor(serializers: Serializers | undefined, name: string, serializer: string | undefined) {
    if (serializers === undefined && serializer !== undefined)
      throw new ProtocolError('bad_parameter', 'The client has no serializers.');
    this.#serializers = serializers;
    this.#name = name;
    this.#serializer = serializer;
  }

  /** @throws GatewayError `bad_payload`, ProtocolError `bad_parameter` */
  encode(data: unknown, reply = false): Payload {
    const choice = { serializer: this.#serializer, reply };
    return this.#serializers?.encode(data, this.#name, choice) ?? encodePayload(data);
  }

  /** @throws ProtocolError with the payload's bytes */
  decode(payload: Payload, reply = false): unknown {
    const { decode = decodePayload } = this.#serializers ?? {};
    return decode(payload, null, this.#name, reply);
  }
}
