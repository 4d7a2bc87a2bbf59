// The routes of `/api/v1`: what each takes, what it answers, and the frame or order that it becomes.
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type Code, CODES } from '../protocol/codes.js';
import { isClientId, isRoomName, isSessionId, NAME, SESSION } from '../protocol/ids.js';
import type { ClientId } from '../protocol/ids.js';
import { PAGE_LIMIT, TARGETS_LIMIT } from '../protocol/limits.js';
import { type TestSummary, turnShare } from '../protocol/test-report.js';
import type { Revocation, SessionPlace } from '../session/store/store.js';
import { NO_DATA, type ServerSource, type ServerVerbs, type WirePayload } from '../relay/server-verbs.js';

const inner = ({ source }: RegExp) => source.slice(1, -1);
/** How long a client may take to answer a request of a server, ms: each holds a connection to the admin port. */
export const API_REQUEST_LIMIT_MS = 60_000;
/** The same where the caller does not say. */
export const API_REQUEST_MS = 10_000;
/** Longest `jti`, as tokens may have it. */
const TOKEN_ID_LIMIT_CHARACTERS = 256;

const Name = (description: string) => Type.String({ pattern: NAME.source, description });
const Address = Type.String({
  pattern: `^${inner(NAME)}(#${inner(SESSION)})?$`,
  description: 'A client, or `client#session`.',
});
const Data = Type.Optional(Type.Unknown({ description: 'Any JSON; receivers get it as their data.' }));
const Volatile = Type.Optional(
  Type.Boolean({
    description: 'At most once, never stored; the answer is 202 and says nothing of receivers.',
  }),
);
const Except = Type.Optional(Type.Array(Name('A client that does not get it.'), { maxItems: TARGETS_LIMIT }));
const Session = Type.Optional(Type.String({ pattern: SESSION.source, description: 'Only this one.' }));
const closed = { additionalProperties: false } as const;
const OPEN = { additionalProperties: true } as const;

