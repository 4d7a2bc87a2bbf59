// What a server, or a plugin, asks of a worker: frames as a client writes them, and orders about clients.
import type { Code } from '../protocol/codes.js';
import type { ClientId, RoomName, SessionId } from '../protocol/ids.js';

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
    /** The sessions of a client, or one of them, join or leave a room; without a room they leave all. */
    | { kind: 'move'; target: ClientId; session: SessionId | null; room: RoomName | null; joins: boolean }
  );

export type ServerAnswer =
  { status: 'ok'; result: unknown } | { status: 'refused'; code: Code; text: string };
