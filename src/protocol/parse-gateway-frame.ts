// The step from a gateway's decoded array to a typed frame, the same for every codec.
import { isCode, type Code } from './codes.js';
import { ProtocolError } from './errors.js';
import {
  isBoolean,
  isCarried,
  isList,
  isText,
  isTextOrNone,
  isTextOrNullOrNone,
  isUint,
  pick,
  REF_LIMIT,
  type Elements,
} from './fields.js';
import { GATEWAY_FIELDS, GATEWAY_TYPES } from './frame.js';
import type { GapReason, GatewayFrame, MessageOptions, Payload, Welcome } from './frame.js';
import { isClientId, isEventName, isName, isRoomName, isSessionId, type RoomName } from './ids.js';
import { DIALOGUE_FIELDS } from './dialogue-fields.js';
import { OPAQUE_LIMIT_CHARACTERS, TEXT_LIMIT_CHARACTERS } from './limits.js';

type FieldOf<Frame, Name> = Frame extends unknown ? (Name extends keyof Frame ? Frame[Name] : never) : never;
type FieldName = Exclude<
  (typeof GATEWAY_FIELDS)[keyof typeof GATEWAY_FIELDS][number],
  keyof typeof DIALOGUE_FIELDS
>;

/** Undefined where the element is not what the field should be. */
export type Read<Value> = (element: unknown) => Value | undefined;

function where<Value>(isRight: (element: unknown) => element is Value): Read<Value> {
  return (element) => (isRight(element) ? element : undefined);
}

function text(limit: number): Read<string> {
  return (element) => (isText(element) && element.length <= limit ? element : undefined);
}

const opaque = text(OPAQUE_LIMIT_CHARACTERS);
const uint = where(isUint);
const client = where(isClientId);
const names = where(isNames);
const place: Read<string | null> = (element) => (element === null ? null : opaque(element));
/** Of the last elements of a frame: what is no number says nothing. */
const uintOrNull: Read<number | null> = (element) => uint(element) ?? null;

/** What reads each field; a field of one name is of one kind in all frames. */
const READ: { [Name in FieldName]: Read<FieldOf<GatewayFrame, Name>> } = {
  by: client,
  channel: where(isRoomOrNull),
  close: (element) => (isUint(element) && element >= 1000 && element <= 4999 ? element : undefined),
  code,
  count: uint,
  event: where(isEventName),
  expected: uintOrNull,
  from: client,
  handle: (element) => opaque(element) || undefined,
  id: place,
  inMs: uint,
  info: welcome,
  joined: names,
  left: names,
  missing: uintOrNull,
  options,
  payload: where(isPayload),
  reason: (element): GapReason => (element === 'trimmed' ? 'trimmed' : 'lost'),
  ref: (element) => (isUint(element) && element <= REF_LIMIT ? element : undefined),
  result: (element) => element,
  retryAfterMs: uint,
  room: where(isRoomName),
  seq: uint,
  servers: where(isIceServers),
  session: where(isSessionId),
  text: text(TEXT_LIMIT_CHARACTERS),
};

const ALL = { ...READ, ...DIALOGUE_FIELDS };

/** A newer gateway may refuse for a reason that this side has no name for. */
function code(element: unknown): Code | undefined {
  const value = opaque(element);
  return value === undefined || isCode(value) ? value : 'internal_error';
}

function isPayload(value: unknown): value is Payload {
  // What `elements.payload()` gives.
  return value !== null && isCarried(value as Payload);
}

function isNames(value: unknown): value is string[] {
  return isList(value, isName);
}

function isUintOrNone(value: unknown): value is number | undefined {
  return value === undefined || isUint(value);
}

function isTrueOrNone(value: unknown): value is true | undefined {
  return value === undefined || value === true;
}

function isRoomOrNull(value: unknown): value is RoomName | null {
  return value === null || isRoomName(value);
}

function isUrls(value: unknown): value is string | string[] {
  return isText(value) || isList(value, isText);
}

/** Only what a receiver learns of them. */
function options(element: unknown): MessageOptions | undefined {
  const shape = { trace: isTextOrNone, seq: isUintOrNone, delivered: isTrueOrNone };
  return pick<MessageOptions>(element, shape) ?? undefined;
}

type Optional<Shape, Name extends keyof Shape> = Omit<Shape, Name> & Partial<Pick<Shape, Name>>;
type IceServer = Welcome['iceServers'][number];

function isIceServers(value: unknown): value is IceServer[] {
  return isList(
    value,
    (server): server is IceServer =>
      pick<IceServer>(server, { urls: isUrls, username: isTextOrNone, credential: isTextOrNone }) !== null,
  );
}

function welcome(element: unknown): Welcome | undefined {
  const info = pick<Optional<Welcome, 'kept'>>(element, {
    server: isText,
    client: isClientId,
    session: isSessionId,
    resumeKey: isText,
    resumed: isBoolean,
    generation: isUintOrNone,
    rooms: isNames,
    inbox: isTextOrNullOrNone,
    kept: isTextOrNullOrNone,
    resumeWindowMs: isUint,
    pingIntervalMs: isUint,
    tokenExpiresInMs: isUint,
    frameLimitBytes: isUint,
    iceServers: isIceServers,
  });
  return info === null ? undefined : { ...info, kept: info.kept ?? null };
}

/** @throws ProtocolError `unknown_type` (a newer gateway's: to be ignored) or `bad_parameter` */
export function parseGatewayFrame(type: number, elements: Elements): GatewayFrame {
  const name = GATEWAY_TYPES.get(type);
  if (name === undefined) throw new ProtocolError('unknown_type', `unknown frame type ${type}`);
  const frame: Record<string, unknown> = { type: name };
  for (const field of GATEWAY_FIELDS[name]) {
    frame[field] = ALL[field](field === 'payload' ? elements.payload() : elements.value());
    if (frame[field] === undefined) throw new ProtocolError('bad_parameter', `bad ${field}`);
  }
  // The two tables' types say that these are the fields of that frame.
  return frame as unknown as GatewayFrame;
}
