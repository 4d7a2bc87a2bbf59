// The application's events: how their names and data are typed, who sent one, and what handlers look like.

/** A request's data and its answer, for the type parameter of `Client`: `Client<{ add: Call<[number, number], number> }>`. */
export interface Call<Data, Result> {
  data: Data;
  result: Result;
}

/** Without a type parameter every event carries `unknown`; handlers may still annotate what they expect. */
export type DefaultEvents = Record<string, unknown>;

/** Names of an application's events. */
export type EventOf<Events extends object> = keyof Events & string;
/** What is sent with an event. */
export type DataOf<Events extends object, E extends keyof Events> =
  Events[E] extends Call<infer Data, unknown> ? Data : Events[E];
/** What a request for an event is answered with. */
export type ResultOf<Events extends object, E extends keyof Events> =
  Events[E] extends Call<unknown, infer Result> ? Result : unknown;

/** Who sent a message; stamped by the gateway. */
export interface Sender {
  client: string;
  session: string;
}

/** What is known of a message beside its data and sender. */
export interface MessageInfo {
  /** Where it stands in its room's or this client's log; null for what is kept in none. */
  id: string | null;
  event: string;
  /** The room that it was published to; null for a message to this client. */
  room: string | null;
  /** Id that the sender gave for tracing; null where none. */
  trace: string | null;
}

// Method types are compared in both directions, so that a handler may annotate narrower data than the declared `unknown`.
/** Takes a message: its data, who sent it (the gateway's word), and what else is known of it. */
export type MessageHandler<Data> = {
  /** What an async handler rejects with is told by `error`. */
  handle(data: Data, from: Sender, info: MessageInfo): unknown;
}['handle'];
/** Answers a request with what it returns, or what the promise that it returns resolves with; see `Client.onRequest`. */
export type RequestHandler<Data, Result> = {
  /** Throws, or rejects, to refuse. */
  handle(data: Data, from: Sender, info: MessageInfo): Result | Promise<Result>;
}['handle'];
/** `joined` and `left` are client ids; both are empty where the room is too large for detail. */
export interface PresenceChange {
  joined: string[];
  left: string[];
  count: number;
}
