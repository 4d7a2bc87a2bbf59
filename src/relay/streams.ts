// Streams between sessions: offers, chunks and credit find the other end wherever it is; nothing of them is kept here.
import { type Code, CODES } from '../protocol/codes.js';
import {
  ASKS,
  type AttachStreamFrame,
  type ChunkFrame,
  type CreditFrame,
  type CutFrame,
  type OpenStreamFrame,
  PARTS,
  type Payload,
} from '../protocol/frame.js';
import {
  type ClientId,
  parseAddress,
  type SessionId,
  type StreamId,
  type WorkerId,
} from '../protocol/ids.js';
import { STREAM_CHUNK_COST_BYTES } from '../protocol/limits.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { mayStream, type Permissions, sendPatterns, streamPatterns } from '../session/permissions.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Relay } from './relay.js';
import { refusalOf } from './authorize.js';
import type { RouteCache } from './route-cache.js';
import { StreamAdmission } from './stream-admission.js';
import { StreamCredit } from './stream-credit.js';
import { type End, StreamEnds } from './stream-ends.js';
import type { ChunkStep, OfferStep, StreamEnvelope } from './stream-envelope.js';
import { StreamNotices } from './stream-notices.js';
import { StreamOffers } from './stream-offers.js';
import { newPeer, type Peer } from './stream-peer.js';
import { StreamReaders } from './stream-readers.js';
import { StreamWays } from './stream-ways.js';

/**
 * A session that has just come back may not have said yet which streams it holds: so long after its welcome an unknown stream is
 * not taken for one that is over, ms. Whoever asks asks again.
 */
const SETTLING_MS = 5_000;

const SESSION_OVER = 'The session at the other end is over.';

export interface StreamsOptions {
  worker: WorkerId;
  registry: SessionRegistry;
  relay: Relay;
  routes: RouteCache;
  wheel: TimerWheel;
  refusals: Refusals;
  streamsPerSessionLimit: number;
  /** What a connection's outbox holds; chunks are dropped from half of it on, as all that is volatile. */
  outboxLimitBytes: number;
  /** Counts streams that were cut, by code. */
  countCut: (code: Code) => void;
  /** Counts chunks that a reader's connection had no room for; its sender sends them again. */
  countDropped: (reason: 'unreachable' | 'away') => void;
}

/**
 * What passes between two sessions passes because both say so: each holds an end here, made by a frame of its own, that names
 * the other. One of them is the opener, whose token must permit the stream to the other's client; the other accepted. An end is
 * lost with its connection and made again by `attachStream`, which is checked as `openStream` is. So a chunk reaches nobody who
 * did not accept, and whoever accepted reaches nobody but the opener.
 */
export class Streams {
  private readonly ends = new StreamEnds();
  private readonly notices: StreamNotices;
  private readonly ways: StreamWays;
  private readonly offers: StreamOffers;
  private readonly readers: StreamReaders;
  private readonly admission: StreamAdmission;
  private readonly flow: StreamCredit;

  constructor(private readonly options: StreamsOptions) {
    const { ends } = this;
    const notices = (this.notices = new StreamNotices({ ...options, ends }));
    const ways = (this.ways = new StreamWays({
      ...options,
      ends,
      notices,
      receive: (envelope) => {
        this.receive(envelope);
      },
      gone: (end, peer) => {
        this.gone(end, peer);
      },
    }));
    this.offers = new StreamOffers({ ...options, ends, ways, notices });
    const readers = (this.readers = new StreamReaders({ ...options, ways, notices }));
    this.admission = new StreamAdmission({ ...options, ends, ways, notices, readers });
    this.flow = new StreamCredit({
      ...options,
      isHeld: (end) => ends.get(end.session, end.stream) === end,
      pass: (end) => {
        ways.pass(end, { kind: 'credit', upTo: end.upTo, limit: end.told, ask: ASKS.nothing });
      },
    });
  }

  /** Ends that sessions of this worker hold. */
  get size(): number {
    return this.ends.size;
  }

  open(session: Session, frame: OpenStreamFrame): void {
    const { stream, to, room, drop } = frame;
    const known = this.ends.get(session, stream);
    if (known !== undefined && (!known.opened || (known.group === null) !== (to !== null))) {
      this.notices.refuse(session, stream, 'bad_parameter', 'The stream is open already.');
      return;
    }
    const address = to === null ? null : parseAddress(to);
    if (address !== null && !mayStream(session.identity.permissions, address.client)) {
      if (known !== undefined) this.ends.remove(known);
      this.notices.refuse(session, stream, 'not_found');
      return;
    }
    const end =
      known ??
      this.admission.take(session, {
        stream,
        opened: true,
        room,
        peer: null,
        drop: to === null ? drop : null,
      });
    if (end === null) return;
    const { permissions } = session.identity;
    const step: OfferStep = {
      kind: 'offer',
      room,
      name: frame.name,
      streams: streamPatterns(permissions),
      send: room === null ? sendPatterns(permissions) : ['*'],
      payload: frame.payload,
    };
    this.offers.send(end, address, step);
  }

