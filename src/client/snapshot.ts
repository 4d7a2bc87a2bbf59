// The application's data as they are now: it may change them before the code that encodes them is there.
import { GatewayError } from '../protocol/errors.js';
import { hasToJson, isPlainObject } from '../protocol/json-text.js';
import { PAYLOAD_DEPTH_LIMIT } from '../protocol/limits.js';

export interface Snapshot {
  data: unknown;
  /** About what it will have when it is encoded. */
  bytes: number;
}

/** Of what cannot be encoded it keeps enough to be refused then. @throws GatewayError `bad_payload` where a getter or a toJSON throws */
export function snapshotOf(data: unknown): Snapshot {
  let bytes = 0;
  const copyOf = (value: unknown, depth: number): unknown => {
    bytes += typeof value === 'string' ? value.length : 1;
    // Deeper than may be encoded, or circular.
    if (typeof value !== 'object' || value === null || depth > PAYLOAD_DEPTH_LIMIT) return value;
    const copyIn = (item: unknown): unknown => copyOf(item, depth + 1);
    if (Array.isArray(value)) return Array.from(value, copyIn);
    if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
      bytes += value.byteLength;
      return value.slice();
    }
    if (value instanceof Date) return new Date(value);
    if (value instanceof Map) return new Map(copyIn([...value]) as [unknown, unknown][]);
    if (hasToJson(value)) return copyIn(value.toJSON());
    return isPlainObject(value)
      ? Object.fromEntries(copyIn(Object.entries(value)) as [string, unknown][])
      : value;
  };
  try {
    return { data: copyOf(data, 1), bytes };
  } catch (cause) {
    throw new GatewayError('bad_payload', undefined, { cause });
  }
}
