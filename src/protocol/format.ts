// The step back from typed frames to the elements of the array on the wire: the mirror of parse.
import { TYPES, type ClientFrame, type GatewayFrame, type Payload } from './frame.js';

/** A frame's elements: type number, then fields in the order of the wire; the payload's two elements come after them. */
export interface Outline {
  fields: unknown[];
  payload: Payload | null;
}

function outline(fields: unknown[], payload: Payload | null = null): Outline {
  return { fields, payload };
}

export function formatFrame(frame: ClientFrame | GatewayFrame): Outline {
  const type = TYPES[frame.type];
  switch (frame.type) {
    case 'send':
      return outline([type, frame.ref, frame.seq, frame.options, frame.to, frame.event], frame.payload);
    case 'publish':
      return outline([type, frame.ref, frame.seq, frame.options, frame.room, frame.event], frame.payload);
    case 'broadcast':
      return outline([type, frame.ref, frame.options, frame.event], frame.payload);
    case 'request':
      return outline([type, frame.ref, frame.timeoutMs, frame.options, frame.to, frame.event], frame.payload);
    case 'reply':
      return outline([type, frame.handle], frame.payload);
    case 'reject':
      return outline([type, frame.handle, frame.code, frame.text]);
    case 'hello': {
      const resume = frame.resume === null ? null : [frame.resume.session, frame.resume.key];
      return outline([type, frame.version, frame.token, resume, frame.agent]);
    }
    case 'token':
      return outline([type, frame.ref, frame.token]);
    case 'ping':
    case 'pong':
    case 'bye':
      return outline([type]);
    case 'leaveAll':
      return outline([type, frame.ref]);
    case 'join':
    case 'leave':
    case 'count':
      return outline([type, frame.ref, frame.room]);
    case 'members':
      return outline([type, frame.ref, frame.room, frame.cursor, frame.limit]);
    case 'clients':
      return outline([type, frame.ref, frame.prefix, frame.cursor, frame.limit]);
    case 'online':
      return outline([type, frame.ref, frame.client]);
    case 'watch':
      return outline([type, frame.ref, frame.room, frame.on]);

    case 'message':
      return outline([type, frame.id, frame.options, frame.from, frame.session, frame.event], frame.payload);
    case 'roomMessage':
      return outline(
        [type, frame.id, frame.options, frame.room, frame.from, frame.session, frame.event],
        frame.payload,
      );
    case 'requested':
      return outline(
        [type, frame.handle, frame.options, frame.from, frame.session, frame.event],
        frame.payload,
      );
    case 'ok':
      return outline([type, frame.ref, frame.result]);
    case 'error':
      return outline([type, frame.ref, frame.code, frame.text]);
    case 'response':
      return outline([type, frame.ref], frame.payload);
    case 'welcome':
      return outline([type, frame.info]);
    case 'expiring':
      return outline([type, frame.inMs]);
    case 'goaway':
      return outline([type, frame.close, frame.retryAfterMs]);
    case 'presence':
      return outline([type, frame.room, frame.joined, frame.left, frame.count]);
    default:
      return frame satisfies never;
  }
}