  attach(session: Session, frame: AttachStreamFrame): void {
    const { stream, to, room, opened, upTo, limit, drop } = frame;
    const address = to === null ? null : parseAddress(to);
    const peer =
      address === null || address.session === null ? null : newPeer(address.client, address.session, true);
    if (opened && peer !== null && !mayStream(session.identity.permissions, peer.client)) {
      this.notices.refuse(session, stream, 'not_found');
      return;
    }
    // Where it is not there any more it is looked up.
    if (!opened && peer !== null) peer.worker = this.offers.originOf(peer.session, stream);
    const known = this.ends.get(session, stream);
    if (known !== undefined) {
      if (known.opened !== opened || known.peer?.session !== peer?.session) {
        this.notices.refuse(session, stream, 'bad_parameter', 'The stream is open already.');
        return;
      }
    }
    const end =
      known ??
      this.admission.take(session, {
        stream,
        opened,
        room,
        peer,
        drop: peer === null ? drop : null,
        gathers: true,
      });
    if (end === null) return;
    this.ways.pass(end, { kind: 'attach', upTo, limit: this.flow.heard(end, upTo, limit) });
  }

  chunk(session: Session, { stream, offset, part, payload }: ChunkFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) {
      this.notices.unknown(session, stream);
      return;
    }
    const after = afterOf(offset, payload);
    // The last chunk of a side needs no credit of its own: there is only one.
    if ((part === PARTS.data ? after : offset) > end.limit || !Number.isSafeInteger(after)) {
      this.cutBoth(end, 'credit_exceeded', CODES.credit_exceeded.text);
      return;
    }
    if (end.group === null && end.peer !== null)
      this.ways.sendTo(end, end.peer, { kind: 'chunk', offset, part, payload });
    else if (end.group !== null) {
      end.group.passed(after);
      this.ways.pass(end, { kind: 'chunk', offset, part, payload });
    }
  }

  credit(session: Session, { stream, upTo, limit, ask }: CreditFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) {
      this.notices.unknown(session, stream);
      return;
    }
    const told = this.flow.heard(end, upTo, limit);
    if (ask === ASKS.tell) end.group?.ask();
    // Readers of a stream to several write nothing that the opener could give credit for.
    if (end.group === null || ask !== ASKS.nothing)
      this.ways.pass(end, { kind: 'credit', upTo, limit: told, ask });
  }

  cut(session: Session, { stream, to, code, text }: CutFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) {
      const address = to === null ? null : parseAddress(to);
      if (address?.session !== undefined && address.session !== null)
        this.ways.refuseOffer(session, stream, newPeer(address.client, address.session, true), {
          kind: 'cut',
          code,
          text,
        });
      return;
    }
    this.ways.pass(end, { kind: 'cut', code, text });
    this.ends.remove(end);
    this.options.countCut(code);
  }

  /** The connection is gone: what the session held it says again, on whichever worker it comes back to, unless it said that it is over. */
  leave(session: Session): void {
    for (const end of [...this.ends.of(session)]) {
      if (session.ended) this.ways.pass(end, { kind: 'cut', code: 'unknown_outcome', text: SESSION_OVER });
      this.ends.remove(end);
    }
  }

  /** The session has another token now: streams that it does not permit end. */
  recheck(session: Session): void {
    const { permissions } = session.identity;
    for (const end of [...this.ends.of(session)]) {
      if (end.opened && !this.mayGoOn(end, permissions)) this.cutBoth(end, 'forbidden', CODES.forbidden.text);
    }
  }

  receive(envelope: StreamEnvelope): void {
    const { to, step } = envelope;
    if (step.kind === 'offer') {
      this.offers.receive(envelope, step);
      return;
    }
    if (to === null && step.kind === 'chunk') {
      this.copy(envelope, step);
      return;
    }
    if (to === null) {
      for (const end of [...this.ends.readersOf(envelope.sender, envelope.stream)])
        if (end.peer?.client === envelope.from) this.takeStep(end, end.peer, envelope);
      return;
    }
    const session = this.options.registry.get(to.session);
    if (session === undefined || session.ref.client !== to.client) {
      this.ways.tellMissing(envelope);
      return;
    }
    const end = this.ends.get(session, envelope.stream);
    const peer = end === undefined ? null : this.peerOf(end, envelope);
    if (end !== undefined && peer !== null) this.takeStep(end, peer, envelope);
    else if (envelope.step.kind !== 'cut' && performance.now() - session.welcomedAt >= SETTLING_MS)
      this.ways.answerUnknown(session, envelope);
  }

  /** A chunk of a stream to several, to those of this worker who read it. */
  private copy({ from, sender, stream, origin }: StreamEnvelope, { offset, part, payload }: ChunkStep): void {
    let frame: PreparedFrame | null = null;
    for (const end of this.ends.readersOf(sender, stream)) {
      if (end.peer?.client !== from) continue;
      end.peer.worker = origin;
      frame ??= PreparedFrame.whole({ type: 'piece', stream, offset, part, payload }, msgpackCodec);
      if (this.notices.giveCopy(end.session, frame)) this.flow.gave(end, offset, afterOf(offset, payload));
      else this.ways.lost(end);
    }
  }

  /** A step of this worker's session found nobody where its peer was. */
  missing(handle: string, client: ClientId): void {
    const [sender = '', stream = ''] = handle.slice(1).split(' ');
    const session = this.options.registry.get(sender as SessionId);
    const end = session === undefined ? undefined : this.ends.get(session, stream as StreamId);
    if (end !== undefined) this.ways.missing(end, client);
  }

  /** Tells that there is, or will be, no such stream. */
  refuse(session: Session, stream: StreamId, code: Code): void {
    this.notices.refuse(session, stream, code);
  }

  // ── what a session says ─────────────────────────────────────────────────────────────────────────

  private gone(end: End, peer: Peer): void {
    const code = peer.isHeard ? 'unknown_outcome' : 'not_found';
    if (end.group !== null) {
      this.readers.drop(end, peer, code, 'The reader’s session is over.');
      return;
    }
    this.ends.remove(end);
    this.notices.refuse(end.session, end.stream, code, peer.isHeard ? SESSION_OVER : undefined);
  }

  // ── what comes for a session ────────────────────────────────────────────────────────────────────

  /** Who sends this, as the end knows it; null where it has no business with this end. */
  private peerOf(end: End, envelope: StreamEnvelope): Peer | null {
    const { from, sender, opened } = envelope;
    if (end.opened === opened) return null;
    const { group, peer } = end;
    if (group === null) return peer?.session === sender && peer.client === from ? peer : null;
    return this.readers.find(end, group, envelope);
  }

  private takeStep(end: End, peer: Peer, { origin, step }: StreamEnvelope): void {
    const { stream } = end;
    peer.worker = origin;
    peer.isHeard = true;
    switch (step.kind) {
      case 'attach': {
        const { upTo, limit } = step;
        this.hear(end, peer, upTo, limit);
        // Nobody else tells a reader of several that it may answer: it would ask, when it has waited.
        if (end.group !== null)
          this.ways.sendTo(end, peer, { kind: 'credit', upTo: 0, limit: 0, ask: ASKS.nothing });
        this.notices.give(end.session, {
          type: 'attached',
          stream,
          from: peer.client,
          session: peer.session,
          upTo,
          limit,
        });
        return;
      }
      case 'chunk':
        if (end.group === null) {
          const { offset, part, payload } = step;
          const fits = this.notices.give(end.session, { type: 'piece', stream, offset, part, payload });
          if (fits) this.flow.gave(end, offset, afterOf(offset, payload));
          else this.ways.lost(end);
        } else if (step.part === PARTS.answer) this.readers.answered(end, peer, step.offset, step.payload);
        else if (step.part === PARTS.data)
          this.readers.drop(end, peer, 'bad_parameter', 'Readers of a stream to several write nothing.');
        return;
      case 'credit':
        this.hear(end, peer, step.upTo, step.limit);
        if (end.group === null)
          this.notices.credited(end, { upTo: step.upTo, limit: end.limit, ask: step.ask });
        else if (step.ask !== ASKS.nothing) {
          this.ways.sendTo(end, peer, { kind: 'credit', upTo: 0, limit: 0, ask: ASKS.nothing });
          if (step.ask === ASKS.again) this.readers.tell(end, ASKS.again);
        }
        return;
      case 'cut':
        if (end.group === null) {
          this.ends.remove(end);
          this.notices.give(end.session, { type: 'wasCut', stream, code: step.code, text: step.text });
        } else this.readers.gone(end, peer, step);
        return;
      case 'offer':
        return;
      default:
        step satisfies never;
    }
  }

  private hear(end: End, peer: Peer, upTo: number, limit: number): void {
    const reader = end.group?.get(peer.session);
    if (reader === undefined) end.limit = Math.max(end.limit, limit);
    else end.group?.heard(reader, upTo, limit);
  }

  private mayGoOn(end: End, permissions: Permissions): boolean {
    if (end.group === null) return end.peer === null || mayStream(permissions, end.peer.client);
    const { stream, room } = end;
    const asked = {
      type: 'attachStream',
      stream,
      to: null,
      room,
      opened: true,
      upTo: 0,
      limit: 0,
      drop: false,
    } as const;
    return refusalOf(asked, permissions) === null;
  }

  private cutBoth(end: End, code: Code, text: string): void {
    this.ways.pass(end, { kind: 'cut', code, text });
    this.ends.remove(end);
    this.notices.refuse(end.session, end.stream, code, text);
  }
}

/** Where the next chunk begins. */
function afterOf(offset: number, { data }: Payload): number {
  return offset + data.length + STREAM_CHUNK_COST_BYTES;
}
