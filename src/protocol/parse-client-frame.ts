// The step from a client's decoded array to a typed frame, the same for every codec.
import { CODES, isCode, type Code } from './codes.js';
import { Fields, isBoolean, isList, isRecord, isText, isUint, own, type Elements } from './fields.js';
import { PROTOCOL_VERSION, TYPES } from './frame.js';
import type { Ask, ClientFrame, Cursor, HelloFrame, MessageOptions } from './frame.js';
import type { Part, Payload, SendFrame, Sequence, Since } from './frame.js';
import type { RoomName } from './ids.js';
import {
  isClientId,
  isName,
  isPairId,
  isRoomName,
  isServiceName,
  isSessionId,
  isStreamId,
  parseAddress,
} from './ids.js';
import {
  CURSORS_LIMIT,
  HISTORY_LIMIT,
  OPAQUE_LIMIT_CHARACTERS,
  PAGE_LIMIT,
  REQUEST_TIMEOUT_LIMIT_MS,
  STANDING_OFFER_LIMIT_BYTES,
  STREAM_CHUNK_LIMIT_BYTES,
  TARGETS_LIMIT,
  TEXT_LIMIT_CHARACTERS,
  TOKEN_LIMIT_BYTES,
  TTL_LIMIT_MS,
} from './limits.js';
import { parsePeerReport } from './parse-peer-report.js';

const TRACE = /^[A-Za-z0-9._~@:/+-]{1,64}$/;

function options(fields: Fields): MessageOptions {
  const value = fields.value('options', isRecord);
  if (isEmpty(value)) return {};
  const trace = own(value, 'trace');
  const except = own(value, 'except');
  const self = own(value, 'self');
  const options: MessageOptions = {};
  if (trace !== undefined) {
    options.trace = isTrace(trace) ? trace : fields.refuse('trace');
  }
  if (except !== undefined) {
    const fits = isList(except, isClientId) && except.length <= TARGETS_LIMIT;
    options.except = fits ? except : fields.refuse('except');
  }
  if (self !== undefined) options.self = isBoolean(self) ? self : fields.refuse('self');
  return Object.assign(options, keeping(fields, value));
}

function isTrace(value: unknown): value is string {
  return isText(value) && TRACE.test(value);
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}

/** The options of kept messages, and of calls. */
function keeping(fields: Fields, value: object): MessageOptions {
  const first = own(value, 'first');
  const delivered = own(value, 'delivered');
  const ttlMs = own(value, 'ttlMs');
  const offline = own(value, 'offline');
  const idempotent = own(value, 'idempotent');
  const standing = own(value, 'standing');
  const options: MessageOptions = {};
  if (first !== undefined) options.first = isUint(first) && first > 0 ? first : fields.refuse('first');
  if (delivered === true) options.delivered = true;
  else if (delivered !== undefined && delivered !== false) fields.refuse('delivered');
  if (ttlMs !== undefined) {
    options.ttlMs = isUint(ttlMs) && ttlMs > 0 && ttlMs <= TTL_LIMIT_MS ? ttlMs : fields.refuse('ttlMs');
  }
  if (offline === 'keep') options.offline = offline;
  else if (offline !== undefined && offline !== 'refuse') fields.refuse('offline');
  if (idempotent === true) options.idempotent = true;
  else if (idempotent !== undefined && idempotent !== false) fields.refuse('idempotent');
  if (standing !== undefined)
    options.standing = standing === '' || isTrace(standing) ? standing : fields.refuse('standing');
  return options;
}

function seq(fields: Fields): Sequence {
  const value = fields.elements.uint();
  return value === null || value >= 0 ? value : fields.refuse('seq');
}

function hello(fields: Fields): HelloFrame {
  const version = fields.uint('version');
  // Another version may mean other fields: it is answered with `unsupported_version`, whatever they are.
  if (version !== PROTOCOL_VERSION) return { type: 'hello', version, token: null, resume: null, agent: null };
  return {
    type: 'hello',
    version,
    token: fields.stringOrNull('token', TOKEN_LIMIT_BYTES),
    resume: resume(fields),
    agent: fields.stringOrNull('agent', OPAQUE_LIMIT_CHARACTERS),
  };
}

function resume(fields: Fields): HelloFrame['resume'] {
  const value = fields.elements.value();
  if (value === null) return null;
  if (!Array.isArray(value)) return fields.refuse('resume');
  const [session, key, cursors = []] = value as unknown[];
  const isKey = isText(key) && key !== '' && key.length <= OPAQUE_LIMIT_CHARACTERS;
  const fits = isSessionId(session) && isKey && isList(cursors, isCursor) && cursors.length <= CURSORS_LIMIT;
  return fits ? { session, key, cursors } : fields.refuse('resume');
}

