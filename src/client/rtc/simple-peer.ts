// Signals of existing `simple-peer` code over a client: two lines instead of a signaling server of its own.
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

/** Most signals of one caller that wait for the peer that takes its call: an offer, and more candidates than a machine has. */
const EARLY_LIMIT_SIGNALS = 100;

/** In the place of a signal: this end is over, or there will be none. */
const OVER = null;

/** What callers say and what they are answered are two events: of two who call each other, each knows which call is meant. */
function eventOf(isCaller: boolean, name: string): string {
  return `~simple-peer/${isCaller ? 'call' : 'answer'}${name === '' ? '' : `/${name}`}`;
}

/**
 * Carries the signals of a `simple-peer` object to `remoteId` (a client, or one session: `bob#<session>`) and back, in order and once.
 * The end of one side ends the other. Returns a function that stops; the peer's own `close` does, too. A signal that cannot be sent destroys
 * the peer with that error.
 */
export function simplePeerSignaling(
  client: GatewayClient,
  remoteId: string,
  peer: SimplePeer,
  { name = '' }: SimplePeerOptions = {},
): () => void {
  const { initiator } = peer;
  const [remoteClient, remoteSession] = remoteId.split('#');
  // From the first answer on it is one session that is talked to: the others of that client did not take the call.
  let session = remoteSession;
  let isStopped = false;
  const remove = client.onMessage(eventOf(!initiator, name), (data, from) => {
    if (from.client !== remoteClient || (session !== undefined && from.session !== session)) return;
    session = from.session;
    if (data === OVER) {
      stop();
      peer.destroy();
    } else peer.signal(data);
  });
  const stop = (): void => {
    isStopped = true;
    remove();
  };
  const tell = (data: unknown): Promise<unknown> => {
    const to = session === undefined ? remoteId : `${String(remoteClient)}#${session}`;
    return client.send(to, eventOf(initiator, name), data);
  };
  peer.on('signal', (data) => {
    if (isStopped) return;
    tell(data).catch((error: unknown) => {
      peer.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  peer.once('close', () => {
    if (isStopped) return;
    stop();
    // Who is away learns it from its connection.
    tell(OVER).catch(() => {});
  });
  return stop;
}

/**
 * Tells who calls with `simplePeerSignaling`, and connects the `simple-peer` object (no initiator) that `handler` gives, at once or later: what
 * the caller says meanwhile is kept for it. With null, or an error, the caller's peer is destroyed. One that hangs up before has its peer here
 * destroyed. Returns a function that stops; peers that were given go on.
 */
export function onSimplePeer(
  client: GatewayClient,
  handler: (from: Sender) => SimplePeer | null | Promise<SimplePeer | null>,
  { name = '' }: SimplePeerOptions = {},
): () => void {
  /** By caller: what waits for its peer, null where it has one, which hears for itself. */
  const calls = new Map<string, unknown[] | null>();
  const refuse = (caller: string): void => {
    calls.delete(caller);
    client.send(caller, eventOf(false, name), OVER).catch(() => {});
  };
  const remove = client.onMessage(eventOf(true, name), async (data, from) => {
    const caller = `${from.client}#${from.session}`;
    const waiting = calls.get(caller);
    if (waiting !== undefined) {
      if (data === OVER) calls.delete(caller);
      else if (waiting !== null && waiting.length < EARLY_LIMIT_SIGNALS) waiting.push(data);
      return;
    }
    // What else comes from nowhere is the rest of a call that is over.
    if ((data as { type?: unknown } | null)?.type !== 'offer') return;
    const early = [data];
    calls.set(caller, early);
    let peer: SimplePeer | null = null;
    try {
      peer = await handler(from);
    } finally {
      if (calls.get(caller) !== early) peer?.destroy();
      else if (peer === null || peer.destroyed) refuse(caller);
      else {
        calls.set(caller, null);
        peer.once('close', () => calls.get(caller) === null && calls.delete(caller));
        simplePeerSignaling(client, caller, peer, { name });
        for (const signal of early) peer.signal(signal);
      }
    }
  });
  return () => {
    remove();
    for (const [caller, waiting] of calls) if (waiting !== null) refuse(caller);
  };
}
