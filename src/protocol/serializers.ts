/**
 * The door for serializers: formats and types of an application's own in its payloads.
 * @module serializers
 */
import { PAYLOAD_CODECS } from './encoding.js';
import { GatewayError, ProtocolError } from './errors.js';
import { isTextOrNone, pick } from './fields.js';
import type { Payload } from './frame.js';
import { PAYLOAD_DEPTH_LIMIT } from './limits.js';
import { decodeMsgpack, type ReadLimits } from './msgpack-reader.js';
import { encodeMsgpack, type Extend } from './msgpack-values.js';
import {
  asJson,
  type DecodePayloadOptions,
  encodePayload,
  MSGPACK_LIMITS,
  NO_PAYLOAD,
  plainBytes,
  readData,
} from './payload.js';

/** Longest name of a serializer, characters: it is for people. */
const NAME_LIMIT_CHARACTERS = 128;
/** What can be chosen without being registered. */
const BUILT_IN = ['msgpack', 'json'];
/** Names of codecs that say something else. */
const RESERVED = [...BUILT_IN, 'none', 'bytes'];
/** Events and streams of pairs, whose own name stands behind it; what else begins with `~` is the SDK's. */
const PAIR = '~pair';

/** What a payload belongs to. */
export interface SerializerContext {
  /** Name of the event, the service or the stream; `~pair` for the `meta` of a pair. */
  readonly event: string;
  /** Whether it is the answer to a request, a call or a stream. */
  readonly reply: boolean;
}

/** A format of an application's own. Both functions are synchronous. */
export interface Serializer<Value = unknown> {
  /** By which clients choose it; nothing of it is sent. */
  readonly name: string;
  /** 8–15: the number that stands in each frame. Every client of a deployment means the same by it. */
  readonly codec: number;
  /** Events, services and streams that are written with it, whatever the client prefers. */
  readonly events?: readonly string[];
  /** All data but `undefined`, byte arrays too. Returns undefined for what shall travel as without this serializer. */
  encode(value: Value, context: SerializerContext): Uint8Array | undefined;
  /** `bytes` are its own copy. */
  decode(bytes: Uint8Array, context: SerializerContext): Value;
}

/** How the objects of a class travel in MessagePack. Both functions are synchronous. */
export interface ExtensionCodec<Value> {
  /** `pack` writes any value as MessagePack, extensions included. */
  encode(value: Value, pack: (value: unknown) => Uint8Array): Uint8Array;
  /** Returns an object. `unpack` reads what `pack` wrote; `bytes` are their own copy. */
  decode(bytes: Uint8Array, unpack: (bytes: Uint8Array) => unknown): Value;
}

/** Which serializer a call asks for. @internal */
export interface Choice {
  serializer?: string | undefined;
  reply?: boolean;
}

interface Extension {
  readonly code: number;
  readonly type: abstract new (...args: never[]) => object;
  readonly codec: ExtensionCodec<unknown>;
}

/** Stands for the data where a call is only asked what it would do. */
const DATA = Symbol('data');

/** Data that are a payload already. */
class Prepared {
  constructor(readonly payload: Payload) {}
}

/** The formats and types that a client knows, and which it writes: `new Client(url, { token, serializers })`. Several clients may have the same. */
export class Serializers {
  readonly #byName = new Map<string, Serializer>();
  readonly #byCodec = new Map<number, Serializer>();
  /** Names of those that were chosen, by event; `*` is all others. */
  readonly #chosen = new Map<string, string>();
  readonly #extensions: Extension[] = [];

