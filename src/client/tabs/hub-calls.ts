// Calls of all tabs on one connection: under refs and numbers of the hub's own, and each answer back to the tab that asked.
import type { ErrorFrame, GatewayFrame, OkFrame, PublishFrame, SendFrame } from '../../protocol/frame.js';
import type { ClientFrame, ResponseFrame } from '../../protocol/frame.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import type { FollowedMessage } from '../deliveries.js';
import type { Environment } from '../environment.js';
import { Outbox } from '../outbox.js';
import { HubTab } from './hub-tab.js';
import type { Note } from './tab-messages.js';

/** How long a tab may take to note what is to be written, ms: a longer one is frozen. */
const NOTING_MS = 2_000;
/** The number after it belongs to probes. */
const LAST_REF = 0xffff_fffe;
/** Refs and numbers of one connection; each hub begins at its first, so that what belongs to a dead hub is never taken for its own. */
const REFS_OF_CONNECTION = 1_000_000;
const NUMBERS_OF_CONNECTION = 1_000_000_000;
/** Answered messages of a tab that are remembered, in case that it asks once more. More than its window. */
const ANSWERED_LIMIT = 1_024;
/** Messages whose receipts find back to their tab. */
const RECEIPTS_LIMIT = 4_096;
/** Volatile messages whose refusal finds back to their tab: one comes soon, or never. */
const WATCHED_LIMIT = 256;
const CONGESTION_POLL_MS = 20;

/** The answer may still come on the next connection of the session. */
const WAITING: readonly ClientFrame['type'][] = ['request', 'call', 'pair'];

export type CallingFrame = Extract<ClientFrame, { ref: number }>;
export type KeptFrame = SendFrame | PublishFrame;
type Answer = OkFrame | ErrorFrame | ResponseFrame;

/** A call without a number. */
interface SharedCall {
  /** Null: the hub's own. */
  readonly tab: HubTab | null;
  readonly at: number;
  readonly frame: CallingFrame;
}

/** A message that the gateway keeps, of one of the tabs. */
class SharedMessage implements FollowedMessage {
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

export interface HubCallsPort {
  /** The hub's. */
  readonly id: string;
  readonly environment: Environment;
  readonly acceptTimeoutMs: number;
  readonly offlineQueueLimitBytes: number;
  /** The tab in whose page the hub is, and where its notes are: nothing has to be said. It may outlive the hub. */
  readonly home: { readonly id: string; keep(note: Note): void };
  readonly open: boolean;
  readonly congested: boolean;
  write(frame: ClientFrame): void;
  /** It does not note what it is told. */
  onFrozen(tab: HubTab): void;
  /** What a call of a tab led to, before the tab hears of it. */
  onAnswer(tab: HubTab | null, frame: CallingFrame, answer: Answer): void;
}

export class HubCalls {
  readonly #port: HubCallsPort;
  readonly #calls = new Map<number, SharedCall>();
  /** Refs of those calls that are volatile messages: there is no answer but a refusal. */
  readonly #watched: number[] = [];
  readonly #flying = new Map<number, SharedMessage>();
  readonly #queue = new Set<SharedMessage>();
  /** Numbered, and written when their tabs have noted it; by channel, in order. */
  readonly #unnoted = new Map<string, SharedMessage[]>();
  readonly #noting = new Map<SharedMessage, () => void>();
  /** By tab, then by channel and the tab's own number. */
  readonly #messages = new Map<string, Map<string, SharedMessage>>();
  readonly #adopted: SharedMessage[] = [];
  /** By channel and number. */
  readonly #receipts = new Map<string, SharedMessage>();
  #outbox: Outbox<SharedMessage>;
  #ref: number;
  #generation: number;
  #cancelPoll = (): void => {};

  /** @param generation of the first connection that this hub has in the session */
  constructor(port: HubCallsPort, generation: number) {
    this.#port = port;
    this.#generation = generation;
    this.#ref = (generation * REFS_OF_CONNECTION) % LAST_REF;
    this.#outbox = this.#newOutbox();
  }

