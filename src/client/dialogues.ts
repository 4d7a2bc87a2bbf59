// What goes on between clients for longer than a message: loaded when a page first opens or hears of it.
import { GatewayError } from '../protocol/errors.js';
import type { ClientSideCodec, GatewayFrame } from '../protocol/frame.js';
import { jsonClientCodec } from '../protocol/json-codec.js';
import { msgpackClientCodec } from '../protocol/msgpack-codec.js';
import type { DialogueCaller, DialogueWire } from './dialogue-port.js';
import type { Environment } from './environment.js';
import { Streams } from './streams/streams.js';

export class Dialogues {
  readonly streams: Streams;

  constructor(wire: DialogueWire, { tryWrite, report }: DialogueCaller, clock: Environment) {
    this.streams = new Streams({
      link: () => wire.welcome,
      isOpen: () => wire.open,
      isCongested: () => wire.congested,
      clock,
      put: (frame) => {
        tryWrite(frame);
      },
      tell: report,
    });
  }

  /** Codecs that know the frames of dialogues: those of a page's first file need not. */
  readonly codecs: Record<'msgpack' | 'json', ClientSideCodec> = {
    msgpack: msgpackClientCodec,
    json: jsonClientCodec,
  };

  deliver(frame: GatewayFrame): void {
    this.streams.receive(frame);
  }

  welcomed(isResumed: boolean): void {
    if (isResumed) this.streams.resumed();
    else this.streams.end(new GatewayError('unknown_outcome', 'The session was lost.'));
  }

  end(error: GatewayError): void {
    this.streams.end(error);
  }
}
