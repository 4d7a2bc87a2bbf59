// A tab's connection: a WebSocket to its client, frames to the hub and back beneath.
import { TYPES } from '../../protocol/frame.js';
import type { WebSocketLike } from '../websocket-class.js';
import type { ChannelLike } from './platform.js';
import type { Seat } from './seat.js';
import type { CommonMessage, ToHub, ToTab } from './tab-messages.js';

/** How long a hub may take to answer before its lock is taken away from it, ms. */
const HUB_SILENCE_MS = 5_000;
/** After so many bytes the hub is told what was read. */
const TELL_READ_BYTES = 64 * 1024;
const NORMAL = 1000;

export class TabSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  readonly protocol = '';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #seat: Seat;
  readonly #name: string;
  readonly #url: string;
  readonly #token: string;
  #common: ChannelLike | null = null;
  #own: ChannelLike | null = null;
  #channel = '';
  /** Which hub this is a connection to. */
  #hub: string | null = null;
  #isEnded = false;
  #isLeaving = false;
  #unread = 0;
  /** Handed over and not taken. */
  readonly #passing = new Map<number, Uint8Array>();
  #passingBytes = 0;
  #cancelSilence: () => void = () => {};

  constructor(seat: Seat, name: string, url: string, token: string) {
    this.#seat = seat;
    this.#name = name;
    this.#url = url;
    this.#token = token;
    seat.take(name, url).then(
      () => {
        this.#seek();
      },
      () => {
        this.#end(1006);
      },
    );
  }

  get bufferedAmount(): number {
    return this.#passingBytes;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data === 'string') throw new TypeError('Frames are bytes.');
    if (this.#isEnded) return;
    // Codecs write the next frame into the same buffer.
    const bytes = data.slice();
    const at = ++this.#seat.frames;
    this.#passing.set(at, bytes);
    this.#passingBytes += bytes.length;
    // An array of one element, its type: nothing of this session will come any more.
    if (bytes[1] === TYPES.bye) this.#isLeaving = true;
    this.#post(['frame', at, bytes]);
  }

  close(): void {
    this.#post(['leave']);
    this.#stop();
    if (this.#isLeaving) this.#seat.leave();
  }

  #seek(): void {
    if (this.#isEnded) return;
    const { platform, environment } = this.#seat.options;
    this.#channel = `${this.#name} ${this.#seat.id} ${String(++this.#seat.sockets)}`;
    this.#own = platform.channel(this.#channel);
    this.#own.onmessage = ({ data }) => {
      this.#take(data as ToTab);
    };
    this.#common = platform.channel(this.#name);
    this.#common.onmessage = ({ data }) => {
      const message = data as CommonMessage;
      if (message[0] !== 'hub' || message[1] === this.#hub) return;
      if (this.#hub === null) this.#ask();
      // Another one took over: a new connection goes on with it.
      else this.#end(1006);
    };
    this.#ask();
    this.#cancelSilence = environment.after(HUB_SILENCE_MS, () => {
      this.#seat.usurp(this.#url);
    });
  }

  #ask(): void {
    const message: CommonMessage = ['seek', this.#channel, this.#seat.id];
    this.#common?.postMessage(message);
  }

  #take(message: ToTab): void {
    switch (message[0]) {
      case 'there':
        if (this.#hub !== null) return;
        this.#hub = message[1];
        this.#cancelSilence();
        this.#post(['enter', this.#token, [...this.#seat.notes.values()], this.#seat.brought]);
        return this.onopen?.({});
      case 'frame':
        this.#read(message[1].length);
        return this.onmessage?.({ data: message[1] });
      case 'took':
        this.#took(message[1]);
        return;
      case 'keep': {
        const [, at, ref, number] = message;
        const bytes = this.#passing.get(at) ?? this.#seat.notes.get(at)?.bytes;
        if (bytes === undefined) return;
        this.#seat.keep({ at, ref, number, bytes });
        return this.#post(['kept', at]);
      }
      case 'fresh':
        this.#seat.notes.clear();
        return;
      case 'done':
        this.#seat.notes.delete(message[1]);
        return;
      case 'brought':
        this.#seat.brought = message[1];
        return;
      case 'close':
        if (message[1] === NORMAL && this.#isLeaving) this.#seat.leave();
        return this.#end(message[1]);
      default:
        message satisfies never;
    }
  }

  #took(at: number): void {
    this.#passingBytes -= this.#passing.get(at)?.length ?? 0;
    this.#passing.delete(at);
  }

  #read(bytes: number): void {
    this.#unread += bytes;
    if (this.#unread < TELL_READ_BYTES) return;
    this.#post(['read', this.#unread]);
    this.#unread = 0;
  }

  #post(message: ToHub): void {
    this.#own?.postMessage(message);
  }

  #end(code: number): void {
    if (this.#isEnded) return;
    this.#stop();
    this.onclose?.({ code });
  }

  #stop(): void {
    this.#isEnded = true;
    this.#cancelSilence();
    this.#own?.close();
    this.#common?.close();
    this.#own = this.#common = null;
    this.#passing.clear();
    this.#passingBytes = 0;
  }
}
