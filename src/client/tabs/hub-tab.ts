// One tab as its hub sees it: the channel to it, what it is in, and how far it has read.
import type { GatewayFrame, HelloFrame } from '../../protocol/frame.js';
import type { RoomName } from '../../protocol/ids.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import { Line } from './line.js';
import type { Place } from './places.js';
import type { ChannelLike } from './platform.js';
import type { Note, ToHub, ToTab } from './tab-messages.js';

/** Most bytes that a tab may have unread: one that is frozen would fill the browser's memory. */
const UNREAD_LIMIT_BYTES = 8 * 1024 * 1024;

export class HubTab {
  readonly id: string;
  readonly #onOverflow: (tab: HubTab) => void;
  #line: Line<ToTab, ToHub> | null = null;
  #channelName = '';
  #unread = 0;
  /** That it has made so far. */
  connections = 0;
  /** Its frames go to the gateway, and those of the session to it. */
  isAttached = false;
  /** Its lock was released: it will not come back. */
  isGone = false;
  /** Said and not answered yet. */
  hello: HelloFrame | null = null;
  token = '';
  /** What earlier hubs had it keep. */
  notes: readonly Note[] = [];
  /** It may not have heard all that the last hub said to it. */
  isBehind = false;
  /** The session that they belong to. */
  notesOf = '';
  readonly rooms = new Set<RoomName>();
  readonly watched = new Set<RoomName>();
  /** By room; null is the inbox. */
  readonly places = new Map<RoomName | null, Place>();
  stopWatching: () => void = () => {};
  cancelExpiry: () => void = () => {};

  constructor(id: string, onOverflow: (tab: HubTab) => void) {
    this.id = id;
    this.#onOverflow = onOverflow;
  }

  isAt(channelName: string): boolean {
    return channelName === this.#channelName;
  }

  /** @param onGap something that the tab has said is missing */
  connect(name: string, channel: ChannelLike, take: (message: ToHub) => void, onGap: () => void): void {
    this.disconnect();
    this.#channelName = name;
    this.connections++;
    this.#unread = 0;
    this.#line = new Line(
      channel,
      (message) => {
        if (message[0] === 'read') this.#unread -= message[1];
        else take(message);
      },
      onGap,
    );
  }

  post(message: ToTab): void {
    this.#line?.post(message);
  }

  write(frame: GatewayFrame): void {
    this.put(bytesOf(frame));
  }

  /** A frame that is written already. */
  put(bytes: Uint8Array): void {
    this.#unread += bytes.length;
    this.post(['frame', bytes]);
    if (this.#unread > UNREAD_LIMIT_BYTES) this.#onOverflow(this);
  }

  /** Ends its connection, with a number that its client goes by. */
  close(code: number): void {
    this.post(['close', code]);
    this.disconnect();
  }

  disconnect(): void {
    this.#line?.close();
    this.#line = null;
    this.isAttached = false;
    this.hello = null;
  }

  /** A new session: it is nowhere. */
  reset(): void {
    this.rooms.clear();
    this.watched.clear();
    this.places.clear();
  }

  dispose(): void {
    this.disconnect();
    this.stopWatching();
    this.cancelExpiry();
  }
}

/** The codec writes the next frame into the same memory. */
export function bytesOf(frame: GatewayFrame): Uint8Array {
  return (msgpackCodec.encodeGateway(frame) as Uint8Array).slice();
}
