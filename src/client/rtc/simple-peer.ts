// Signals of existing `simple-peer` code over a client: two lines instead of a signaling server of its own.
import { randomId } from './dialogue.js';
import type { GatewayClient } from './gateway-signaling.js';
import type { Sender } from './line.js';

/** As much of a `simple-peer` object as signaling needs. */
export interface SimplePeer {
  /** Whether it calls. */
  readonly initiator: boolean;
  /** Whether it is over. */
  readonly destroyed: boolean;
  /** Its signals. */
  on(event: 'signal', listener: (data: unknown) => void): unknown;
  /** Its end. */
  once(event: 'close', listener: () => void): unknown;
  /** Takes a signal of the other side. */
  signal(data: unknown): void;
  /** Ends it. */
  destroy(error?: Error): unknown;
}

/** Options of `simplePeerSignaling` and `onSimplePeer`. */
export interface SimplePeerOptions {
  /** Tells several peers between the same two apart. */
  name?: string;
}

/** Most signals that wait: of one caller for the peer that takes its call, an offer and more candidates than a machine has. */
const EARLY_LIMIT_SIGNALS = 100;

/** Most callers that a page lets ring at once: for each its signals wait. Further ones are refused. */
const RINGING_LIMIT_CALLERS = 64;

/** After one session has refused: until others of that client have said that they ring, if they do, ms. */
const REFUSAL_MS = 1_000;

const KINDS = ['begin', 'signal', 'ringing', 'over'] as const;

/** What one side says. It names its call: what is left of the last one may come when the next has begun. */
interface Word {
  /**
   * `begin`: the caller's first signal, or the first of a session that takes the call. `signal`: one more. `ringing`: a session has not
   * decided yet. `over`: this side is over, or there will be none.
   */
  kind: (typeof KINDS)[number];
  call: string;
  /** A signal, as the peer made it. */
  data?: unknown;
}

function parseWord(value: unknown): Word | null {
  const { kind, call, data } = (value ?? {}) as { kind?: unknown; call?: unknown; data?: unknown };
  const known = KINDS.find((one) => one === kind);
  return known === undefined || typeof call !== 'string' ? null : { kind: known, call, data };
}

/** What callers say and what they are answered are two events: of two who call each other, each knows which call is meant. */
function eventOf(isCaller: boolean, name: string): string {
  return `~simple-peer/${isCaller ? 'call' : 'answer'}${name === '' ? '' : `/${name}`}`;
}

/** One side of a call: the peer that stands here, and what it says to the other side and hears from it. */
class CallSide {
  readonly #client: GatewayClient;
  readonly #remoteId: string;
  readonly #remoteClient: string | undefined;
  /** From its first signal on it is one session that is talked to: the others of that client did not take the call. */
  #session: string | undefined;
  readonly #peer: SimplePeer;
  readonly #name: string;
  /** Null: the call of whoever begins one. */
  #call: string | null;
  /** It has said something. */
  #hasBegun = false;
  /** Of a side that is called: what its peer said before there was a call. */
  readonly #unsaid: unknown[] = [];
  /** Sessions that have not decided yet. */
  readonly #ringing = new Set<string>();
  #refusal: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  readonly #remove: () => void;