function isId(value: unknown): value is string {
  return isText(value) && value !== '' && value.length <= OPAQUE_LIMIT_CHARACTERS;
}

function isCursor(value: unknown): value is Cursor {
  if (!Array.isArray(value)) return false;
  const [room, id] = value as unknown[];
  return (room === null || isRoomName(room)) && (id === null || isId(id));
}

function since(fields: Fields): Since {
  const value = fields.elements.value();
  if (value === null || isId(value)) return value;
  return isUint(value) && value <= HISTORY_LIMIT ? value : fields.refuse('since');
}

function isAddress(value: unknown): value is string {
  return parseAddress(value) !== null;
}

function isWholeAddress(value: unknown): value is string {
  return (parseAddress(value)?.session ?? null) !== null;
}

function isTargets(value: unknown): value is string | string[] {
  if (!Array.isArray(value)) return isAddress(value);
  return value.length > 0 && value.length <= TARGETS_LIMIT && isList(value, isAddress);
}

function send(fields: Fields): SendFrame {
  const frame: SendFrame = {
    type: 'send',
    ref: fields.ref(0),
    seq: seq(fields),
    options: options(fields),
    to: fields.value('to', isTargets),
    event: fields.event(),
    payload: fields.payload(),
  };
  // A number counts within one channel; each target of a list is a channel of its own.
  if (Array.isArray(frame.to) && frame.seq !== null && frame.seq > 0) return fields.refuse('seq');
  const { delivered, ttlMs, standing } = frame.options;
  // A receipt names its message by its number; without one nobody could tell of which it is.
  if (delivered === true && (frame.seq === null || frame.seq === 0)) return fields.refuse('delivered');
  if (ttlMs !== undefined && frame.seq === 0) return fields.refuse('ttlMs');
  if (standing !== undefined && ((standing !== '' && frame.seq !== 0) || Array.isArray(frame.to)))
    return fields.refuse('standing');
  return frame;
}

function isPrefix(value: unknown): value is string {
  return value === '' || isName(value);
}

/** Only what a handler can have an opinion on: a peer must not say that a token or a connection ended. */
function isRefusal(value: unknown): value is Code {
  return isCode(value) && CODES[value].close === null;
}

function isAddressOrNull(value: unknown): value is string | null {
  return value === null || isAddress(value);
}

function isRoomOrNull(value: unknown): value is RoomName | null {
  return value === null || isRoomName(value);
}

/** Both enumerations of streams are 0, 1 and 2. */
function isUpToTwo(value: unknown): value is Part & Ask {
  return value === 0 || value === 1 || value === 2;
}

function isEnd(value: unknown): value is Code {
  return value === 'normal' || isRefusal(value);
}

function openStream(fields: Fields): ClientFrame {
  const frame: ClientFrame = {
    type: 'openStream',
    stream: fields.value('stream', isStreamId),
    to: fields.value('to', isAddressOrNull),
    room: fields.value('room', isRoomOrNull),
    name: fields.event(),
    drop: fields.value('drop', isBoolean),
    payload: chunkPayload(fields),
  };
  return frame.to !== null && frame.room !== null ? fields.refuse('room') : frame;
}

function attachStream(fields: Fields): ClientFrame {
  const frame: ClientFrame = {
    type: 'attachStream',
    stream: fields.value('stream', isStreamId),
    to: fields.value('to', isAddressOrNull),
    room: fields.value('room', isRoomOrNull),
    opened: fields.value('opened', isBoolean),
    upTo: fields.uint('upTo'),
    limit: fields.uint('limit'),
    drop: fields.value('drop', isBoolean),
  };
  if (frame.to === null ? !frame.opened : frame.room !== null) return fields.refuse('room');
  return frame.to !== null && parseAddress(frame.to)?.session === null ? fields.refuse('to') : frame;
}

function chunkPayload(fields: Fields): Payload {
  const payload = fields.payload();
  return payload.data.length <= STREAM_CHUNK_LIMIT_BYTES ? payload : fields.refuse('payload');
}

