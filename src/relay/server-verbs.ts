// The verbs of servers and plugins, each made into the calls that a worker understands: for the HTTP API, `createGateway` and plugins alike.
import type { Code } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import { TYPES } from '../protocol/frame.js';
import type { ClientId, RoomName, SessionId } from '../protocol/ids.js';
import type { ServerAnswer, ServerCall, ServerCaller } from './server-call.js';

/** A payload as the JSON subprotocol writes it: the name of its codec, and its JSON or its bytes in base64. */
export type WirePayload = readonly [codec: string, value: unknown];

export const NO_DATA: WirePayload = ['none', null];

export interface ServerSource {
  /** One answer each, in the order of the calls; `unknown_outcome` where none came within so many ms more than usual. */
  call(calls: ServerCall[], extraMs?: number): Promise<ServerAnswer[]>;
}

/** Where a message stands in its log; null where the same idempotency key had stored it before. */
export interface Stored {
  id: string | null;
}

/** Who of several targets got a message. */
export interface SendResult {
  accepted: { to: string; id: string | null }[];
  refused: { to: string; code: Code }[];
}

export interface PublishCall {
  room: string;
  event: string;
  payload: WirePayload;
  /** Clients that do not get it. */
  except?: readonly string[] | undefined;
  volatile?: boolean | undefined;
  idempotencyKey?: string | null | undefined;
}

export interface SendCall {
  to: readonly string[];
  event: string;
  payload: WirePayload;
  ttlMs?: number | undefined;
  offline?: 'keep' | undefined;
  volatile?: boolean | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Which page of a list is wanted. */
export interface PageCall {
  cursor?: string | null | undefined;
  limit?: number | undefined;
}

/** Every method rejects with a `GatewayError` that says why not. */
export class ServerVerbs {
  constructor(
    private readonly source: ServerSource,
    private readonly caller: ServerCaller,
  ) {}

  /** Null for a volatile message. */
  async publish({ room, event, payload, except, ...how }: PublishCall): Promise<Stored | null> {
    const { seq, options } = numbering(how);
    const all = except === undefined ? options : { ...options, except };
    const result = await this.frame([TYPES.publish, 1, seq, all, room, event, ...payload], how);
    return how.volatile === true ? null : storedOf(result);
  }

  /** Each target answers for itself; rejects, with the reason of the first, where nobody got it. */
  async send({ to, event, payload, ttlMs, offline, ...how }: SendCall): Promise<SendResult> {
    if (to.length === 0) throw new GatewayError('bad_parameter', 'to names nobody');
    const { seq, options } = numbering(how);
    const answers = await this.source.call(
      to.map((target) =>
        this.call([TYPES.send, 1, seq, { ...options, ttlMs, offline }, target, event, ...payload], how),
      ),
    );
    const sent: SendResult = { accepted: [], refused: [] };
    for (const [at, target] of to.entries()) {
      const answer = answers[at];
      if (answer?.status === 'ok') sent.accepted.push({ to: target, ...storedOf(answer.result) });
      else sent.refused.push({ to: target, code: answer?.code ?? 'unknown_outcome' });
    }
    if (sent.accepted.length === 0) resultOf(answers[0]);
    return sent;
  }

  /** Volatile, to every session whose client the caller may send to. */
  async broadcast(event: string, payload: WirePayload, except?: readonly string[]): Promise<void> {
    const options = except === undefined ? {} : { except };
    await this.frame([TYPES.broadcast, 1, options, event, ...payload]);
  }

  async request(to: string, event: string, payload: WirePayload, timeoutMs: number): Promise<WirePayload> {
    const frame = [TYPES.request, 1, timeoutMs, {}, to, event, ...payload];
    const [answer] = await this.source.call([this.call(frame)], timeoutMs);
    const { codec, value } = resultOf(answer) as { codec: string; value: unknown };
    return [codec, value];
  }

  async members(
    room: string,
    { cursor = null, limit = 100 }: PageCall = {},
  ): Promise<{ members: { client: string; sessions: number }[]; cursor: string | null; count: number }> {
    const result = await this.frame([TYPES.members, 1, room, cursor, limit]);
    // Answers are of this build's own workers.
    return result as Awaited<ReturnType<ServerVerbs['members']>>;
  }

  async clients({ prefix = '', cursor = null, limit = 100 }: PageCall & { prefix?: string } = {}): Promise<{
    clients: string[];
    cursor: string | null;
  }> {
    const result = await this.frame([TYPES.clients, 1, prefix, cursor, limit]);
    return result as { clients: string[]; cursor: string | null };
  }

  async isOnline(client: string): Promise<boolean> {
    return (await this.frame([TYPES.online, 1, client])) === true;
  }

  async count(room: string): Promise<number> {
    return Number(await this.frame([TYPES.count, 1, room]));
  }

  /** Ends the sessions of a client, or one of them; with `comeBack` their connections only. */
  disconnect(
    target: ClientId,
    { session = null, comeBack = false }: { session?: SessionId | null; comeBack?: boolean } = {},
  ): Promise<{ sessions: number }> {
    return this.order({ kind: 'disconnect', target, session, comeBack });
  }

  /** The sessions of a client that are connected, or one of them, come into a room that their tokens permit. */
  join(target: ClientId, room: RoomName, session: SessionId | null = null): Promise<{ sessions: number }> {
    return this.order({ kind: 'move', target, session, room, joins: true });
  }

  /** They leave a room, or all (null). */
  leave(
    target: ClientId,
    room: RoomName | null,
    session: SessionId | null = null,
  ): Promise<{ sessions: number }> {
    return this.order({ kind: 'move', target, session, room, joins: false });
  }

  private async order(
    order: { [Kind in ServerCall['kind']]: Omit<ServerCall & { kind: Kind }, keyof ServerCaller> }[
      'disconnect' | 'move'],
  ): Promise<{ sessions: number }> {
    const [answer] = await this.source.call([{ ...this.caller, ...order }]);
    return resultOf(answer) as { sessions: number };
  }

  private async frame(frame: unknown[], how: Numbered = {}): Promise<unknown> {
    const [answer] = await this.source.call([this.call(frame, how)]);
    return resultOf(answer);
  }

  private call(frame: unknown[], { idempotencyKey = null }: Numbered = {}): ServerCall {
    return { ...this.caller, kind: 'frame', frame: JSON.stringify(frame), idempotencyKey };
  }
}

interface Numbered {
  volatile?: boolean | undefined;
  idempotencyKey?: string | null | undefined;
}

/** With a key the message is the first and only one of a sender that the key stands for. */
function numbering({ volatile: isVolatile, idempotencyKey = null }: Numbered): {
  seq: number | null;
  options: object;
} {
  if (isVolatile === true) return { seq: 0, options: {} };
  return idempotencyKey === null ? { seq: null, options: {} } : { seq: 1, options: { first: 1 } };
}

function storedOf(result: unknown): Stored {
  const id: unknown = Reflect.get(Object(result), 'id');
  return { id: typeof id === 'string' ? id : null };
}

function resultOf(answer: ServerAnswer | undefined): unknown {
  if (answer?.status === 'ok') return answer.result;
  throw new GatewayError(answer?.code ?? 'unknown_outcome', answer?.text);
}
