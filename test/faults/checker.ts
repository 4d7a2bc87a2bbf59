// Reads the histories of all simulated clients twice and says what was lost, doubled, disordered or kept silent (C1–C8).
import { type HistoryEvent } from './history.js';
import { type ChannelWitness, Reader } from './reader.js';
import { type Check, emptyReport, note, percentile, type Report } from './report.js';
import { SentMessages } from './sent-messages.js';

export interface CheckOptions {
  /** Times of injected faults, ms since 1970, both ends included: what is refused then does not count against the gateway. */
  windows?: readonly (readonly [from: number, to: number])[];
  /** How long after a newer connection's welcome an older one of the session may still bring something, ms. */
  fencingMs?: number;
  /** The fault takes logs away whose senders are still there: they refill the next ones. What is lost is seen by C5 alone. */
  sendersRefill?: boolean;
  /** Codes with which a client may be sent away for good in this row. */
  mayEndWith?: readonly string[];
}

/** The bytes of an older connection that are in sockets at the moment of its fencing. */
const FENCING_MS = 1_000;

interface Ownership {
  k: number;
  client: string;
  up: number;
  down: number;
}

/** `source` is asked twice, so that no event needs to be held; events of one client are in their order, clients in any. */
export function checkHistory(source: () => Iterable<HistoryEvent>, options: CheckOptions = {}): Report {
  const checker = new Checker(options);
  for (const event of source()) checker.learn(event);
  for (const event of source()) checker.judge(event);
  return checker.conclude();
}

class Checker {
  readonly #report = emptyReport();
  readonly #sent = new SentMessages();
  readonly #readers = new Map<string, Map<string, Reader>>();
  readonly #witnesses = new Map<string, ChannelWitness>();
  readonly #owners = new Map<string, Ownership[]>();
  readonly #sessionOf = new Map<string, string>();
  readonly #alive = new Set<string>();
  readonly #downSince = new Map<string, number>();
  readonly #recoveriesMs: number[] = [];
  #lastEventAt = 0;

  constructor(readonly options: CheckOptions) {}

  /** First reading: what senders know, and which connections there were. */
  learn(event: HistoryEvent): void {
    this.#lastEventAt = Math.max(this.#lastEventAt, event.t);
    this.#sent.learn(event);
    if (event.e === 'up') this.#own(event.s, { k: event.k, client: event.c, up: event.t, down: Infinity });
    if (event.e === 'down') {
      const owner = this.#owners.get(event.s)?.find(({ k, client }) => k === event.k && client === event.c);
      if (owner !== undefined) owner.down = event.t;
    }
  }

