// The fields of one frame, read in their order and checked: what passes here has the type that it claims.
import { isEncoding } from './encoding.js';
import { ProtocolError } from './errors.js';
import type { Payload } from './frame.js';
import {
  isClientId,
  isEventName,
  isRoomName,
  isSessionId,
  type ClientId,
  type EventName,
  type RoomName,
  type SessionId,
} from './ids.js';
import { OPAQUE_LIMIT_CHARACTERS } from './limits.js';

/** The elements of one frame in their order, as a codec finds them. */
export interface Elements {
  /** An unsigned safe integer; null for nil or where no element is left; -1 for anything else. */
  uint(): number | null;
  /** The next element, decoded; null where none is left. */
  value(): unknown;
  /** The next two elements: encoding and bytes; null where they are not that. */
  payload(): Payload | null;
}

export const REF_LIMIT = 0xffff_ffff;

/** Throws `bad_parameter`, with the frame's ref, at the first field that is wrong. */
export class Fields {
  #callRef = 0;

  constructor(readonly elements: Elements) {}

  refuse(field: string): never {
    throw new ProtocolError('bad_parameter', `bad ${field}`, { ref: this.#callRef });
  }

  unknownType(type: number): never {
    const ref = this.elements.uint();
    throw new ProtocolError('unknown_type', `unknown frame type ${type}`, {
      ref: ref !== null && ref > 0 && ref <= REF_LIMIT ? ref : 0,
    });
  }

  /** The next element, if `isRight`. */
  value<Value>(field: string, isRight: (value: unknown) => value is Value): Value {
    const value = this.elements.value();
    return isRight(value) ? value : this.refuse(field);
  }

  uint(field: string, from = 0, to = Number.MAX_SAFE_INTEGER): number {
    const value = this.elements.uint();
    return value !== null && value >= from && value <= to ? value : this.refuse(field);
  }

  /** 0 where the caller wants no answer, which only some frames allow. */
  ref(from: 0 | 1 = 1): number {
    return (this.#callRef = this.uint('ref', from, REF_LIMIT));
  }

  string(field: string, limit: number): string {
    return this.stringOrNull(field, limit) ?? this.refuse(field);
  }

  stringOrNull(field: string, limit: number): string | null {
    const value = this.elements.value();
    return value === null || (isText(value) && value.length <= limit) ? value : this.refuse(field);
  }

  /** A string that only its maker understands; never empty. */
  opaque(field: string): string {
    return this.string(field, OPAQUE_LIMIT_CHARACTERS) || this.refuse(field);
  }

  client(field: string): ClientId {
    return this.value(field, isClientId);
  }

  session(): SessionId {
    return this.value('session', isSessionId);
  }

  event(): EventName {
    return this.value('event', isEventName);
  }

  room(): RoomName {
    return this.value('room', isRoomName);
  }

  payload(): Payload {
    const payload = this.elements.payload();
    return payload !== null && isCarried(payload) ? payload : this.refuse('payload');
  }
}

/** Whether a payload's encoding is one, and has what belongs to it. */
export function isCarried({ encoding, data }: Payload): boolean {
  if (!isEncoding(encoding)) return false;
  // The none codec says that there is nothing, so there is nothing to deflate either.
  const isNone = (encoding & 0x0f) === 0;
  return !isNone || (encoding === 0 && data.length === 0);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

export function isTextOrNullOrNone(value: unknown): value is string | null | undefined {
  return value === null || isTextOrNone(value);
}

export function isList<Item>(value: unknown, isItem: (item: unknown) => item is Item): value is Item[] {
  return Array.isArray(value) && value.every(isItem);
}

export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

/** What a map itself holds under a name, nothing that it inherits: `{}` has no `constructor` here. */
export function own(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

export function isUint(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

/** The fields of a record that are asked for, nothing else of it; null unless each is what it should be. */
export function pick<Shape extends object>(
  value: unknown,
  shape: { [Name in keyof Shape]: (field: unknown) => field is Shape[Name] },
): Shape | null {
  if (!isRecord(value)) return null;
  const picked: Partial<Shape> = {};
  for (const name in shape) {
    const field = own(value, name);
    if (!shape[name](field)) return null;
    if (field !== undefined) picked[name] = field;
  }
  // Each field that it has was found right above.
  return picked as Shape;
}
