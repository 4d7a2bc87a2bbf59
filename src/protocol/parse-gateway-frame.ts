// The step from a gateway's decoded array to a typed frame, the same for every codec.
import { isCode } from './codes.js';
import { Fields, isList, isRecord, isText, own, type Elements } from './fields.js';
import { TYPES, type GatewayFrame, type Welcome } from './frame.js';
import { isClientId, isName, isRoomName, isSessionId } from './ids.js';
import { OPAQUE_LIMIT_CHARACTERS, TEXT_LIMIT_CHARACTERS } from './limits.js';

function isUint(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isNames(value: unknown): value is string[] {
  return isList(value, isName);
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

function isIceServer(value: unknown): value is Welcome['iceServers'][number] {
  if (!isRecord(value)) return false;
  const urls = own(value, 'urls');
  return (
    (isText(urls) || isList(urls, isText)) &&
    isTextOrNone(own(value, 'username')) &&
    isTextOrNone(own(value, 'credential'))
  );
}

function welcome(fields: Fields): Welcome {
  const info = fields.value('welcome', isRecord);
  const server = own(info, 'server');
  const client = own(info, 'client');
  const session = own(info, 'session');
  const resumeKey = own(info, 'resumeKey');
  const resumed = own(info, 'resumed');
  const rooms = own(info, 'rooms');
  const resumeWindowMs = own(info, 'resumeWindowMs');
  const pingIntervalMs = own(info, 'pingIntervalMs');
  const tokenExpiresInMs = own(info, 'tokenExpiresInMs');
  const frameLimitBytes = own(info, 'frameLimitBytes');
  const iceServers = own(info, 'iceServers');
  if (
    isText(server) &&
    isClientId(client) &&
    isSessionId(session) &&
    isText(resumeKey) &&
    typeof resumed === 'boolean' &&
    isList(rooms, isRoomName) &&
    isUint(resumeWindowMs) &&
    isUint(pingIntervalMs) &&
    isUint(tokenExpiresInMs) &&
    isUint(frameLimitBytes) &&
    isList(iceServers, isIceServer)
  ) {
    return {
      server,
      client,
      session,
      resumeKey,
      resumed,
      rooms,
      resumeWindowMs,
      pingIntervalMs,
      tokenExpiresInMs,
      frameLimitBytes,
      iceServers,
    };
  }
  return fields.refuse('welcome');
}

/** @throws ProtocolError `unknown_type` (a newer gateway's: to be ignored) or `bad_parameter` */
export function parseGatewayFrame(type: number, elements: Elements): GatewayFrame {
  const fields = new Fields(elements);
  switch (type) {
    case TYPES.message:
      return {
        type: 'message',
        id: fields.stringOrNull('id', OPAQUE_LIMIT_CHARACTERS),
        options: fields.options(),
        from: fields.client('from'),
        session: fields.session(),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.roomMessage:
      return {
        type: 'roomMessage',
        id: fields.stringOrNull('id', OPAQUE_LIMIT_CHARACTERS),
        options: fields.options(),
        room: fields.room(),
        from: fields.client('from'),
        session: fields.session(),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.requested:
      return {
        type: 'requested',
        handle: fields.opaque('handle'),
        options: fields.options(),
        from: fields.client('from'),
        session: fields.session(),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.ok:
      return { type: 'ok', ref: fields.ref(), result: fields.elements.value() };
    case TYPES.error: {
      const ref = fields.ref(0);
      const code = fields.string('code', OPAQUE_LIMIT_CHARACTERS);
      // A newer gateway may refuse for a reason that this side has no name for.
      const known = isCode(code) ? code : 'internal_error';
      return { type: 'error', ref, code: known, text: fields.string('text', TEXT_LIMIT_CHARACTERS) };
    }
    case TYPES.response:
      return { type: 'response', ref: fields.ref(), payload: fields.payload() };
    case TYPES.ping:
      return { type: 'ping' };
    case TYPES.welcome:
      return { type: 'welcome', info: welcome(fields) };
    case TYPES.expiring:
      return { type: 'expiring', inMs: fields.uint('inMs') };
    case TYPES.goaway:
      return {
        type: 'goaway',
        close: fields.uint('close', 1000, 4999),
        retryAfterMs: fields.uint('retryAfterMs'),
      };
    case TYPES.presence:
      return {
        type: 'presence',
        room: fields.room(),
        joined: fields.value('joined', isNames),
        left: fields.value('left', isNames),
        count: fields.uint('count'),
      };
    default:
      return fields.unknownType(type);
  }
}
