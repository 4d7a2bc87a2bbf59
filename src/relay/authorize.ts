// The one place where a frame meets the permissions of its sender's token.
import type { Code } from '../protocol/codes.js';
import type { ClientFrame } from '../protocol/frame.js';
import type { RoomName } from '../protocol/ids.js';
import {
  type Permissions,
  mayBroadcast,
  mayCall,
  mayJoin,
  mayListAnybody,
  mayPresence,
  mayPublish,
  mayStreamToAnybody,
} from '../session/permissions.js';

/**
 * Null when the frame may go on. Targets of `send`, `request` and `confirm` are checked one by one by the router with
 * `maySend`, because a target that may not be reached must look like one that does not exist. A receipt reaches only a session
 * that awaits it, and a frame of a stream only the session that holds its other end: see streams.ts.
 */
export function refusalOf(frame: ClientFrame, permissions: Permissions): Code | null {
  switch (frame.type) {
    case 'join':
      return mayJoin(permissions, frame.room) ? null : 'forbidden';
    case 'publish':
      return mayPublish(permissions, frame.room) ? null : 'forbidden';
    case 'members':
    case 'count':
    case 'watch':
      return mayPresence(permissions, frame.room) ? null : 'forbidden';
    case 'available':
    case 'clients':
    case 'online':
      return mayListAnybody(permissions) ? null : 'forbidden';
    case 'broadcast':
      return mayBroadcast(permissions) ? null : 'forbidden';
    case 'call':
      // Looks like a service that nobody provides.
      return mayCall(permissions, frame.service) ? null : 'not_found';
    case 'openStream':
      return refusalOfStream(frame, permissions);
    case 'attachStream':
      return frame.opened ? refusalOfStream(frame, permissions) : null;
    case 'hello':
    case 'pong':
    case 'token':
    case 'bye':
    case 'send':
    case 'request':
    case 'reply':
    case 'reject':
    case 'receipt':
    case 'confirm':
    case 'pair':
    case 'holdPair':
    case 'endPair':
    case 'ack':
    case 'peerReport':
    case 'standingOffer':
    case 'leave':
    case 'leaveAll':
    case 'chunk':
    case 'credit':
    case 'cut':
      return null;
    default:
      return frame satisfies never;
  }
}

/** Of a stream to several; a single target is checked like that of a message. */
function refusalOfStream(
  { to, room }: { to: string | null; room: RoomName | null },
  permissions: Permissions,
): Code | null {
  if (to !== null) return null;
  const mayHear = room === null ? mayBroadcast(permissions) : mayPublish(permissions, room);
  return mayHear && mayStreamToAnybody(permissions) ? null : 'forbidden';
}