  constructor(client: GatewayClient, remoteId: string, peer: SimplePeer, name: string, call: string | null) {
    this.#client = client;
    this.#remoteId = remoteId;
    [this.#remoteClient, this.#session] = remoteId.split('#');
    this.#peer = peer;
    this.#name = name;
    this.#call = call;
    this.#remove = client.onMessage(eventOf(!peer.initiator, name), (data, from) => {
      const word = parseWord(data);
      if (word === null || from.client !== this.#remoteClient) return;
      if (word.call !== this.#call) this.#hearOfOther(word, from.session);
      else if (this.#session === undefined) this.#hearFirst(word, from.session);
      else if (from.session === this.#session) this.#hear(word);
      // Another session took the call.
      else if (word.kind === 'begin') this.#tellOver(`${from.client}#${from.session}`);
    });
    peer.on('signal', (data) => this.#signal(data));
    peer.once('close', () => this.#end());
  }

  /** The other side is not told. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#refusal);
    this.#remove();
  }

  #hearOfOther({ kind, call, data }: Word, session: string): void {
    if (kind !== 'begin' || this.#peer.initiator || (this.#session ?? session) !== session) return;
    // Who calls anew has left the call before.
    if (this.#call !== null) return this.#end();
    this.#call = call;
    this.#session = session;
    for (const unsaid of this.#unsaid) this.#signal(unsaid);
    this.#peer.signal(data);
  }

  /** No session of the client that is called has taken the call yet. */
  #hearFirst(word: Word, session: string): void {
    if (word.kind === 'ringing') this.#ringing.add(session);
    else if (word.kind === 'over') {
      this.#ringing.delete(session);
      this.#refusal ??= setTimeout(() => {
        this.#refusal = undefined;
        if (this.#ringing.size === 0) this.#end();
      }, REFUSAL_MS);
    } else {
      clearTimeout(this.#refusal);
      this.#session = session;
      this.#hear(word);
    }
  }

  #hear({ kind, data }: Word): void {
    // Other sessions of a client that was called do not know yet.
    if (kind === 'over') this.#end(this.#peer.initiator && this.#remoteId !== this.#address);
    else if (kind !== 'ringing') this.#peer.signal(data);
  }

  #signal(data: unknown): void {
    if (this.#isStopped) return;
    if (this.#call === null) {
      if (this.#unsaid.length < EARLY_LIMIT_SIGNALS) this.#unsaid.push(data);
      return;
    }
    const kind = this.#hasBegun ? 'signal' : 'begin';
    this.#hasBegun = true;
    this.#say(this.#address, { kind, call: this.#call, data }).catch((error: unknown) => {
      this.#peer.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  }

  get #address(): string {
    return this.#session === undefined ? this.#remoteId : `${String(this.#remoteClient)}#${this.#session}`;
  }

  #end(isTold = true): void {
    if (this.#isStopped) return;
    this.stop();
    if (isTold) this.#tellOver(this.#peer.initiator ? this.#remoteId : this.#address);
    this.#peer.destroy();
  }

  #tellOver(to: string): void {
    // Who is away learns it from its connection.
    if (this.#call !== null) this.#say(to, { kind: 'over', call: this.#call }).catch(() => {});
  }

  #say(to: string, word: Word): Promise<unknown> {
    return this.#client.send(to, eventOf(this.#peer.initiator, this.#name), word);
  }
}

/**
 * Carries the signals of a `simple-peer` object to `remoteId` (a client, or one session: `bob#<session>`) and back, in order and once. Each
 * initiator is a call of its own: what is left of an older one is ignored. The end of one side ends the other; a client that is called has
 * refused when no session of it rings any more. Returns a function that stops; the peer's own `close` does, too. A signal that cannot be
 * sent destroys the peer with that error.
 */
export function simplePeerSignaling(
  client: GatewayClient,
  remoteId: string,
  peer: SimplePeer,
  { name = '' }: SimplePeerOptions = {},
): () => void {
  const side = new CallSide(client, remoteId, peer, name, peer.initiator ? randomId() : null);
  return () => side.stop();
}

/**
 * Tells who calls with `simplePeerSignaling`, and connects the `simple-peer` object (no initiator) that `handler` gives, at once or later: what
 * the caller says meanwhile is kept for it. With null, or an error, this session refuses: the caller's peer is destroyed if it called this
 * session, or if no other one of this client rings or has taken the call; so it does with a 65th caller while 64 wait for a decision. One that hangs up before, or calls anew, has its peer here
 * destroyed. Returns a function that stops; peers that were given go on.
 */
export function onSimplePeer(
  client: GatewayClient,
  handler: (from: Sender) => SimplePeer | null | Promise<SimplePeer | null>,
  { name = '' }: SimplePeerOptions = {},
): () => void {
  /** What waits for its peer, by caller. */
  const calls = new Map<string, { call: string; early: unknown[] }>();
  const tell = (caller: string, kind: Word['kind'], call: string): void => {
    client.send(caller, eventOf(false, name), { kind, call }).catch(() => {});
  };
  const ring = async ({ call, data }: Word, from: Sender, caller: string): Promise<void> => {
    const waiting = { call, early: [data] };
    const left = calls.get(caller);
    if (left !== undefined) tell(caller, 'over', left.call);
    else if (calls.size >= RINGING_LIMIT_CALLERS) {
      tell(caller, 'over', call);
      return;
    }
    calls.set(caller, waiting);
    let peer: SimplePeer | null = null;
    try {
      const decision = handler(from);
      if (decision !== null && 'then' in decision) tell(caller, 'ringing', call);
      peer = await decision;
    } finally {
      if (calls.get(caller) !== waiting) peer?.destroy();
      else {
        calls.delete(caller);
        if (peer === null || peer.destroyed) tell(caller, 'over', call);
        else {
          new CallSide(client, caller, peer, name, call);
          for (const signal of waiting.early) peer.signal(signal);
        }
      }
    }
  };
  const remove = client.onMessage(eventOf(true, name), (data, from) => {
    const word = parseWord(data);
    if (word === null) return;
    const caller = `${from.client}#${from.session}`;
    if (word.kind === 'begin') return ring(word, from, caller);
    const waiting = calls.get(caller);
    // Of a call that was taken, whose peer hears for itself, or that is over.
    if (waiting?.call !== word.call) return;
    if (word.kind === 'over') calls.delete(caller);
    else if (waiting.early.length < EARLY_LIMIT_SIGNALS) waiting.early.push(word.data);
  });
  return () => {
    remove();
    for (const [caller, { call }] of calls) tell(caller, 'over', call);
    calls.clear();
  };
}
