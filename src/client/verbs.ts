// What an application can ask of the gateway, each as a call: its frame from what the application said.
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import type {
  BroadcastFrame,
  ServiceCallFrame,
  MessageOptions,
  Payload,
  PublishFrame,
  RequestFrame,
  SendFrame,
  Since,
} from '../protocol/frame.js';
import { type ClientId, type EventName, isEventName, isServiceName, type RoomName } from '../protocol/ids.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from '../protocol/limits.js';
import { encodePayload, NO_PAYLOAD } from '../protocol/payload.js';
import type { Choice } from '../protocol/serializers.js';
import type { CallDesk, Following } from './call-desk.js';
import type {
  BroadcastOptions,
  CallOptions,
  DataOptions,
  Made,
  PageOptions,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServiceCallOptions,
} from './call-options.js';
import type { Receipt } from './deliveries.js';
import type { Environment } from './environment.js';
import { type MemberRoom, Membership, type MembershipCalls } from './membership.js';
import type { Settings } from './options.js';
import { compressed, type EncodedPayload } from './payload-encoder.js';
import type { CompressionCode } from './payloads.js';
import type { CallFrame } from './pending-call.js';
import type { Accepted, AnswerTo, ClientsPage, MembersPage, SendResult } from './results.js';

/** A frame that carries data of the application. */
type Carrier = Extract<CallFrame, { payload: Payload }>;

export interface VerbsPort {
  readonly settings: Settings;
  readonly environment: Environment;
  readonly compression: CompressionCode;
  /** Nobody got a message in time, and no promise tells. */
  onExpired(message: { to: string; event: string; id: string | null }): void;
}

/** Those that carry data take their event right before them: see `Serializers.snapshot`. */
export class Verbs implements MembershipCalls {
  readonly #desk: CallDesk;
  readonly #port: VerbsPort;

  constructor(desk: CallDesk, port: VerbsPort) {
    this.#desk = desk;
    this.#port = port;
  }

  /** Any call without data of the application. */
  call<Frame extends CallFrame>(frame: Frame, options: Made<CallOptions>): Promise<AnswerTo<Frame>> {
    return this.#desk.start(frame, options);
  }