  get #firstNumber(): number {
    return (this.#generation - 1) * NUMBERS_OF_CONNECTION + 1;
  }

  #newOutbox(): Outbox<SharedMessage> {
    const port = this.#port;
    const { acceptTimeoutMs, offlineQueueLimitBytes, environment } = port;
    const wire = {
      get open() {
        return port.open;
      },
      write: (frame: ClientFrame) => port.write(frame),
    };
    const outbox = new Outbox<SharedMessage>(
      { acceptTimeoutMs, offlineQueueLimitBytes },
      environment,
      { wire, flush: () => this.flush() },
      this.#firstNumber,
    );
    outbox.lost([]);
    return outbox;
  }

  /** What a tab kept of calls that an earlier hub wrote, or was about to. */
  adopt(tab: HubTab): void {
    const { isBehind } = tab;
    for (const note of tab.notes) {
      const frame = frameOf(note);
      if (frame === null) continue;
      if (note.number === 0) this.#calls.set(note.ref, { tab, at: note.at, frame });
      else if ((frame.type === 'send' || frame.type === 'publish') && frame.seq) {
        const message = this.#remember(tab, frame, frame.seq, note.at, frame.ref);
        const { number, ref, at: noteAt, isSure } = note;
        const isDoubtful = isBehind || !isSure;
        this.#adopted.push(Object.assign(message, { number, ref, isNoted: true, noteAt, isDoubtful }));
        // For the next hub it is no surer.
        if (isDoubtful) tab.post(['keep', noteAt, ref, number]);
      }
    }
    tab.notes = [];
  }

  /** All of them are here. Before anything new is written. */
  adopted(): void {
    this.#outbox.adopt(this.#adopted.sort((one, other) => one.number - other.number));
    this.#adopted.length = 0;
  }

  /**
   * A tab came too late with its notes: later numbers were written, and whether its own were stored nobody can know. Its client says
   * `unknown_outcome` of what was in flight, whatever the code, but says again what is refused with that code: another hub would store it twice.
   */
  giveUp(tab: HubTab): void {
    for (const note of tab.notes) {
      const frame = frameOf(note);
      if (frame === null) continue;
      if (note.number === 0) this.#calls.set(note.ref, { tab, at: note.at, frame });
      else if ((frame.type === 'send' || frame.type === 'publish') && frame.seq) {
        const isOurs = note.hub === this.#port.id;
        const known = this.#find(tab, channelOf(frame), frame.seq);
        // It did not hear that the number goes to nobody; another hub must not take it for one that was written.
        if (isOurs && known?.number !== note.number) tab.post(['done', note.at]);
        else if (known?.answer && 'error' in known.answer) this.#unsettle(known);
        if (isOurs || known !== undefined) continue;
        const message = this.#remember(tab, frame, frame.seq, note.at, frame.ref);
        Object.assign(message, { number: note.number, noteAt: note.at }).fail(new GatewayError('superseded'));
        // Where this hub is gone before the tab hears of it.
        tab.post(['keep', note.at, note.ref, note.number]);
      }
    }
    tab.notes = [];
  }

  /** A message with a number of the tab's own. */
  message(tab: HubTab, at: number, frame: KeptFrame, own: number): void {
    const known = this.#find(tab, channelOf(frame), own);
    if (known === undefined) {
      const message = this.#remember(tab, frame, own, at, frame.ref);
      message.saidOn = tab.connections;
      this.#queue.add(message);
      return this.flush();
    }
    // Said again on a new connection of the tab.
    known.at = at;
    known.tabRef = frame.ref;
    known.saidOn = tab.connections;
    tab.post(['took', at]);
    if (known.answer === null) return;
    // Its client says again what it was told so: in the end it would be stored twice. Now it gives up, and says so to its caller.
    if ('error' in known.answer && isUnknown(known.answer.error))
      known.answer = { error: new GatewayError('superseded') };
    this.#tell(known);
  }

