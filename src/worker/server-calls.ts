// What servers ask for through the admin port: frames as a client writes them, from a sender that has no connection.
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { type Code, CODES } from '../protocol/codes.js';
import { ProtocolError } from '../protocol/errors.js';
import type { ClientFrame, GatewayFrame } from '../protocol/frame.js';
import type { ClientId, SessionId } from '../protocol/ids.js';
import { createJsonCodec } from '../protocol/json-codec.js';
import type { Connection } from '../session/connection.js';
import { parsePermissions } from '../session/permissions.js';
import { Session } from '../session/session.js';
import { SERVER_GENERATION, type SessionPlace, type Store } from '../session/store/store.js';
import type { Router } from '../relay/router.js';
import type { Verbs } from './verbs.js';

/** Who calls: the client that its key stands for, and what the key permits, as a token's `perm` says it. */
export interface ServerCaller {
  client: ClientId;
  perm: unknown;
}

export type ServerCall = ServerCaller &
  (
    | {
        kind: 'frame';
        /** A frame of the JSON subprotocol. */
        frame: string;
        /** The same key with the same target is the same message: it is stored once. */
        idempotencyKey: string | null;
      }
    /** Ends the sessions of a client, or one of them; those that may come back get `restart`. */
    | { kind: 'disconnect'; target: ClientId; session: SessionId | null; comeBack: boolean }
  );

export type ServerAnswer =
  { status: 'ok'; result: unknown } | { status: 'refused'; code: Code; text: string };

/** What a server may ask for: nothing that needs a session of its own. */
const VERBS: ReadonlySet<ClientFrame['type']> = new Set([
  'send',
  'publish',
  'broadcast',
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
  router: Pick<Router, 'hangUp'>;
  /** The session that stands behind messages without an idempotency key. */
  session: SessionId;
  log: Logger;
}

export class ServerCalls {
  constructor(private readonly options: ServerCallsOptions) {}

  /** Never rejects. */
  async make(call: ServerCall): Promise<ServerAnswer> {
    try {
      return call.kind === 'frame' ? await this.handle(call) : await this.disconnect(call);
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
      this.options.verbs.handle(session, frame);
      // Nobody answers for a volatile message, unless it was refused.
      if ((frame.type === 'send' || frame.type === 'publish') && frame.seq === 0)
        resolve({ status: 'ok', result: null });
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
    if (!parsePermissions(call.perm).admin) return refusal('forbidden');
    let places: SessionPlace[];
    try {
      places = await this.options.store.locate(call.target, null);
    } catch {
      return refusal('unavailable');
    }
    const ended = places.filter(({ session }) => call.session === null || session === call.session);
    if (ended.length === 0) return refusal('not_found');
    const code = call.comeBack ? 'restart' : 'kicked';
    for (const { client, session, connected } of ended)
      if (connected) this.options.router.hangUp(client, session, code);
    // In the store too: a session may wait for a connection, or its worker may be gone.
    const gone = call.comeBack ? [] : ended;
    const done = await Promise.allSettled(gone.map((place) => this.options.store.end(place)));
    if (done.some(({ status }) => status === 'rejected')) return refusal('unknown_outcome');
    return { status: 'ok', result: { sessions: ended.length } };
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
