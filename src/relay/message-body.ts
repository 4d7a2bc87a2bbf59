// What receivers see of a message: the sender's identity is the gateway's word, and little of the options travels on.
import type {
  BroadcastFrame,
  MessageOptions,
  PublishFrame,
  RequestFrame,
  SendFrame,
} from '../protocol/frame.js';
import { type MessageBody, NO_OPTIONS } from '../protocol/msgpack-codec.js';
import type { Session } from '../session/session.js';

type MessageFrame = SendFrame | BroadcastFrame | RequestFrame | PublishFrame;

export function messageBodyOf(session: Session, frame: MessageFrame): MessageBody {
  return { options: forReceivers(frame), sender: session.sender, event: frame.event, payload: frame.payload };
}

function forReceivers(frame: MessageFrame): MessageOptions {
  const { trace, delivered } = frame.options;
  const seq = 'seq' in frame ? frame.seq : null;
  const isNumbered = seq !== null && seq > 0;
  if (trace === undefined && !isNumbered) return NO_OPTIONS;
  const options: MessageOptions = {};
  if (trace !== undefined) options.trace = trace;
  if (isNumbered) {
    options.seq = seq;
    if (delivered === true) options.delivered = true;
  }
  return options;
}