  async send(
    to: string | readonly string[],
    event: string,
    data: unknown,
    options: Made<SendOptions>,
  ): Promise<SendResult> {
    const payload = this.#encode(data, event, options);
    if (typeof to === 'string') return this.#sendTo(to, event, payload, options);
    const targets = [...new Set(to)];
    if (options.volatile) return this.#sendTo(targets, event, payload, options);
    const absent: string[] = [];
    let refusal: unknown = new ProtocolError('bad_parameter');
    const failures: unknown[] = [];
    // Each has a channel of its own, and is told on its own whether the target exists.
    const sent = targets.map((target) =>
      this.#sendTo(target, event, payload, options).catch((error: unknown) => {
        if (error instanceof GatewayError && error.code === 'not_found') absent.push(target);
        else failures.push(error);
        refusal = error;
      }),
    );
    await Promise.all(sent);
    if (failures.length > 0) throw failures[0];
    if (absent.length === targets.length) throw refusal;
    return { id: null, absent };
  }

  #sendTo(
    to: string | string[],
    event: string,
    payload: EncodedPayload,
    options: Made<SendOptions>,
  ): Promise<SendResult> {
    const { delivered = false, ttlMs, offline, standing } = options;
    const seq = options.volatile ? 0 : null;
    const frame: SendFrame = { ...message('send', event, options), seq, to };
    if (ttlMs !== undefined) frame.options.ttlMs = ttlMs;
    if (offline !== undefined) frame.options.offline = offline;
    if (standing !== undefined) frame.options.standing = standing;
    let receipt: Receipt | undefined;
    if (delivered || ttlMs !== undefined) {
      frame.options.delivered = true;
      receipt = {
        isAwaited: delivered,
        onExpired: () => void accepted.then(({ id }) => this.#port.onExpired({ to: String(to), event, id })),
      };
    }
    const accepted = this.#carry(frame, payload, options, { receipt, onRefused: options.onRefused });
    return accepted;
  }

  async publish(
    room: RoomName,
    event: string,
    data: unknown,
    options: Made<PublishOptions>,
  ): Promise<Accepted> {
    const { except, self } = options;
    const seq = options.volatile ? 0 : null;
    const frame: PublishFrame = { ...message('publish', event, options), seq, room };
    if (except !== undefined) frame.options.except = [...except] as ClientId[];
    if (self !== undefined) frame.options.self = self;
    return this.#carry(frame, this.#encode(data, event, options), options);
  }

  async broadcast(event: string, data: unknown, options: Made<BroadcastOptions>): Promise<void> {
    const frame: BroadcastFrame = message('broadcast', event, options);
    return this.#carry(frame, this.#encode(data, event, options), options);
  }

  async request(to: string, event: string, data: unknown, options: Made<RequestOptions>): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_LIMIT_MS } = options;
    const frame: RequestFrame = { ...message('request', event, options), timeoutMs, to };
    return this.#carry(frame, this.#encode(data, event, options), options);
  }

  async callService(
    service: string,
    data: unknown,
    { timeoutMs = REQUEST_TIMEOUT_LIMIT_MS, ...options }: Made<ServiceCallOptions>,
  ): Promise<unknown> {
    if (!isServiceName(service)) throw new ProtocolError('bad_parameter', 'Not the name of a service.');
    const frame: ServiceCallFrame = {
      type: 'call',
      ref: 0,
      timeoutMs,
      options: {},
      service,
      payload: NO_PAYLOAD,
    };
    if (options.trace !== undefined) frame.options.trace = options.trace;
    if (options.idempotent) frame.options.idempotent = true;
    return this.#carry(frame, this.#encode(data, service, options), { ...options, timeoutMs });
  }

  /** Resolves with what the other side says of itself. */
  async pair(to: string, event: string, meta: unknown, options: Made<DataOptions>): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_LIMIT_MS } = options;
    return this.#carry(
      { type: 'pair', ref: 0, timeoutMs, to, payload: NO_PAYLOAD },
      this.#encode(meta, event, options),
      options,
    );
  }

  /** Leaves what the first who calls this session gets at once; without an id there is none any more. */
  async stand(id: string | null, event: string, data: unknown, options: Made<DataOptions>): Promise<void> {
    const name = event as EventName;
    const payload = id === null ? NO_PAYLOAD : this.#encode(data, event, options);
    return this.#carry(
      { type: 'standingOffer', ref: 0, id: id ?? '-', event: name, payload: NO_PAYLOAD },
      payload,
      options,
    );
  }

  /** To what `event` names. */
  async reply(handle: string, event: string, data: unknown, options: Made<CallOptions>): Promise<void> {
    const payload = this.#encode(data, event, { reply: true });
    return this.#carry({ type: 'reply', handle, payload: NO_PAYLOAD }, payload, options);
  }

  /** Resolves with where the room stands. */
  join(room: RoomName, since: Since, options: Made<CallOptions>): Promise<string | null | undefined> {
    return this.call({ type: 'join', ref: 0, room, since }, options);
  }

  /** Of a room that is joined for the first time. */
  membershipOf(room: MemberRoom, report: (error: unknown) => void): Membership {
    return new Membership(room, this, report);
  }

  patiently(): Made<CallOptions> {
    return { madeAt: this.#port.environment.now(), timeoutMs: undefined, patient: true };
  }

  leave(room: RoomName, options: Made<CallOptions>): Promise<void> {
    return this.call({ type: 'leave', ref: 0, room }, options);
  }

  count(room: RoomName, options: Made<CallOptions>): Promise<number> {
    return this.call({ type: 'count', ref: 0, room }, options);
  }

  /** Whether presence events of the room are wanted. */
  watch(room: RoomName, on: boolean, options: Made<CallOptions>): Promise<void> {
    return this.call({ type: 'watch', ref: 0, room, on }, options);
  }

  members(room: RoomName, options: Made<PageOptions>): Promise<MembersPage> {
    const { cursor = null, limit = 100 } = options;
    return this.call({ type: 'members', ref: 0, room, cursor, limit }, options);
  }

  /** `available`: those that are in no pair. */
  clients(
    options: Made<PageOptions & { prefix?: string }>,
    type: 'clients' | 'available' = 'clients',
  ): Promise<ClientsPage> {
    const { prefix = '', cursor = null, limit = 100 } = options;
    return this.call({ type, ref: 0, prefix, cursor, limit }, options);
  }

  leaveAll(options: Made<CallOptions>): Promise<void> {
    return this.call({ type: 'leaveAll', ref: 0 }, options);
  }

  online(client: string, options: Made<CallOptions>): Promise<boolean> {
    return this.call({ type: 'online', ref: 0, client: client as ClientId }, options);
  }

  /** Resolves with the life time of the refreshed token, ms, where the gateway says it. */
  token(token: string, options: Made<CallOptions>): Promise<number | null> {
    return this.call({ type: 'token', ref: 0, token }, options);
  }

  /** Has what compresses ready before the first payload needs it. Rejects with `unavailable` where its code cannot be had now. */
  async warmUp(): Promise<void> {
    const { compression, settings } = this.#port;
    if (settings.compressAboveBytes < Infinity) (await compression.load()).warmUp();
  }

  /** @throws GatewayError `bad_payload`, ProtocolError `bad_parameter` where there is no such serializer */
  #encode(data: unknown, event: string, choice: Choice): EncodedPayload {
    const { compression, settings } = this.#port;
    const { serializers, compressAboveBytes } = settings;
    if (serializers === undefined && choice.serializer !== undefined)
      throw new ProtocolError('bad_parameter', 'The client has no serializers.');
    const away = serializers === undefined ? settings.encodeAway?.(data) : null;
    if (away) return away;
    const payload = serializers === undefined ? encodePayload(data) : serializers.encode(data, event, choice);
    return compressed(payload, data, compressAboveBytes, compression);
  }

  async #carry<Frame extends Carrier>(
    frame: Frame,
    payload: EncodedPayload,
    options: Made<CallOptions>,
    following?: Following,
  ): Promise<AnswerTo<Frame>> {
    if ('event' in frame && !isEventName(frame.event))
      throw new ProtocolError('bad_parameter', 'Not an event name.');
    if ('ready' in payload) return this.#desk.start(frame, options, { ...following, loading: payload });
    frame.payload = payload;
    return this.#desk.start(frame, options, following);
  }
}

function message<T extends 'send' | 'publish' | 'broadcast' | 'request'>(
  type: T,
  event: string,
  { trace }: { trace?: string },
): { type: T; ref: number; options: MessageOptions; event: EventName; payload: Payload } {
  const options: MessageOptions = trace === undefined ? {} : { trace };
  // The name is checked before the frame is written, so that a wrong one rejects.
  return { type, ref: 0, options, event: event as EventName, payload: NO_PAYLOAD };
}
