// The step back from a gateway's typed frame to the elements of the array on the wire: the mirror of parse.
import type { Outline } from './format-client-frame.js';
import { TYPES, type GatewayFrame, type Payload } from './frame.js';

function outline(fields: unknown[], payload: Payload | null = null): Outline {
  return { fields, payload };
}

/** Written out, for it is on the gateway's hot path. */
export function formatGatewayFrame(frame: GatewayFrame): Outline {
  const type = TYPES[frame.type];
  switch (frame.type) {
    case 'message':
      return outline([type, frame.id, frame.options, frame.from, frame.session, frame.event], frame.payload);
    case 'roomMessage':
      return outline(
        [type, frame.id, frame.options, frame.room, frame.from, frame.session, frame.event],
        frame.payload,
      );
    case 'requested':
    case 'called':
    case 'pairing':
      return outline(
        [type, frame.handle, frame.options, frame.from, frame.session, frame.event],
        frame.payload,
      );
    case 'ping':
    case 'doubt':
      return outline([type]);
    case 'ok':
      return outline([type, frame.ref, frame.result]);
    case 'error':
      return outline(
        frame.expected === null
          ? [type, frame.ref, frame.code, frame.text]
          : [type, frame.ref, frame.code, frame.text, frame.expected],
      );
    case 'response':
      return outline([type, frame.ref], frame.payload);
    case 'welcome':
      return outline([type, frame.info]);
    case 'expiring':
      return outline([type, frame.inMs]);
    case 'goaway':
      return outline([type, frame.close, frame.retryAfterMs]);
    case 'delivered':
      return outline([type, frame.by, frame.seq]);
    case 'asked':
      return outline([type, frame.from, frame.session, frame.seq]);
    case 'gap':
      return outline([type, frame.channel, frame.reason, frame.missing, frame.id]);
    case 'position':
      return outline([type, frame.channel, frame.id]);
    case 'piece':
      return outline([type, frame.stream, frame.offset, frame.part], frame.payload);
    case 'credited':
      return outline([type, frame.stream, frame.upTo, frame.limit, frame.ask]);
    case 'offer':
      return outline(
        [type, frame.stream, frame.from, frame.session, frame.channel, frame.name],
        frame.payload,
      );
    case 'attached':
      return outline([type, frame.stream, frame.from, frame.session, frame.upTo, frame.limit]);
    case 'wasCut':
      return outline([type, frame.stream, frame.code, frame.text]);
    case 'readerGone':
      return outline([type, frame.stream, frame.from, frame.session, frame.code, frame.text], frame.payload);
    case 'unpaired':
      return outline([type, frame.pair, frame.code]);
    case 'owners':
      return outline([type, frame.service, frame.count]);
    case 'presence':
      return outline([type, frame.room, frame.joined, frame.left, frame.count]);
    case 'iceServers':
      return outline([type, frame.servers]);
    default:
      return frame satisfies never;
  }
}