  /**
   * Adds a format. It is read from then on, and written where it is asked for: by its `events`, by `prefer`, or by the option
   * `serializer` of a call.
   * @throws TypeError for a name, a codec or an event that another one has, and for what is no serializer
   */
  register<Value>(serializer: Serializer<Value>): this {
    const { name, codec, events = [] } = serializer;
    if (typeof name !== 'string' || name === '' || name.length > NAME_LIMIT_CHARACTERS)
      throw new TypeError(`A serializer has a name of 1–${NAME_LIMIT_CHARACTERS} characters.`);
    if (RESERVED.includes(name)) throw new TypeError(`${name} is the name of a built-in codec.`);
    if (this.#byName.has(name)) throw new TypeError(`There is a serializer ${name} already.`);
    if (!Number.isInteger(codec) || codec < 8 || codec > 15)
      throw new TypeError(`The codec of ${name} is not an integer from 8 to 15.`);
    const other = this.#byCodec.get(codec);
    if (other !== undefined) throw new TypeError(`${other.name} has the codec ${codec} of ${name} already.`);
    if (typeof serializer.encode !== 'function' || typeof serializer.decode !== 'function')
      throw new TypeError(`${name} has no encode, or no decode.`);
    if (!isArrayOfTexts(events)) throw new TypeError(`The events of ${name} are not an array of names.`);
    this.#refuseChosen(events);
    this.#byName.set(name, serializer);
    this.#byCodec.set(codec, serializer);
    for (const event of events) this.#chosen.set(event, name);
    return this;
  }

  /**
   * Has objects of a class travel in MessagePack, wherever in the data they stand; the first of several that fits counts.
   * @param code 0–127. Every client of a deployment means the same by it
   * @throws TypeError for a code or a class that is taken, or that MessagePack needs itself
   */
  extend<Value extends object>(
    code: number,
    type: abstract new (...args: never[]) => Value,
    codec: ExtensionCodec<Value>,
  ): this {
    if (!Number.isInteger(code) || code < 0 || code > 127)
      throw new TypeError(
        `The code of an extension is an integer from 0 to 127, not ${code}; negative ones are MessagePack's own.`,
      );
    // Arrow functions and methods are functions too, but nothing is an instance of them.
    if (typeof type !== 'function' || typeof (type.prototype as unknown) !== 'object')
      throw new TypeError(`The type of extension ${code} is not a class.`);
    if (([Object, Array, Function] as unknown[]).includes(type))
      throw new TypeError(`${type.name} is too much for an extension.`);
    if (typeof codec.encode !== 'function' || typeof codec.decode !== 'function')
      throw new TypeError(`Extension ${code} has no encode, or no decode.`);
    for (const extension of this.#extensions)
      if (extension.code === code || extension.type === type)
        throw new TypeError(`Extension ${extension.code} is ${extension.type.name} already.`);
    this.#extensions.push({ code, type, codec });
    return this;
  }

  /**
   * What this client writes: the data of these events, services and streams, or without any all that nothing else is said of.
   * @param name of a registered serializer, or `msgpack`, or `json` (MessagePack where JSON cannot carry the data)
   * @throws TypeError where there is none of that name, and for an event that has one already
   */
  prefer(name: string, ...events: string[]): this {
    if (!BUILT_IN.includes(name) && !this.#byName.has(name))
      throw new TypeError(`There is no serializer ${name}.`);
    this.#refuseChosen(events);
    for (const event of events.length > 0 ? events : ['*']) this.#chosen.set(event, name);
    return this;
  }

  #refuseChosen(events: readonly string[]): void {
    for (const event of events) {
      const name = this.#chosen.get(event);
      if (name !== undefined) throw new TypeError(`${event} has the serializer ${name} already.`);
    }
  }

  /** @internal @throws GatewayError `bad_payload`, ProtocolError `bad_parameter` where no serializer has that name */
  encode(data: unknown, event: string, { serializer: asked, reply = false }: Choice): Payload {
    if (data instanceof Prepared) return data.payload;
    const context = { event: ownName(event, reply), reply };
    const name = asked ?? this.#chosen.get(context.event) ?? (context.event && this.#chosen.get('*'));
    const serializer = this.#byName.get(name ?? '');
    if (asked !== undefined && serializer === undefined && !BUILT_IN.includes(asked))
      throw new ProtocolError('bad_parameter', 'There is no serializer of this name.');
    if (serializer !== undefined && data !== undefined) {
      const bytes = ownBytes(`The serializer ${serializer.name}`, () => serializer.encode(data, context));
      if (bytes !== undefined) return { encoding: serializer.codec, data: bytes };
    }
    return this.#encodeBuiltIn(data, name === 'json');
  }

  /**
   * What `data` are now, for a call that is made when the code for it is there. Which event they belong to is asked of the call
   * itself: every verb takes it right before them. So the first file that a page loads need not know of it. @internal
   */
  snapshot<Options extends object>(
    data: unknown,
    make: (verbs: never, options: Options, data: unknown) => unknown,
    options: Options,
  ): { data: unknown; bytes: number } {
    let prepared: Payload = NO_PAYLOAD;
    const listening = {
      get: (_verbs: object, verb: string | symbol) => {
        const hear = (...given: unknown[]): Promise<void> => {
          const at = given.indexOf(DATA);
          const serializer = pick<Choice>(options, { serializer: isTextOrNone })?.serializer;
          prepared = this.encode(data, String(given[at - 1]), { serializer, reply: verb === 'reply' });
          return Promise.resolve();
        };
        return hear;
      },
    };
    // A call without data is only made when its time has come.
    if (data !== undefined) make(new Proxy({}, listening) as never, options, DATA);
    const { encoding, data: bytes } = prepared;
    return {
      data: data === undefined ? data : new Prepared({ encoding, data: new Uint8Array(bytes) }),
      bytes: bytes.length,
    };
  }

  /** @internal @throws ProtocolError as `decodePayload` */
  readonly decode = (
    payload: Payload,
    options: DecodePayloadOptions | null,
    event: string,
    reply = false,
  ): unknown => {
    const codec = payload.encoding & 0x0f;
    const data = plainBytes(payload, options);
    const serializer = this.#byCodec.get(codec);
    try {
      if (serializer !== undefined)
        return ownValue(`The serializer ${serializer.name}`, () =>
          serializer.decode(new Uint8Array(data), { event: ownName(event, reply), reply }),
        );
      if (codec !== PAYLOAD_CODECS.msgpack || this.#extensions.length === 0) return readData(codec, data);
      return decodeMsgpack(data, this.#limits(0));
    } catch (error) {
      throw error instanceof ProtocolError
        ? Object.assign(error, { codec, data: new Uint8Array(data) })
        : error;
    }
  };

  #encodeBuiltIn(data: unknown, isJson: boolean): Payload {
    let isExtended = false;
    const extend: Extend = (value, depth) => {
      const extension = this.#extensions.find(({ type }) => value instanceof type);
      if (extension === undefined) return undefined;
      isExtended = true;
      const { code, codec } = extension;
      const pack = (inner: unknown): Uint8Array => encodeMsgpack(inner, extend, depth);
      const bytes = ownBytes(`Extension ${code}`, () => codec.encode(value, pack));
      if (bytes === undefined) throw new GatewayError('bad_payload', `Extension ${code} returned no bytes.`);
      return { code, data: bytes };
    };
    const asMsgpack = (value: unknown): Payload => {
      const payload = { encoding: PAYLOAD_CODECS.msgpack, data: encodeMsgpack(value, extend) };
      return isJson && !isExtended ? asJson(value) : payload;
    };
    // A class of byte arrays may be an extension too.
    if (this.#extensions.some(({ type }) => data instanceof type)) return asMsgpack(data);
    return encodePayload(data, this.#extensions.length > 0 || !isJson ? asMsgpack : asJson);
  }

  /** Of a value that stands `above` levels deep in another. */
  #limits(above: number): ReadLimits {
    const depth = PAYLOAD_DEPTH_LIMIT - above;
    return { ...MSGPACK_LIMITS, depth, extension: (...found) => this.#readExtension(above, ...found) };
  }

  #readExtension(above: number, type: number, view: DataView, depth: number): object | undefined {
    const level = above + depth + 1;
    const extension = this.#extensions.find(({ code }) => code === type);
    if (extension === undefined) return undefined;
    if (level > PAYLOAD_DEPTH_LIMIT) throw new ProtocolError('bad_payload', 'nested too deep');
    const unpack = (bytes: Uint8Array): unknown => decodeMsgpack(bytes, this.#limits(level));
    const data = new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    const value = ownValue(`Extension ${type}`, () => extension.codec.decode(data, unpack));
    if (typeof value === 'object' && value !== null) return value;
    throw new ProtocolError('bad_payload', `Extension ${type} returned no object.`);
  }
}

function isArrayOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** As the application calls it; empty for what is the SDK's own. */
function ownName(event: string, reply: boolean): string {
  if (!event.startsWith('~')) return event;
  if (event === PAIR) return reply ? '' : event;
  const name = event.startsWith(`${PAIR}/`) ? event.slice(PAIR.length + 1) : '';
  return name === '~' ? '' : name;
}

/** What an application's code made of a value. @throws GatewayError `bad_payload` */
function ownBytes(who: string, run: () => unknown): Uint8Array | undefined {
  let bytes: unknown;
  try {
    bytes = run();
  } catch (cause) {
    throw new GatewayError('bad_payload', `${who} cannot encode the data.`, { cause });
  }
  if (bytes === undefined || bytes instanceof Uint8Array) return bytes;
  silence(bytes);
  throw new GatewayError('bad_payload', `${who} returned no Uint8Array.`);
}

/** What an application's code made of bytes. @throws ProtocolError `bad_payload` */
function ownValue(who: string, run: () => unknown): unknown {
  let value: unknown;
  try {
    value = run();
  } catch (cause) {
    throw new ProtocolError('bad_payload', `${who} cannot decode the bytes.`, { cause });
  }
  if (!silence(value)) return value;
  throw new ProtocolError('bad_payload', `${who} returned a promise; it must be synchronous.`);
}

/** Whether it is a promise, which nobody will wait for: what it rejects with is not told as unhandled. */
function silence(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('then' in value)) return false;
  if (typeof value.then !== 'function') return false;
  if (value instanceof Promise) value.catch(() => {});
  return true;
}
