// What the application may say of each call: how long it waits, and how its message travels.
import type { GatewayError } from '../protocol/errors.js';
import type { WhenOffline } from './options.js';
import type { Patience } from './withdrawal.js';

/** What each call of the public API takes. */
export interface CallOptions {
  /** Gives up waiting with `aborted`; a call that is still queued is then never sent. */
  signal?: AbortSignal | undefined;
  /** While there is no connection: wait in the queue, or fail with `offline`. */
  whenOffline?: WhenOffline | undefined;
}

/** For calls that nobody made, and that nobody could make again. */
export const PATIENT: CallOptions = { whenOffline: 'queue' };

export interface JoinOptions extends CallOptions {
  /** So many of the room's last messages come first, at most 1000; default none. */
  history?: number;
}

export interface PageOptions extends CallOptions {
  /** Where the page before it ended; null for the first. */
  cursor?: string | null;
  /** Most rows, at most 1000; default 100. */
  limit?: number;
}

/** What each call with data takes. */
export interface DataOptions extends CallOptions {
  /** Name of the serializer for these data: a registered one, `msgpack` or `json`. Default: what the client's `serializers` say. */
  serializer?: string | undefined;
}

export interface BroadcastOptions extends DataOptions {
  /** Id that follows the message, for tracing; 1–64 characters of a name. */
  trace?: string;
}

export interface MessageCallOptions extends BroadcastOptions {
  /** At most once, never stored, and not confirmed: the promise resolves when it is written. Offline it fails by default. */
  volatile?: boolean;
  /** It calls that client; of a volatile message, the standing offer of who gets it is wanted under this name, if it is not empty. @internal */
  standing?: string | undefined;
  /** Told where the gateway refuses a volatile message, instead of the client's `error`. @internal */
  onRefused?: ((error: GatewayError) => void) | undefined;
}

export interface PublishOptions extends MessageCallOptions {
  /** Client ids that do not get it. */
  except?: readonly string[];
  /** Whether this session gets it too; default true. */
  self?: boolean;
}

export interface SendOptions extends MessageCallOptions {
  /** Resolve only when a session of the target has handed the message to a handler. */
  delivered?: boolean;
  /** With `delivered`: the longest wait, ms; the promise then rejects with `timeout`, and the message may be on its way still. */
  timeoutMs?: number;
  /** Who has not got it within this time after its acceptance, ms, does not get it; `expired` tells. At most a day. */
  ttlMs?: number;
  /** `keep` keeps it for a client that has no session now, within the gateway's limits; without it `send` rejects with `not_found`. */
  offline?: 'keep';
}

export interface RequestOptions extends DataOptions {
  /** Longest wait for the answer, ms, its time in the queue included; at most 120 000. */
  timeoutMs?: number;
  /** Id that follows the request, for tracing; 1–64 characters of a name. */
  trace?: string;
}

export interface ServiceCallOptions extends RequestOptions {
  /** It may be executed more than once: where its provider goes away another one gets it. */
  idempotent?: boolean;
}

/** Options as they were when the call was made: what the application does with its object afterwards is for the next one. */
export type Made<Options extends CallOptions> = Omit<Options, 'timeoutMs'> &
  Patience & {
    /** Whether it waits for a connection. */
    readonly patient: boolean;
  };