/** @throws ProtocolError `unknown_type` or `bad_parameter`, with the ref of the call */
export function parseClientFrame(type: number, elements: Elements): ClientFrame {
  const fields = new Fields(elements);
  // Object literals evaluate their fields in order, and that is the order on the wire.
  switch (type) {
    case TYPES.send:
      return send(fields);
    case TYPES.publish:
      return {
        type: 'publish',
        ref: fields.ref(0),
        seq: seq(fields),
        options: options(fields),
        room: fields.room(),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.broadcast:
      return {
        type: 'broadcast',
        ref: fields.ref(0),
        options: options(fields),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.request:
      return {
        type: 'request',
        ref: fields.ref(),
        timeoutMs: fields.uint('timeoutMs', 1, REQUEST_TIMEOUT_LIMIT_MS),
        options: options(fields),
        to: fields.value('to', isAddress),
        event: fields.event(),
        payload: fields.payload(),
      };
    case TYPES.call:
      return {
        type: 'call',
        ref: fields.ref(),
        timeoutMs: fields.uint('timeoutMs', 1, REQUEST_TIMEOUT_LIMIT_MS),
        options: options(fields),
        service: fields.value('service', isServiceName),
        payload: fields.payload(),
      };
    case TYPES.reply:
      return { type: 'reply', handle: fields.opaque('handle'), payload: fields.payload() };
    case TYPES.reject: {
      const handle = fields.opaque('handle');
      const code = fields.value('code', isRefusal);
      return { type: 'reject', handle, code, text: fields.string('text', TEXT_LIMIT_CHARACTERS) };
    }
    case TYPES.receipt:
    case TYPES.confirm:
      return {
        type: type === TYPES.receipt ? 'receipt' : 'confirm',
        to: fields.value('to', isAddress),
        seq: fields.uint('seq', 1),
      };
    case TYPES.chunk:
      return {
        type: 'chunk',
        stream: fields.value('stream', isStreamId),
        offset: fields.uint('offset'),
        part: fields.value('part', isUpToTwo),
        payload: chunkPayload(fields),
      };
    case TYPES.credit:
      return {
        type: 'credit',
        stream: fields.value('stream', isStreamId),
        upTo: fields.uint('upTo'),
        limit: fields.uint('limit'),
        ask: fields.value('ask', isUpToTwo),
      };
    case TYPES.openStream:
      return openStream(fields);
    case TYPES.attachStream:
      return attachStream(fields);
    case TYPES.cut:
      return {
        type: 'cut',
        stream: fields.value('stream', isStreamId),
        to: fields.value('to', isAddressOrNull),
        code: fields.value('code', isEnd),
        text: fields.string('text', TEXT_LIMIT_CHARACTERS),
      };
    case TYPES.peerReport:
      return {
        type: 'peerReport',
        digest: parsePeerReport(fields.elements.value()) ?? fields.refuse('digest'),
      };
    case TYPES.standingOffer: {
      const ref = fields.ref();
      const id = fields.value('id', isTrace);
      const event = fields.event();
      const payload = fields.payload();
      const fits = payload.data.length <= STANDING_OFFER_LIMIT_BYTES;
      return { type: 'standingOffer', ref, id, event, payload: fits ? payload : fields.refuse('payload') };
    }
    case TYPES.ack:
      return { type: 'ack', id: fields.value('id', isId) };
    case TYPES.pong:
      return { type: 'pong' };
    case TYPES.hello:
      return hello(fields);
    case TYPES.token:
      return { type: 'token', ref: fields.ref(), token: fields.string('token', TOKEN_LIMIT_BYTES) };
    case TYPES.bye:
      return { type: 'bye' };
    case TYPES.join:
      return { type: 'join', ref: fields.ref(), room: fields.room(), since: since(fields) };
    case TYPES.leave:
      return { type: 'leave', ref: fields.ref(), room: fields.room() };
    case TYPES.leaveAll:
      return { type: 'leaveAll', ref: fields.ref() };
    case TYPES.members:
      return {
        type: 'members',
        ref: fields.ref(),
        room: fields.room(),
        cursor: fields.stringOrNull('cursor', OPAQUE_LIMIT_CHARACTERS),
        limit: fields.uint('limit', 1, PAGE_LIMIT),
      };
    case TYPES.count:
      return { type: 'count', ref: fields.ref(), room: fields.room() };
    case TYPES.pair:
      return {
        type: 'pair',
        ref: fields.ref(),
        timeoutMs: fields.uint('timeoutMs', 1, REQUEST_TIMEOUT_LIMIT_MS),
        to: fields.value('to', isAddress),
        payload: fields.payload(),
      };
    case TYPES.holdPair:
    case TYPES.endPair:
      return {
        type: type === TYPES.holdPair ? 'holdPair' : 'endPair',
        ref: fields.ref(),
        pair: fields.value('pair', isPairId),
        to: fields.value('to', isWholeAddress),
      };
    case TYPES.clients:
    case TYPES.available:
      return {
        type: type === TYPES.clients ? 'clients' : 'available',
        ref: fields.ref(),
        prefix: fields.value('prefix', isPrefix),
        cursor: fields.stringOrNull('cursor', OPAQUE_LIMIT_CHARACTERS),
        limit: fields.uint('limit', 1, PAGE_LIMIT),
      };
    case TYPES.online:
      return { type: 'online', ref: fields.ref(), client: fields.client('client') };
    case TYPES.watch:
      return { type: 'watch', ref: fields.ref(), room: fields.room(), on: fields.value('on', isBoolean) };
    default:
      return fields.unknownType(type);
  }
}
