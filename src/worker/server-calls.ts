// What servers ask for through the admin port: frames as a client writes them, from a sender that has no connection.
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { type Code, CODES } from '../protocol/codes.js';
import { ProtocolError } from '../protocol/errors.js';
import type { ClientFrame, GatewayFrame, RequestFrame } from '../protocol/frame.js';
import type { ClientId, SessionId } from '../protocol/ids.js';
import { createJsonCodec } from '../protocol/json-codec.js';
import type { Connection } from '../session/connection.js';
import { parsePermissions } from '../session/permissions.js';
import { Session } from '../session/session.js';
import { SERVER_GENERATION, type SessionPlace, type Store } from '../session/store/store.js';
import { toWire } from '../relay/wire-payload.js';
import type { Letters } from '../relay/letters.js';
import type { Requests } from '../relay/requests.js';
import type { ServerAnswer, ServerCall } from '../relay/server-call.js';
import type { Verbs } from './verbs.js';

/** What a server may ask for: nothing that needs a session of its own. */
const VERBS: ReadonlySet<ClientFrame['type']> = new Set([
  'send',
  'publish',
  'broadcast',
  'request',
  'members',
  'count',
  'clients',
  'online',
]);

const CODEC = createJsonCodec();

/** Hears of nothing, and has nothing to end. */
const NOWHERE: Connection = {
  codec: CODEC,
  address: 'api',
  queuedBytes: 0,
  send: () => false,
  pause: () => undefined,
  close: () => undefined,
  terminate: () => undefined,
};

/** A session for the time of one call: what it would send to its client is the answer. */
class CallSession extends Session {
  answered: (answer: ServerAnswer) => void = () => undefined;

  override send(frame: GatewayFrame): void {
    if (frame.type === 'ok') this.answered({ status: 'ok', result: frame.result });
    else if (frame.type === 'error') this.answered({ status: 'refused', code: frame.code, text: frame.text });
  }
}

export interface ServerCallsOptions {
  verbs: Verbs;
  store: Store;
  requests: Pick<Requests, 'request'>;
  letters: Pick<Letters, 'hangUp' | 'move'>;
  /** The session that stands behind messages without an idempotency key. */
  session: SessionId;
  log: Logger;
}

export class ServerCalls {
  constructor(private readonly options: ServerCallsOptions) {}

  /** Never rejects. */
  async make(call: ServerCall): Promise<ServerAnswer> {
    try {
      if (call.kind === 'frame') return await this.handle(call);
      if (!parsePermissions(call.perm).admin) return refusal('forbidden');
      return call.kind === 'move' ? await this.move(call) : await this.disconnect(call);
    } catch (error) {
      if (error instanceof ProtocolError) return refusal(error.code, error.message);
      this.options.log.error({ err: error }, 'a call of a server failed');
      return refusal('internal_error');
    }
  }

  private handle(call: ServerCall & { kind: 'frame' }): Promise<ServerAnswer> {
    const frame = CODEC.decodeClient(call.frame);
    if (!VERBS.has(frame.type)) return Promise.resolve(refusal('unknown_type'));
    const session = this.sessionOf(call);
    return new Promise((resolve) => {
      session.answered = resolve;
      if (frame.type === 'request') {
        this.request(session, frame, resolve);
        return;
      }
      this.options.verbs.handle(session, frame);
      // Nobody answers for a volatile message, unless it was refused.
      if ((frame.type === 'send' || frame.type === 'publish') && frame.seq === 0)
        resolve({ status: 'ok', result: null });
    });
  }

  private request(session: CallSession, frame: RequestFrame, resolve: (answer: ServerAnswer) => void): void {
    this.options.requests.request(session, frame, (answer) => {
      if (!('payload' in answer)) {
        resolve(refusal(answer.code, answer.text));
        return;
      }
      const [codec, value] = toWire(answer.payload);
      resolve({ status: 'ok', result: { codec, value } });
    });
  }

  private sessionOf({ client, perm, idempotencyKey }: ServerCall & { kind: 'frame' }): CallSession {
    const session = idempotencyKey === null ? this.options.session : sessionFor(client, idempotencyKey);
    const ref = { client, session, generation: SERVER_GENERATION };
    const permissions = parsePermissions(perm);
    const identity = { client, expiresAtMs: Infinity, issuedAtMs: null, tokenId: null, permissions };
    return new CallSession(ref, identity, NOWHERE, 0, this.options.log);
  }

  private async disconnect(call: ServerCall & { kind: 'disconnect' }): Promise<ServerAnswer> {
    const ended = await this.placesOf(call);
    if (ended === null) return refusal('unavailable');
    if (ended.length === 0) return refusal('not_found');
    const code = call.comeBack ? 'restart' : 'kicked';
    for (const { client, session, connected } of ended)
      if (connected) this.options.letters.hangUp(client, session, code);
    // In the store too: a session may wait for a connection, or its worker may be gone.
    const gone = call.comeBack ? [] : ended;
    const done = await Promise.allSettled(gone.map((place) => this.options.store.end(place)));
    if (done.some(({ status }) => status === 'rejected')) return refusal('unknown_outcome');
    return { status: 'ok', result: { sessions: ended.length } };
  }

  /** Done where one session did it; where none did, the first says why. */
  private async move(call: ServerCall & { kind: 'move' }): Promise<ServerAnswer> {
    const { room, joins } = call;
    const { letters, store } = this.options;
    const places = await this.placesOf(call);
    if (places === null) return refusal('unavailable');
    if (places.length === 0) return refusal('not_found');
    const outcomes = await Promise.all(
      places.map(async (place): Promise<Code | null> => {
        if (place.connected) return letters.move(place, room, joins);
        // It waits for a connection: then only the store can have it leave, a room that is named.
        if (joins || room === null) return 'unavailable';
        return store.leave(place, room).then(
          () => null,
          () => 'unknown_outcome',
        );
      }),
    );
    const sessions = outcomes.filter((outcome) => outcome === null).length;
    const [first] = outcomes;
    return sessions > 0 ? { status: 'ok', result: { sessions } } : refusal(first ?? 'internal_error');
  }

  /** Sessions that a call is about; null where the store cannot say. */
  private async placesOf({
    target,
    session,
  }: {
    target: ClientId;
    session: SessionId | null;
  }): Promise<SessionPlace[] | null> {
    try {
      const places = await this.options.store.locate(target, null);
      return places.filter((place) => session === null || place.session === session);
    } catch {
      return null;
    }
  }
}

/** 128 bits in base64url, as every session id. */
function sessionFor(client: ClientId, idempotencyKey: string): SessionId {
  const digest = createHash('sha256').update(`${client}\0${idempotencyKey}`).digest();
  return digest.subarray(0, 16).toString('base64url') as SessionId;
}

function refusal(code: Code, text: string = CODES[code].text): ServerAnswer {
  return { status: 'refused', code, text };
}
