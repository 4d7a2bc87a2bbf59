// The one place where a frame meets the permissions of its sender's token.
import type { Code } from '../protocol/codes.js';
import type { ClientFrame } from '../protocol/frame.js';
import {
  type Permissions,
  mayBroadcast,
  mayJoin,
  mayListAnybody,
  mayPresence,
  mayPublish,
} from '../session/permissions.js';

/**
 * Null when the frame may go on. Targets of `send`, `request` and `confirm` are checked one by one by the router with
 * `maySend`, because a target that may not be reached must look like one that does not exist. A receipt reaches only a session
 * that awaits it.
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
    case 'clients':
    case 'online':
      return mayListAnybody(permissions) ? null : 'forbidden';
    case 'broadcast':
      return mayBroadcast(permissions) ? null : 'forbidden';
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
    case 'ack':
    case 'leave':
    case 'leaveAll':
      return null;
    default:
      return frame satisfies never;
  }
}
