// The one place that knows the SDK's names: what a client tells of messages, gaps, lost state and expiry. Works with older SDKs too.
import { pathToFileURL } from 'node:url';
import type { Client, ClientOptions, MessageCallOptions } from '../../src/client/index.js';

export interface Sdk {
  Client: new (url: string, options: ClientOptions) => Client;
}

/** `path` is the file of a built SDK: today's `dist/client/index.js`, or that of another commit. */
export async function loadSdk(path: string): Promise<Sdk> {
  return (await import(pathToFileURL(path).href)) as Sdk;
}

export interface Message {
  /** Null for this client's inbox. */
  room: string | null;
  from: string;
  data: unknown;
  /** Null from an SDK that does not tell it, and for volatile messages. */
  id: string | null;
}

export interface Gap {
  room: string | null;
  /** How many; null where not told. */
  missing: number | null;
  reason: string;
}

export interface Observer {
  message(message: Message): void;
  gap(gap: Gap): void;
  stateLost(): void;
  expired(id: string): void;
}

/** Listens to everything but the messages of rooms. */
export function observeClient(client: Client, observer: Observer): void {
  client.onMessage('*', (data, from, info) =>
    observer.message({ room: null, from: from.client, data, id: textOf(info, 'id') }),
  );
  listen(client, 'gap', (gap) =>
    observer.gap({
      room: textOf(gap, 'room'),
      missing: countOf(gap, 'missing'),
      reason: textOf(gap, 'reason') ?? '',
    }),
  );
  // Of the whole session.
  listen(client, 'stateLost', () => observer.stateLost());
  listen(client, 'expired', (notice) => {
    const id = textOf(notice, 'id');
    if (id !== null) observer.expired(id);
  });
}

export function observeRoom(client: Client, room: string, observer: Observer): void {
  client
    .room(room)
    .onMessage('*', (data, from, info) =>
      observer.message({ room, from: from.client, data, id: textOf(info, 'id') }),
    );
}

/** Id of an accepted message, from what `send` or `publish` resolved with. */
export function idOf(result: unknown): string | null {
  return textOf(result, 'id');
}

/** Options of a kept message; an SDK without expiry does not look at them. */
export function keptFor(ttlMs: number | undefined): MessageCallOptions {
  const options: MessageCallOptions = {};
  if (ttlMs !== undefined) Object.assign(options, { ttlMs });
  return options;
}

export function codeOf(error: unknown): string {
  return textOf(error, 'code') ?? String(error);
}

/** Events that an older SDK does not have are never told. */
function listen(client: Client, event: string, listener: (told: unknown) => void): void {
  Reflect.apply(client.on, client, [event, listener]);
}

function countOf(told: unknown, name: string): number | null {
  const value = valueOf(told, name);
  return typeof value === 'number' ? value : null;
}

function textOf(told: unknown, name: string): string | null {
  const value = valueOf(told, name);
  return typeof value === 'string' ? value : null;
}

function valueOf(told: unknown, name: string): unknown {
  return typeof told === 'object' && told !== null ? Reflect.get(told, name) : undefined;
}
