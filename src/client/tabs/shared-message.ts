// A message that the gateway keeps, of one of the tabs: under the hub's number, with what becomes of it.
import { GatewayError } from '../../protocol/errors.js';
import type { PublishFrame, SendFrame } from '../../protocol/frame.js';
import type { FollowedMessage } from '../deliveries.js';
import type { HubTab } from './hub-tab.js';

export type KeptFrame = SendFrame | PublishFrame;

export class SharedMessage implements FollowedMessage {
  number = 0;
  seq: number | null = null;
  first = 0;
  until = 0;
  isFlying?: boolean;
  isAccepted?: boolean;
  isUnsure?: boolean;
  readonly receipt = undefined;
  settled = false;
  /** The gateway's answer comes under it; 0 until it is first written. */
  ref = 0;
  /** The tab will know its number where the hub dies. */
  isNoted = false;
  /** Under which the tab has noted it. */
  noteAt = 0;
  /** Higher numbers may have been written without it: then that this one is no news to the gateway says nothing. */
  isDoubtful = false;
  answer: { result: unknown } | { error: unknown } | null = null;
  /** The connection of the tab on which it said it last; 0 where that was to an earlier hub: its client would not know the answer. */
  saidOn = 0;
  readonly bytes: number;

  constructor(
    public tab: HubTab,
    /** The tab's own number in the channel. */
    readonly own: number,
    readonly channel: string,
    readonly frame: KeptFrame,
    public at: number,
    public tabRef: number,
    private readonly onAnswer: (message: SharedMessage) => void,
  ) {
    this.bytes = frame.payload.data.length;
  }

  succeed(result: unknown): void {
    if (!isDuplicate(result) || (this.isUnsure && !this.isDoubtful)) this.#settle({ result });
    // Of a number that was never written before it can only mean that two hubs have the same: the gateway's store lost count.
    else this.fail(new GatewayError(this.isUnsure ? 'superseded' : 'unknown_outcome'));
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  #settle(answer: NonNullable<SharedMessage['answer']>): void {
    if (this.settled) return;
    this.settled = true;
    this.answer = answer;
    this.onAnswer(this);
  }
}

/** The gateway's answer to a number that is below one which it has. */
function isDuplicate(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'id' in result && result.id === null;
}

export function isUnknown(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'unknown_outcome';
}

/** A session and its client have one inbox, so they are one channel; `#` can stand in no name. */
export function channelOf(frame: KeptFrame): string {
  return frame.type === 'publish' ? `#${frame.room}` : String(frame.to).replace(/#.*/, '');
}