  /** Any other call; those without a ref have no answer. */
  call<Frame extends CallingFrame>(tab: HubTab | null, at: number, frame: Frame): Frame {
    const ref = frame.ref === 0 && tab !== null ? 0 : this.#nextRef();
    if (ref > 0) this.#calls.set(ref, { tab, at, frame });
    if (ref > 0 && 'seq' in frame && frame.seq === 0) this.#watch(ref);
    if (tab !== null && WAITING.includes(frame.type)) tab.post(['keep', at, ref, 0]);
    return { ...frame, ref };
  }

  #watch(ref: number): void {
    this.#watched.push(ref);
    if (this.#watched.length > WATCHED_LIMIT) this.#calls.delete(this.#watched.shift() ?? 0);
  }

  /** The tab has noted the number: its message may be written. */
  noted(tab: HubTab, at: number): void {
    for (const [message, cancel] of this.#noting) {
      if (message.tab !== tab || message.at !== at) continue;
      cancel();
      this.#noting.delete(message);
      message.isNoted = true;
      tab.post(['took', at]);
      return this.#release(message.channel);
    }
  }

  answer(frame: Answer): void {
    const message = this.#flying.get(frame.ref);
    if (message !== undefined) {
      this.#flying.delete(frame.ref);
      if (frame.type === 'ok') this.#outbox.accepted(message, frame.result);
      else if (frame.type === 'error')
        this.#outbox.refused(message, new GatewayError(frame.code, frame.text), frame.expected);
      return this.flush();
    }
    const call = this.#calls.get(frame.ref);
    if (call === undefined) return;
    this.#calls.delete(frame.ref);
    this.#port.onAnswer(call.tab, call.frame, frame);
    if (call.tab === null) return;
    if (WAITING.includes(call.frame.type)) call.tab.post(['done', call.at]);
    if (call.tab.isAttached) call.tab.write({ ...frame, ref: call.frame.ref });
  }

  delivered({ by, seq }: Extract<GatewayFrame, { type: 'delivered' }>): void {
    const message = this.#receipts.get(`${by} ${String(seq)}`);
    if (!message?.tab.isAttached) return;
    message.tab.write({ type: 'delivered', by, seq: message.own });
    message.tab.post(['done', message.noteAt]);
  }

  /** The number that the gateway has for a tab's own; undefined where it has none. */
  numberOf(tab: HubTab, channel: string, own: number): number | undefined {
    return this.#find(tab, channel, own)?.number;
  }

  doubt(): void {
    this.#outbox.doubt();
    this.flush();
  }