  /** Second reading: each client's events in their order. */
  judge(event: HistoryEvent): void {
    const { c: client, t } = event;
    switch (event.e) {
      case 'recv':
        this.#report.received++;
        if (event.k !== undefined) this.#checkFenced(event.k, event);
        return this.#reader(client, event.ch).receive(event, this.#sent);
      case 'gap':
        this.#report.gapsTold++;
        return this.#reader(client, event.ch).missing({
          at: t,
          missing: event.missing,
          isLoss: event.reason === 'lost',
        });
      case 'stateLost': {
        this.#report.gapsTold++;
        const all = this.#readers.get(client)?.values() ?? [];
        for (const reader of event.ch === null ? all : [this.#reader(client, event.ch)])
          reader.missing({ at: t, missing: null, isLoss: true });
        return;
      }
      case 'member':
        return this.#reader(client, event.ch).join(t);
      case 'unmember':
        return this.#reader(client, event.ch).leave(t);
      case 'up': {
        this.#sessionOf.set(client, event.s);
        const since = this.#downSince.get(client);
        if (since !== undefined) this.#recoveriesMs.push(t - since);
        this.#downSince.delete(client);
        return;
      }
      case 'down':
        this.#downSince.set(client, t);
        this.#report.closes[event.code] = (this.#report.closes[event.code] ?? 0) + 1;
        return;
      case 'dead':
        if (!(this.options.mayEndWith ?? []).includes(event.code))
          this.#fail('C8', client, '', `was sent away for good: ${event.code}`);
        return;
      case 'end':
        this.#alive.add(client);
        for (const channel of event.finals)
          if (this.#reader(client, channel).finals === 0)
            this.#fail('C8', client, channel, 'got no final marker');
        return;
      case 'send':
      case 'accepted':
      case 'rejected':
      case 'expired':
        return;
      default:
        event satisfies never;
    }
  }

  conclude(): Report {
    this.#countSends();
    const readersOf = new Map<string, Reader[]>();
    for (const readers of this.#readers.values())
      for (const reader of readers.values())
        readersOf.set(reader.channel, [...(readersOf.get(reader.channel) ?? []), reader]);
    for (const flow of this.#sent.flows()) {
      for (const reader of readersOf.get(flow.channel) ?? []) {
        if (reader.isVolatile) continue;
        for (const text of reader.lost(flow, this.#alive.has(reader.client))) reader.fail('C5', text);
      }
    }
    this.#checkOwners();
    this.#report.recoveryP99Ms = percentile(this.#recoveriesMs, 0.99);
    this.#report.recoveryMaxMs = percentile(this.#recoveriesMs, 1);
    return this.#report;
  }

  #countSends(): void {
    let counted = 0;
    let accepted = 0;
    for (const flow of this.#sent.flows()) {
      this.#report.attempted += flow.outcomes.length;
      for (const [i, outcome] of flow.outcomes.entries()) {
        if (outcome === 'pending' && this.#alive.has(flow.sender))
          this.#fail('C8', flow.sender, flow.channel, `never heard what became of ${i + 1}`);
        if (this.#isInWindow(flow.sentAt[i] ?? 0)) continue;
        counted++;
        if (outcome === 'accepted' || outcome === 'expired') accepted++;
      }
    }
    this.#report.acceptedShare = counted === 0 ? 1 : accepted / counted;
  }

  #isInWindow(t: number): boolean {
    return (this.options.windows ?? []).some(([from, to]) => t >= from && t <= to);
  }

  #own(session: string, ownership: Ownership): void {
    const owners = this.#owners.get(session);
    if (owners === undefined) this.#owners.set(session, [ownership]);
    else owners.push(ownership);
  }

  /** When the next newer connection of the session was there. */
  #fencedAt(session: string, k: number): number {
    const newer = (this.#owners.get(session) ?? []).filter((owner) => owner.k > k).map(({ up }) => up);
    return Math.min(Infinity, ...newer) + (this.options.fencingMs ?? FENCING_MS);
  }

  #checkFenced(k: number, { c, ch, t, n }: { c: string; ch: string; t: number; n: number }): void {
    const session = this.#sessionOf.get(c);
    if (session !== undefined && t > this.#fencedAt(session, k))
      this.#fail('C7', c, ch, `connection ${k} of session ${session} brought ${n} after it was fenced`);
  }

  #checkOwners(): void {
    for (const [session, owners] of this.#owners) {
      for (const [i, owner] of owners.entries()) {
        const { k, client, down } = owner;
        const fencedAt = this.#fencedAt(session, k);
        if (Math.min(down, this.#lastEventAt) > fencedAt)
          this.#fail('C7', client, '', `connection ${k} of session ${session} outlived a newer one`);
        const beside = owners.slice(i + 1).find((other) => other.k === k && this.#liveTogether(owner, other));
        if (beside !== undefined)
          this.#fail('C7', client, '', `session ${session} has two connections, with ${beside.client}`);
      }
    }
  }

  /** Of two that came at once one must go, whichever is the newer. */
  #liveTogether(one: Ownership, other: Ownership): boolean {
    const until = Math.min(one.down, other.down, this.#lastEventAt);
    return until - Math.max(one.up, other.up) > (this.options.fencingMs ?? FENCING_MS);
  }

  #reader(client: string, channel: string): Reader {
    let readers = this.#readers.get(client);
    if (readers === undefined) this.#readers.set(client, (readers = new Map()));
    let reader = readers.get(channel);
    if (reader === undefined) {
      let witness = this.#witnesses.get(channel);
      if (witness === undefined)
        this.#witnesses.set(
          channel,
          (witness = {
            contents: new Map(),
            epochs: new Set(),
            mayRefill: this.options.sendersRefill ?? false,
          }),
        );
      reader = new Reader(client, channel, witness, (check, text) =>
        this.#fail(check, client, channel, text),
      );
      readers.set(channel, reader);
    }
    return reader;
  }

  #fail(check: Check, client: string, channel: string, text: string): void {
    note(this.#report, { check, client, channel, text });
  }
}