const Paging = {
  cursor: Type.Optional(Type.String({ maxLength: 512, description: '`cursor` of the page before.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT, default: 100 })),
};
const NextCursor = Type.Union([Type.String(), Type.Null()]);
const Stored = Type.Object({
  id: Type.Union([Type.String(), Type.Null()], {
    description: 'Place in the log; null where the same idempotency key has stored it before.',
  }),
});

/** What the API is about. */
export interface ApiSource extends ServerSource {
  /** Null where the store cannot be reached now. */
  locate(client: ClientId): Promise<SessionPlace[] | null>;
  workers(): { id: string; pid: number; state: string }[];
  /** What connection test pages told this node. */
  tests(): TestSummary;
  /** Resolves with why not; null where it is done. */
  revoke(revocation: Revocation): Promise<Code | null>;
  /** Longest life of a token, s. */
  readonly tokensLiveS: number;
}

export interface ApiAnswer {
  status: number;
  body: unknown;
}

export interface ApiRequest<Body = unknown> {
  verbs: ServerVerbs;
  /** Of the path, decoded and checked. */
  params: Record<string, string>;
  body: Body;
  idempotencyKey: string | null;
  source: ApiSource;
}

export interface ApiRoute {
  method: 'GET' | 'POST';
  /** As OpenAPI writes it; each parameter is a name. */
  path: string;
  summary: string;
  /** What the key's `perm` must allow. */
  permission: string;
  /** Body of a POST; query of a GET. */
  input: TSchema;
  output: TSchema;
  /** Whether `Idempotency-Key` counts. */
  idempotent: boolean;
  handle(request: ApiRequest): Promise<ApiAnswer>;
}

/** Gives `handle` the type that `input` has been checked for. */
function route<Input extends TSchema>(
  made: Omit<ApiRoute, 'input' | 'handle'> & {
    input: Input;
    handle: (request: ApiRequest<Static<Input>>) => Promise<ApiAnswer>;
  },
): ApiRoute {
  // The API validates the body with this very schema first.
  return { ...made, handle: (request) => made.handle(request) };
}

const publish = route({
  method: 'POST',
  path: '/api/v1/publish',
  summary: 'Publishes a message to a room.',
  permission: 'rooms.publish',
  input: Type.Object(
    {
      room: Name('The room.'),
      event: Name('The event.'),
      data: Data,
      except: Except,
      volatile: Volatile,
    },
    closed,
  ),
  output: Stored,
  idempotent: true,
  async handle({ verbs, body: { data, ...call }, idempotencyKey }) {
    const stored = await verbs.publish({ ...call, payload: payload(data), idempotencyKey });
    return { status: stored === null ? 202 : 200, body: stored };
  },
});

const send = route({
  method: 'POST',
  path: '/api/v1/send',
  summary: 'Sends a message to clients or single sessions.',
  permission: 'send',
  input: Type.Object(
    {
      to: Type.Union([
        Address,
        Type.Array(Address, { minItems: 1, maxItems: TARGETS_LIMIT, uniqueItems: true }),
      ]),
      event: Name('The event.'),
      data: Data,
      ttlMs: Type.Optional(
        Type.Integer({ minimum: 1, description: 'Worth nothing after so long: not delivered then.' }),
      ),
      offline: Type.Optional(
        Type.Literal('keep', { description: 'Keep it for a client that has no session.' }),
      ),
      volatile: Volatile,
    },
    closed,
  ),
  output: Type.Object({
    accepted: Type.Array(Type.Object({ to: Type.String(), id: Stored.properties.id })),
    refused: Type.Array(Type.Object({ to: Type.String(), code: Type.String() })),
  }),
  idempotent: true,
  async handle({ verbs, body: { to, data, ...call }, idempotencyKey }) {
    const targets = typeof to === 'string' ? [to] : to;
    const sent = await verbs.send({ ...call, to: targets, payload: payload(data), idempotencyKey });
    return { status: call.volatile === true ? 202 : 200, body: sent };
  },
});

const broadcast = route({
  method: 'POST',
  path: '/api/v1/broadcast',
  summary: 'Sends a volatile message to every session that the key may send to.',
  permission: 'send',
  input: Type.Object({ event: Name('The event.'), data: Data, except: Except }, closed),
  output: Type.Null(),
  idempotent: false,
  async handle({ verbs, body: { event, data, except } }) {
    await verbs.broadcast(event, payload(data), except);
    return { status: 202, body: null };
  },
});

const request = route({
  method: 'POST',
  path: '/api/v1/request',
  summary: 'Asks one session of a client, and waits for its answer.',
  permission: 'send',
  input: Type.Object(
    {
      to: Address,
      event: Name('The event.'),
      data: Data,
      timeoutMs: Type.Optional(
        Type.Integer({ minimum: 1, maximum: API_REQUEST_LIMIT_MS, default: API_REQUEST_MS }),
      ),
    },
    closed,
  ),
  output: Type.Object({
    codec: Type.String({ description: '`json`; another codec of the payload where JSON cannot carry it.' }),
    data: Type.Unknown({ description: 'The answer; of another codec its bytes, in base64.' }),
  }),
  idempotent: false,
  async handle({ verbs, body: { to, event, data, timeoutMs = API_REQUEST_MS } }) {
    const [codec, answer] = await verbs.request(to, event, payload(data), timeoutMs);
    return { status: 200, body: { codec, data: answer } };
  },
});

const members = route({
  method: 'GET',
  path: '/api/v1/rooms/{room}/members',
  summary: 'Clients in a room, a page at a time, and how many there are.',
  permission: 'rooms.presence',
  input: Type.Object(Paging, closed),
  output: Type.Object({
    members: Type.Array(Type.Object({ client: Type.String(), sessions: Type.Integer() })),
    cursor: NextCursor,
    count: Type.Integer(),
  }),
  idempotent: false,
  handle: async ({ verbs, params: { room = '' }, body }) => ({
    status: 200,
    body: await verbs.members(room, body),
  }),
});

const clients = route({
  method: 'GET',
  path: '/api/v1/clients',
  summary: 'Clients that are online, a page at a time.',
  permission: 'list',
  input: Type.Object({ prefix: Type.Optional(Type.String({ maxLength: 128 })), ...Paging }, closed),
  output: Type.Object({ clients: Type.Array(Type.String()), cursor: NextCursor }),
  idempotent: false,
  handle: async ({ verbs, body }) => ({ status: 200, body: await verbs.clients(body) }),
});

const disconnect = route({
  method: 'POST',
  path: '/api/v1/clients/{client}/disconnect',
  summary:
    'Ends the sessions of a client, or one of them. Without `comeBack` its SDK stays away (4504); a token that is still good may connect anew.',
  permission: 'admin',
  input: Type.Object(
    {
      session: Session,
      comeBack: Type.Optional(
        Type.Boolean({
          description: 'End the connections only: the SDK comes back with its session (1012).',
        }),
      ),
    },
    closed,
  ),
  output: Type.Object({ sessions: Type.Integer() }),
  idempotent: false,
  async handle({ verbs, params: { client }, body: { session, comeBack = false } }) {
    const one = isSessionId(session) ? session : null;
    if (!isClientId(client)) return refused('bad_parameter');
    return { status: 200, body: await verbs.disconnect(client, { session: one, comeBack }) };
  },
});

const join = route({
  method: 'POST',
  path: '/api/v1/clients/{client}/join',
  summary: 'Has the connected sessions of a client, or one of them, join a room that their tokens permit.',
  permission: 'admin',
  input: Type.Object({ room: Name('The room.'), session: Session }, closed),
  output: Type.Object({ sessions: Type.Integer({ description: 'How many of them are in the room now.' }) }),
  idempotent: false,
  async handle({ verbs, params: { client }, body: { room, session } }) {
    const one = isSessionId(session) ? session : null;
    if (!isClientId(client) || !isRoomName(room)) return refused('bad_parameter');
    return { status: 200, body: await verbs.join(client, room, one) };
  },
});

const leave = route({
  method: 'POST',
  path: '/api/v1/clients/{client}/leave',
  summary: 'Has the sessions of a client, or one of them, leave a room; without `room` all their rooms.',
  permission: 'admin',
  input: Type.Object({ room: Type.Optional(Name('The room.')), session: Session }, closed),
  output: Type.Object({ sessions: Type.Integer({ description: 'How many of them are not in it now.' }) }),
  idempotent: false,
  async handle({ verbs, params: { client }, body: { room = null, session } }) {
    const one = isSessionId(session) ? session : null;
    if (!isClientId(client) || !(room === null || isRoomName(room))) return refused('bad_parameter');
    return { status: 200, body: await verbs.leave(client, room, one) };
  },
});

const locate = route({
  method: 'GET',
  path: '/api/v1/clients/{client}',
  summary: 'The sessions of a client, and which worker holds them.',
  permission: 'admin',
  input: Type.Object({}, closed),
  output: Type.Object({
    client: Type.String(),
    sessions: Type.Array(
      Type.Object({
        client: Type.String(),
        session: Type.String(),
        generation: Type.Integer(),
        worker: Type.String(),
        connected: Type.Boolean(),
      }),
    ),
  }),
  idempotent: false,
  async handle({ source, params: { client } }) {
    if (!isClientId(client)) return refused('bad_parameter');
    const sessions = await source.locate(client);
    return sessions === null ? refused('unavailable') : { status: 200, body: { client, sessions } };
  },
});

const Seconds = (description: string) => Type.Optional(Type.Number({ exclusiveMinimum: 0, description }));
const revocations = route({
  method: 'POST',
  path: '/api/v1/revocations',
  summary:
    'Revokes one token, or all tokens of a client that were issued so far; its sessions end within 5 s (4504).',
  permission: 'admin',
  input: Type.Union([
    Type.Object(
      {
        client: Name('The client.'),
        before: Seconds('Tokens issued later are good; seconds since 1970, default now.'),
        ttlS: Seconds('How long it is kept; default and most: the longest life that a token may have.'),
      },
      closed,
    ),
    Type.Object(
      {
        token: Type.String({ minLength: 1, maxLength: TOKEN_ID_LIMIT_CHARACTERS, description: 'Its `jti`.' }),
        before: Seconds('Of no meaning for one token.'),
        ttlS: Seconds('As above.'),
      },
      closed,
    ),
  ]),
  output: Type.Object({
    kind: Type.Union([Type.Literal('client'), Type.Literal('token')]),
    id: Type.String(),
    beforeMs: Type.Number(),
    untilMs: Type.Number(),
  }),
  idempotent: false,
  async handle({ source, body }) {
    const nowMs = Date.now();
    const { before = nowMs / 1000, ttlS = source.tokensLiveS } = body;
    if (ttlS > source.tokensLiveS)
      return refused('bad_parameter', `ttlS is above ${String(source.tokensLiveS)}`);
    const revocation: Revocation = {
      ...('client' in body ? { kind: 'client', id: body.client } : { kind: 'token', id: body.token }),
      beforeMs: before * 1000,
      untilMs: nowMs + ttlS * 1000,
    };
    const refusal = await source.revoke(revocation);
    if (refusal === null) return { status: 200, body: revocation };
    // Full: to come again soon does not help, and is not what 429 should make a program do.
    if (refusal === 'limit') return { ...refused(refusal, 'The list of revocations is full.'), status: 507 };
    return refused(refusal);
  },
});

const workers = route({
  method: 'GET',
  path: '/api/v1/workers',
  summary: 'The workers of this node.',
  permission: 'admin',
  input: Type.Object({}, closed),
  output: Type.Object({
    workers: Type.Array(Type.Object({ id: Type.String(), pid: Type.Integer(), state: Type.String() })),
  }),
  idempotent: false,
  handle: ({ source }) => Promise.resolve({ status: 200, body: { workers: source.workers() } }),
});

const connectionTests = route({
  method: 'GET',
  path: '/api/v1/connection-tests',
  summary: 'What connection test pages told this node, by browser, network and candidate.',
  permission: 'admin',
  input: Type.Object({}, closed),
  output: Type.Object({
    sinceMs: Type.Integer(),
    reports: Type.Integer(),
    turnShare: Type.Union([Type.Number(), Type.Null()], {
      description: 'Of the pairs in different networks that reached each other, the share that needed TURN.',
    }),
    groups: Type.Array(Type.Object({ by: Type.String(), value: Type.String() }, OPEN)),
  }),
  idempotent: false,
  handle: ({ source }) => {
    const summary = source.tests();
    const all = summary.groups.find(({ by }) => by === 'all');
    const share = all === undefined ? null : turnShare(all.pairs);
    return Promise.resolve({ status: 200, body: { ...summary, turnShare: share } });
  },
});

export const API_ROUTES: readonly ApiRoute[] = [
  publish,
  send,
  broadcast,
  request,
  members,
  clients,
  locate,
  disconnect,
  join,
  leave,
  revocations,
  workers,
  connectionTests,
];

function payload(data: unknown): WirePayload {
  return data === undefined ? NO_DATA : ['json', data];
}

export function refused(code: Code, message: string = CODES[code].text): ApiAnswer {
  return { status: STATUS[code] ?? 500, body: { code, message } };
}

/** HTTP's word for our codes. */
const STATUS: Partial<Record<Code, number>> = {
  bad_frame: 400,
  bad_parameter: 400,
  bad_payload: 400,
  invalid_token: 401,
  forbidden: 403,
  not_found: 404,
  too_big: 413,
  limit: 429,
  rate_limited: 429,
  internal_error: 500,
  overloaded: 503,
  no_handler: 502,
  rejected: 502,
  unavailable: 503,
  timeout: 504,
  unknown_outcome: 504,
};
