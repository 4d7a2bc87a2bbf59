// The step from a gateway's decoded array to a typed frame, the same for every codec.
import { isCode, type Code } from './codes.js';
import { Fields, isBoolean, isList, isText, isUint, pick, type Elements } from './fields.js';
import { GATEWAY_FIELDS, TYPES, type GatewayFrame, type MessageOptions, type Welcome } from './frame.js';
import { isClientId, isName, isRoomName, isSessionId, type ClientId, type RoomName } from './ids.js';
import { OPAQUE_LIMIT_CHARACTERS, TEXT_LIMIT_CHARACTERS } from './limits.js';

type FieldOf<Frame, Name> = Frame extends unknown ? (Name extends keyof Frame ? Frame[Name] : never) : never;
type FieldName = (typeof GATEWAY_FIELDS)[keyof typeof GATEWAY_FIELDS][number];

type Read<Value> = (fields: Fields, name: string) => Value;

const uint: Read<number> = (fields, name) => fields.uint(name);
const uintOrNull: Read<number | null> = ({ elements }) => elements.uint();
const client: Read<ClientId> = (fields, name) => fields.client(name);
const names: Read<string[]> = (fields, name) => fields.value(name, isNames);

/** What reads each field; a field of one name is of one kind in all frames. */
const READ: { [Name in FieldName]: Read<FieldOf<GatewayFrame, Name>> } = {
  by: client,
  channel: (fields, name) => fields.value(name, isRoomOrNull),
  close: (fields, name) => fields.uint(name, 1000, 4999),
  code,
  count: uint,
  event: (fields) => fields.event(),
  expected: uintOrNull,
  from: client,
  handle: (fields, name) => fields.opaque(name),
  id: (fields, name) => fields.stringOrNull(name, OPAQUE_LIMIT_CHARACTERS),
  inMs: uint,
  info: welcome,
  joined: names,
  left: names,
  missing: uintOrNull,
  options,
  payload: (fields) => fields.payload(),
  reason: ({ elements }) => (elements.value() === 'trimmed' ? 'trimmed' : 'lost'),
  ref: (fields) => fields.ref(0),
  result: ({ elements }) => elements.value(),
  retryAfterMs: uint,
  room: (fields) => fields.room(),
  seq: uint,
  session: (fields) => fields.session(),
  text: (fields, name) => fields.string(name, TEXT_LIMIT_CHARACTERS),
};

const BY_NUMBER = new Map<number, GatewayFrame['type']>(
  (Object.keys(GATEWAY_FIELDS) as GatewayFrame['type'][]).map((name) => [TYPES[name], name]),
);

/** A newer gateway may refuse for a reason that this side has no name for. */
function code(fields: Fields, name: string): Code {
  const value = fields.string(name, OPAQUE_LIMIT_CHARACTERS);
  return isCode(value) ? value : 'internal_error';
}

function isNames(value: unknown): value is string[] {
  return isList(value, isName);
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

function isTextOrNullOrNone(value: unknown): value is string | null | undefined {
  return value === null || isTextOrNone(value);
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
function options(fields: Fields): MessageOptions {
  const shape = { trace: isTextOrNone, seq: isUintOrNone, delivered: isTrueOrNone };
  return pick<MessageOptions>(fields.elements.value(), shape) ?? fields.refuse('options');
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

function welcome(fields: Fields): Welcome {
  const info = pick<Optional<Welcome, 'kept'>>(fields.elements.value(), {
    server: isText,
    client: isClientId,
    session: isSessionId,
    resumeKey: isText,
    resumed: isBoolean,
    rooms: isNames,
    inbox: isTextOrNullOrNone,
    kept: isTextOrNullOrNone,
    resumeWindowMs: isUint,
    pingIntervalMs: isUint,
    tokenExpiresInMs: isUint,
    frameLimitBytes: isUint,
    iceServers: isIceServers,
  });
  return info === null ? fields.refuse('welcome') : { ...info, kept: info.kept ?? null };
}

/** @throws ProtocolError `unknown_type` (a newer gateway's: to be ignored) or `bad_parameter` */
export function parseGatewayFrame(type: number, elements: Elements): GatewayFrame {
  const fields = new Fields(elements);
  const name = BY_NUMBER.get(type) ?? fields.unknownType(type);
  const frame: Record<string, unknown> = { type: name };
  for (const field of GATEWAY_FIELDS[name]) frame[field] = READ[field](fields, field);
  // The two tables' types say that these are the fields of that frame.
  return frame as unknown as GatewayFrame;
}
