// Calls of all tabs on one connection: under refs and numbers of the hub's own, and each answer back to the tab that asked.
import type { ClientFrame, ErrorFrame, GatewayFrame, OkFrame, ResponseFrame } from '../../protocol/frame.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import { Outbox } from '../outbox.js';
import { HubNotes, type HubNotesPort } from './hub-notes.js';
import { HubTab } from './hub-tab.js';
import { RememberedMessages } from './remembered-messages.js';
import { channelOf, isUnknown, type KeptFrame, SharedMessage } from './shared-message.js';
import type { Note } from './tab-messages.js';

/** The number after it belongs to probes. */
const LAST_REF = 0xffff_fffe;
/** Refs and numbers of one connection; each hub begins at its first, so that what belongs to a dead hub is never taken for its own. */
const REFS_OF_CONNECTION = 1_000_000;
const NUMBERS_OF_CONNECTION = 1_000_000_000;
/** Messages whose receipts find back to their tab. */
const RECEIPTS_LIMIT = 4_096;
/** Volatile messages whose refusal finds back to their tab: one comes soon, or never. */
const WATCHED_LIMIT = 256;
const CONGESTION_POLL_MS = 20;

/** The answer may still come on the next connection of the session. */
const WAITING: readonly ClientFrame['type'][] = ['request', 'call', 'pair'];

export type CallingFrame = Extract<ClientFrame, { ref: number }>;
type Answer = OkFrame | ErrorFrame | ResponseFrame;

/** A call without a number. */
interface SharedCall {
  /** Null: the hub's own. */
  readonly tab: HubTab | null;
  readonly at: number;
  readonly frame: CallingFrame;
}

export interface HubCallsPort extends Omit<HubNotesPort, 'write' | 'onRevoked'> {
  readonly acceptTimeoutMs: number;
  readonly offlineQueueLimitBytes: number;
  readonly open: boolean;
  readonly congested: boolean;
  write(frame: ClientFrame): void;
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
  readonly #notes: HubNotes;
  readonly #messages = new RememberedMessages();
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
    this.#notes = new HubNotes({
      ...port,
      write: (message) => {
        this.#write(message);
      },
      onRevoked: (message) => {
        this.#messages.forget(message);
        // Nobody is told: its tab says it again.
        message.settled = true;
        this.#outbox.unwritable(message, new GatewayError('closed'));
      },
    });
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
        const known = this.#messages.find(tab, channelOf(frame), frame.seq);
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
    const known = this.#messages.find(tab, channelOf(frame), own);
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

  noted(tab: HubTab, at: number): void {
    this.#notes.noted(tab, at);
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
    return this.#messages.find(tab, channel, own)?.number;
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
    const flying = [...this.#flying.values(), ...this.#notes.lost()];
    this.#flying.clear();
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
    this.#notes.close();
    this.#clear(this.#generation);
    this.#outbox.clear(new GatewayError('closed'));
  }

  /** Frozen: what it has not noted will be said again by it. */
  detached(tab: HubTab): void {
    for (const message of this.#queue) if (message.tab === tab) this.#unqueue(message);
    this.#notes.detached(tab);
    this.flush();
  }

  #unqueue(message: SharedMessage): void {
    this.#queue.delete(message);
    this.#messages.forget(message);
  }

  /** Closed or crashed: nobody will say its messages again. */
  gone(tab: HubTab): void {
    this.#notes.gone(tab);
    this.#messages.forgetAllOf(tab);
  }

  /**
   * Another life of its client begins in the same place, without numbers and refs from before: what the first one said is written on,
   * under a tab that is gone, and nobody hears the answer. While a tab is not attached nothing of it is queued, or waits to be noted.
   */
  beginAnew(tab: HubTab): void {
    const past = new HubTab(tab.id, () => {});
    past.isGone = true;
    for (const message of [...this.#messages.of(tab), ...this.#receipts.values()])
      if (message.tab === tab) message.tab = past;
    for (const [ref, call] of this.#calls) if (call.tab === tab) this.#calls.delete(ref);
    this.#messages.forgetAllOf(tab);
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
    this.#notes.add(message);
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
    this.#messages.add(message);
    return message;
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

function frameOf({ bytes }: Note): CallingFrame | null {
  const frame = msgpackCodec.decodeClient(bytes);
  return 'ref' in frame ? frame : null;
}