  /** The connection is gone. */
  lost(): void {
    for (const [ref, { frame }] of this.#calls) if (!WAITING.includes(frame.type)) this.#calls.delete(ref);
    // Their tabs say them again, those with a number under another one.
    for (const message of this.#queue) if (!message.tab.isGone) this.#unqueue(message);
    for (const message of [...this.#noting.keys()]) this.#revoke(message);
    const flying = [...this.#flying.values(), ...[...this.#unnoted.values()].flat()];
    this.#flying.clear();
    this.#unnoted.clear();
    this.#outbox.lost(flying);
  }

  welcomed(isResumed: boolean, generation: number): void {
    if (!isResumed) this.#clear(generation);
    this.#outbox.resumed();
  }

  /** No session goes on. */
  #clear(generation: number): void {
    this.#generation = generation;
    this.#calls.clear();
    this.#queue.clear();
    this.#messages.clear();
    this.#receipts.clear();
    this.#outbox.clear(new GatewayError('unknown_outcome'));
    this.#outbox = this.#newOutbox();
  }

  close(): void {
    this.#cancelPoll();
    for (const cancel of this.#noting.values()) cancel();
    this.#clear(this.#generation);
    this.#outbox.clear(new GatewayError('closed'));
  }

  /** Frozen: what it has not noted will be said again by it. */
  detached(tab: HubTab): void {
    for (const message of this.#queue) if (message.tab === tab) this.#unqueue(message);
    for (const message of [...this.#noting.keys()]) {
      if (message.tab !== tab) continue;
      this.#revoke(message);
      this.#release(message.channel);
    }
    this.flush();
  }

  #unqueue(message: SharedMessage): void {
    this.#queue.delete(message);
    this.#forget(message);
  }

  /** It was numbered and not written: its number goes to nobody. */
  #revoke(message: SharedMessage): void {
    this.#noting.get(message)?.();
    this.#noting.delete(message);
    message.tab.post(['done', message.noteAt]);
    this.#forget(message);
    const held = this.#unnoted.get(message.channel);
    held?.splice(held.indexOf(message), 1);
    // Nobody is told: its tab says it again.
    message.settled = true;
    this.#outbox.unwritable(message, new GatewayError('closed'));
  }

  /** Closed or crashed: nobody will say its messages again. */
  gone(tab: HubTab): void {
    for (const [message, cancel] of [...this.#noting]) {
      if (message.tab !== tab) continue;
      cancel();
      this.#noting.delete(message);
      this.#release(message.channel);
    }
    this.#messages.delete(tab.id);
  }

  /**
   * Another life of its client begins in the same place, without numbers and refs from before: what the first one said is written on,
   * under a tab that is gone, and nobody hears the answer. While a tab is not attached nothing of it is queued, or waits to be noted.
   */
  beginAnew(tab: HubTab): void {
    const past = new HubTab(tab.id, () => {});
    past.isGone = true;
    const messages = this.#messages.get(tab.id)?.values() ?? [];
    for (const message of [...messages, ...this.#receipts.values()])
      if (message.tab === tab) message.tab = past;
    for (const [ref, call] of this.#calls) if (call.tab === tab) this.#calls.delete(ref);
    this.#messages.delete(tab.id);
  }

  /** Writes what waits, as far as the connection takes it. */
  flush(): void {
    this.#cancelPoll();
    const port = this.#port;
    const canWrite = (): boolean => port.open && !port.congested;
    for (let message = canWrite() ? this.#outbox.again() : undefined; message !== undefined;) {
      this.#number(message);
      message = canWrite() ? this.#outbox.again() : undefined;
    }
    for (const message of this.#queue) {
      if (!canWrite() || !this.#outbox.hasRoomFor(message)) break;
      if (!this.#outbox.takesNew(message)) continue;
      this.#queue.delete(message);
      this.#number(message);
    }
    if (port.open && port.congested)
      this.#cancelPoll = port.environment.after(CONGESTION_POLL_MS, () => {
        this.flush();
      });
  }

  #number(message: SharedMessage): void {
    this.#outbox.add(message);
    message.ref ||= this.#nextRef();
    if (message.frame.options.delivered) {
      this.#receipts.set(`${message.channel} ${String(message.number)}`, message);
      const [oldest] = this.#receipts.keys();
      if (this.#receipts.size > RECEIPTS_LIMIT && oldest !== undefined) this.#receipts.delete(oldest);
    }
    const held = this.#unnoted.get(message.channel) ?? [];
    held.push(message);
    this.#unnoted.set(message.channel, held);
    const { tab, at } = message;
    if (!message.isNoted) message.noteAt = at;
    if (tab.id === this.#port.home.id && !message.isNoted) this.#noteAtHome(message);
    if (this.#isFree(message)) {
      // Of what was adopted the tab has said nothing yet.
      if (message.saidOn > 0) tab.post(['took', at]);
      return this.#release(message.channel);
    }
    tab.post(['keep', at, message.ref, message.number]);
    const cancel = this.#port.environment.after(NOTING_MS, () => {
      this.#port.onFrozen(tab);
    });
    this.#noting.set(message, cancel);
  }

  /** Whether it may be written at once: who could say it again knows its number, or is gone. */
  #isFree({ isNoted, tab }: SharedMessage): boolean {
    return isNoted || tab.isGone;
  }

  #noteAtHome(message: SharedMessage): void {
    const { noteAt: at, ref, number, frame } = message;
    const bytes = (msgpackCodec.encodeClient({ ...frame, ref: message.tabRef }) as Uint8Array).slice();
    this.#port.home.keep({ at, ref, number, bytes, hub: this.#port.id, isSure: true });
    message.isNoted = true;
  }

  #release(channel: string): void {
    const held = this.#unnoted.get(channel);
    if (held === undefined) return;
    for (;;) {
      const [message] = held;
      if (message === undefined || this.#noting.has(message)) break;
      held.shift();
      this.#write(message);
    }
    if (held.length === 0) this.#unnoted.delete(channel);
  }

  #write(message: SharedMessage): void {
    const { frame, ref, seq, first } = message;
    const options = { ...frame.options };
    if (first > 0) options.first = first;
    else delete options.first;
    try {
      this.#port.write({ ...frame, ref, seq, options });
      this.#flying.set(ref, message);
    } catch (error) {
      this.#outbox.unwritable(message, error);
    }
  }

  #tell(message: SharedMessage): void {
    const { tab, noteAt, tabRef: ref, answer, frame } = message;
    if (answer === null) return;
    const isHeard = tab.isAttached && message.saidOn === tab.connections;
    if ('error' in answer && !(isHeard && !isUnknown(answer.error))) this.#unsettle(message);
    // Who does not hear the answer, or not yet, keeps its note, and asks again.
    if (!isHeard) return;
    if (ref > 0 && 'result' in answer) tab.write({ type: 'ok', ref, result: answer.result });
    else if (ref > 0 && 'error' in answer) tab.write(refusal(ref, answer.error));
    // Of one that waits for its receipt the number is still needed.
    if ('error' in answer ? !isUnknown(answer.error) : !frame.options.delivered) tab.post(['done', noteAt]);
  }

  /** Higher numbers will be written, so the next hub must not take it for an acceptance that the gateway knows this one. */
  #unsettle(message: SharedMessage): void {
    const { tab, noteAt, ref, number } = message;
    // Of what was never written there is no note.
    if (noteAt > 0) tab.post(['keep', noteAt, ref, number]);
  }

  #remember(tab: HubTab, frame: KeptFrame, own: number, at: number, ref: number): SharedMessage {
    const channel = channelOf(frame);
    const message = new SharedMessage(tab, own, channel, frame, at, ref, (answered) => {
      this.#tell(answered);
    });
    let messages = this.#messages.get(tab.id);
    if (messages === undefined) this.#messages.set(tab.id, (messages = new Map<string, SharedMessage>()));
    messages.set(`${channel} ${String(own)}`, message);
    if (messages.size > ANSWERED_LIMIT)
      for (const [key, { settled }] of messages) {
        if (settled) messages.delete(key);
        if (messages.size <= ANSWERED_LIMIT) break;
      }
    return message;
  }

  #find(tab: HubTab, channel: string, own: number): SharedMessage | undefined {
    return this.#messages.get(tab.id)?.get(`${channel} ${String(own)}`);
  }

  #forget({ tab, channel, own }: SharedMessage): void {
    this.#messages.get(tab.id)?.delete(`${channel} ${String(own)}`);
  }

  #nextRef(): number {
    do this.#ref = (this.#ref % LAST_REF) + 1;
    while (this.#calls.has(this.#ref) || this.#flying.has(this.#ref));
    return this.#ref;
  }
}

function refusal(ref: number, error: unknown): ErrorFrame {
  const known = error instanceof GatewayError || error instanceof ProtocolError;
  const [code, text] = known ? ([error.code, error.message] as const) : (['internal_error', ''] as const);
  return { type: 'error', ref, code, text, expected: null };
}

/** The gateway's answer to a number that is below one which it has. */
function isDuplicate(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'id' in result && result.id === null;
}

function isUnknown(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'unknown_outcome';
}

function frameOf({ bytes }: Note): CallingFrame | null {
  const frame = msgpackCodec.decodeClient(bytes);
  return 'ref' in frame ? frame : null;
}

/** A session and its client have one inbox, so they are one channel; `#` can stand in no name. */
function channelOf(frame: KeptFrame): string {
  return frame.type === 'publish' ? `#${frame.room}` : String(frame.to).replace(/#.*/, '');
}
