// A tab's connection: a WebSocket to its client, frames to the hub and back beneath.
import { CODES, comesBack } from '../../protocol/codes.js';
import { TYPES } from '../../protocol/frame.js';
import type { WebSocketLike } from '../websocket-class.js';
import { Line } from './line.js';
import type { ChannelLike } from './platform.js';
import type { Seat } from './seat.js';
import { type CommonMessage, isNewer, type ToHub, type ToTab } from './tab-messages.js';

/** A hub that was not heard for so long is asked whether it lives, ms. */
const BEAT_MS = 2_500;
/** Until a tab that has found no hub asks again, ms: a new hub waits 1.5 s for it. */
const SEEK_MS = 250;
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
  readonly #token: string;
  #common: ChannelLike | null = null;
  #own: Line<ToHub, ToTab> | null = null;
  #channel = '';
  /** Which hub this is a connection to, or will be. */
  #hub: readonly [id: string, since: number] | null = null;
  #isThere = false;
  #wasHeard = false;
  /** The hub was asked and has not answered here; since then it has said that it is there, to anybody. */
  #asked: 'no' | 'asked' | 'lives' = 'no';
  #isEnded = false;
  #isLeaving = false;
  #unread = 0;
  /** Handed over and not taken. */
  readonly #passing = new Map<number, Uint8Array>();
  #passingBytes = 0;
  #cancelBeat: () => void = () => {};

  /** @param onRefused the browser forbids what tabs need to share */
  constructor(seat: Seat, name: string, url: string, token: string, onRefused: (cause: unknown) => void) {
    this.#seat = seat;
    this.#name = name;
    this.#token = token;
    seat
      .take(name, url)
      .then(() => {
        this.#seek();
      })
      .catch((cause: unknown) => {
        onRefused(cause);
        this.#end(1006);
      });
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
    this.#seat.isBehind = true;
    this.#post(['leave']);
    this.#stop();
    if (this.#isLeaving) this.#seat.leave();
  }

  #seek(): void {
    if (this.#isEnded) return;
    this.#common = this.#seat.options.platform.channel(this.#name);
    this.#common.onmessage = ({ data }) => {
      const message = data as CommonMessage;
      if (message[0] === 'hub') this.#meet([message[1], message[2]]);
    };
    this.#ask();
    this.#beat();
  }

  #meet(hub: readonly [id: string, since: number]): void {
    if (this.#hub !== null && this.#hub[0] !== hub[0]) {
      // Another one took over: a new connection goes on with it.
      if (isNewer(hub, this.#hub)) this.#end(1006);
      return;
    }
    if (this.#asked === 'asked') this.#asked = 'lives';
    if (this.#isThere) return;
    this.#hub = hub;
    if (this.#own === null) {
      this.#channel = `${this.#name} ${this.#seat.id} ${String(++this.#seat.sockets)}`;
      this.#own = new Line<ToHub, ToTab>(
        this.#seat.options.platform.channel(this.#channel),
        (message) => {
          this.#take(message);
        },
        // Mostly a hub whose script was ended in the middle: it has written nothing behind that.
        () => {
          this.#giveUp();
        },
      );
    }
    this.#call(['seek', hub[0], this.#channel, this.#seat.id]);
  }

  #ask(): void {
    this.#asked = 'asked';
    this.#seat.asks();
    if (this.#isThere) this.#post(['ping']);
    // Where there is another one by now it says so.
    this.#call(['who']);
  }

  /** Asks again and again, as long as nothing is heard. */
  #beat(): void {
    this.#cancelBeat = this.#seat.options.environment.after(this.#isThere ? BEAT_MS : SEEK_MS, () => {
      // It lives, and does not answer here: that it has ended this connection got lost on the way.
      if (this.#isThere && this.#asked === 'lives') {
        this.#seat.isBehind = true;
        return this.#giveUp();
      }
      if (!this.#wasHeard) this.#ask();
      this.#wasHeard = false;
      this.#beat();
    });
  }

  #call(message: CommonMessage): void {
    this.#common?.postMessage(message);
  }

  #take(message: ToTab): void {
    this.#wasHeard = true;
    this.#asked = 'no';
    this.#seat.hears();
    switch (message[0]) {
      case 'there':
        if (this.#isThere) return;
        this.#isThere = true;
        this.#post([
          'enter',
          this.#token,
          [...this.#seat.notes.values()],
          this.#seat.session,
          this.#seat.brought,
          this.#seat.isBehind,
        ]);
        return this.onopen?.({});
      case 'pong':
        return;
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
        this.#seat.keep({ at, ref, number, bytes, hub: this.#hub?.[0] ?? '', isSure: false });
        return this.#post(['kept', at]);
      }
      case 'session':
        if (!message[2]) this.#seat.notes.clear();
        this.#seat.session = message[1];
        this.#seat.isBehind = false;
        return;
      case 'done':
        this.#seat.notes.delete(message[1]);
        return;
      case 'brought':
        this.#seat.brought = message[1];
        return;
      case 'close':
        if (message[1] === NORMAL && this.#isLeaving) this.#seat.leave();
        this.#seat.isBehind ||= message[1] === CODES.slow_consumer.close;
        return this.#end(message[1]);
      default:
        message satisfies never;
    }
  }

  #took(at: number): void {
    const note = this.#seat.notes.get(at);
    if (note !== undefined) this.#seat.notes.set(at, { ...note, isSure: true });
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
    this.#own?.post(message);
  }

  /** Something that the hub has said is missing. */
  #giveUp(): void {
    this.#post(['leave']);
    this.#end(1006);
  }

  #end(code: number): void {
    if (this.#isEnded) return;
    this.#stop();
    // Sent away for good, as by a refused token: others need not wait for it.
    if (!comesBack(code)) this.#seat.leave();
    this.onclose?.({ code });
  }

  #stop(): void {
    this.#isEnded = true;
    this.#cancelBeat();
    this.#own?.close();
    this.#common?.close();
    this.#own = this.#common = null;
    this.#passing.clear();
    this.#passingBytes = 0;
  }
}
