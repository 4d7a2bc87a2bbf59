// Streams between sessions: offers, chunks and credit find the other end wherever it is; nothing of them is kept here.
import { type Code, CODES } from '../protocol/codes.js';
import {
  ASKS,
  type AttachStreamFrame,
  type ChunkFrame,
  type CreditFrame,
  type CutFrame,
  type GatewayFrame,
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
import {
  compilePatterns,
  matches,
  mayStream,
  type Permissions,
  sendPatterns,
  streamPatterns,
} from '../session/permissions.js';
import type { Refusals } from '../session/refusals.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { SessionPlace } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';
import type { StreamEnvelope, StreamStep } from './envelope.js';
import { handleOf } from './envelope.js';
import { ReaderGroup } from './reader-group.js';
import type { Relay } from './relay.js';
import { refusalOf } from './authorize.js';
import type { RouteCache } from './route-cache.js';
import { type End, StreamEnds } from './stream-ends.js';
import type { Peer } from './stream-peer.js';

/**
 * A session that has just come back may not have said yet which streams it holds: so long after its welcome an unknown stream is
 * not taken for one that is over, ms. Whoever asks asks again.
 */
const SETTLING_MS = 5_000;

/** The store may still name the place that was left: it is not asked again at once, ms. */
const NUDGE_AFTER_MS = 100;

const SESSION_OVER = 'The session at the other end is over.';
/** Steps, but for chunks, that wait for one other end to be found. */
const STEPS_WAITING_LIMIT = 4;

export interface StreamsOptions {
  worker: WorkerId;
  registry: SessionRegistry;
  relay: Relay;
  routes: RouteCache;
  wheel: TimerWheel;
  refusals: Refusals;
  streamsPerSessionLimit: number;
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

  constructor(private readonly options: StreamsOptions) {}

  /** Ends that sessions of this worker hold. */
  get size(): number {
    return this.ends.size;
  }

  open(session: Session, frame: OpenStreamFrame): void {
    const { stream, to, room, drop } = frame;
    const known = this.ends.get(session, stream);
    if (known !== undefined && (!known.opened || (known.group === null) !== (to !== null))) {
      this.refuse(session, stream, 'bad_parameter', 'The stream is open already.');
      return;
    }
    const address = to === null ? null : parseAddress(to);
    if (address !== null && !mayStream(session.identity.permissions, address.client)) {
      if (known !== undefined) this.ends.remove(known);
      this.refuse(session, stream, 'not_found');
      return;
    }
    const end =
      known ??
      this.take(session, { stream, opened: true, room, peer: null, drop: to === null ? drop : null });
    if (end === null) return;
    const { permissions } = session.identity;
    const step: StreamStep = {
      kind: 'offer',
      room,
      name: frame.name,
      streams: streamPatterns(permissions),
      send: room === null ? sendPatterns(permissions) : ['*'],
      payload: frame.payload,
    };
    if (address === null) this.offerToAll(end, step);
    else this.offerTo(end, address, step);
  }

  attach(session: Session, frame: AttachStreamFrame): void {
    const { stream, to, room, opened, upTo, limit, drop } = frame;
    const address = to === null ? null : parseAddress(to);
    const peer =
      address === null || address.session === null ? null : newPeer(address.client, address.session, true);
    if (opened && peer !== null && !mayStream(session.identity.permissions, peer.client)) {
      this.refuse(session, stream, 'not_found');
      return;
    }
    const known = this.ends.get(session, stream);
    if (known !== undefined) {
      if (known.opened !== opened || known.peer?.session !== peer?.session) {
        this.refuse(session, stream, 'bad_parameter', 'The stream is open already.');
        return;
      }
    }
    const end =
      known ??
      this.take(session, { stream, opened, room, peer, drop: peer === null ? drop : null, gathers: true });
    if (end !== null) this.pass(end, { kind: 'attach', upTo, limit });
  }

  chunk(session: Session, { stream, offset, part, payload }: ChunkFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) {
      this.unknown(session, stream);
      return;
    }
    const after = offset + payload.data.length + STREAM_CHUNK_COST_BYTES;
    // The last chunk of a side needs no credit of its own: there is only one.
    if ((part === PARTS.data ? after : offset) > end.limit || !Number.isSafeInteger(after)) {
      this.cutBoth(end, 'credit_exceeded', CODES.credit_exceeded.text);
      return;
    }
    if (end.group === null && end.peer !== null)
      this.sendTo(end, end.peer, { kind: 'chunk', offset, part, payload });
    else if (end.group !== null) {
      end.group.passed(after);
      this.pass(end, { kind: 'chunk', offset, part, payload });
    }
  }

  credit(session: Session, { stream, upTo, limit, ask }: CreditFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) this.unknown(session, stream);
    // Readers of a stream to several write nothing that the opener could give credit for.
    else if (end.group === null || ask !== ASKS.nothing) this.pass(end, { kind: 'credit', upTo, limit, ask });
  }

  cut(session: Session, { stream, to, code, text }: CutFrame): void {
    const end = this.ends.get(session, stream);
    if (end === undefined) {
      const address = to === null ? null : parseAddress(to);
      if (address?.session !== undefined && address.session !== null)
        this.refuseOffer(session, stream, newPeer(address.client, address.session, true), {
          kind: 'cut',
          code,
          text,
        });
      return;
    }
    this.pass(end, { kind: 'cut', code, text });
    this.ends.remove(end);
    this.options.countCut(code);
  }

  /** The connection is gone: what the session held it says again, on whichever worker it comes back to, unless it said that it is over. */
  leave(session: Session): void {
    for (const end of [...this.ends.of(session)]) {
      if (session.ended) this.pass(end, { kind: 'cut', code: 'unknown_outcome', text: SESSION_OVER });
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
      this.receiveOffer(envelope, step);
      return;
    }
    if (to === null) {
      for (const end of [...this.ends.readersOf(envelope.sender, envelope.stream)])
        if (end.peer?.client === envelope.from) this.takeStep(end, end.peer, envelope);
      return;
    }
    const session = this.options.registry.get(to.session);
    if (session === undefined || session.ref.client !== to.client) {
      this.tellMissing(envelope);
      return;
    }
    const end = this.ends.get(session, envelope.stream);
    const peer = end === undefined ? null : this.peerOf(end, envelope);
    if (end === undefined || peer === null) this.answerUnknown(session, envelope);
    else this.takeStep(end, peer, envelope);
  }

  /** A step of this worker's session found nobody where its peer was. */
  missing(handle: string, client: ClientId): void {
    const [sender = '', stream = ''] = handle.slice(1).split(' ');
    const session = this.options.registry.get(sender as SessionId);
    const end = session === undefined ? undefined : this.ends.get(session, stream as StreamId);
    if (end === undefined) return;
    for (const peer of end.group === null ? [end.peer] : end.group.all())
      if (peer?.client === client) this.lookUp(end, peer);
  }

  // ── what a session says ─────────────────────────────────────────────────────────────────────────

  private take(
    session: Session,
    {
      stream,
      opened,
      room,
      peer,
      drop,
      gathers = false,
    }: Pick<End, 'stream' | 'opened' | 'room' | 'peer'> & { drop: boolean | null; gathers?: boolean },
  ): End | null {
    const { streamsPerSessionLimit: limit, wheel } = this.options;
    if (this.ends.countOf(session) >= limit) {
      const text = `A session may hold ${String(limit)} streams.`;
      if (opened) this.refuse(session, stream, 'limit', text);
      else {
        // Others opened them: they are told, and nothing is held against who accepts too many.
        session.send({ type: 'wasCut', stream, code: 'limit', text });
        if (peer !== null) this.refuseOffer(session, stream, peer, { kind: 'cut', code: 'limit', text });
      }
      return null;
    }
    const group =
      drop === null
        ? null
        : new ReaderGroup({
            drop,
            gathers,
            wheel,
            changed: () => {
              this.tellGroup(end, ASKS.nothing);
            },
            tooSlow: (reader) => {
              this.dropReader(end, reader, 'slow_reader', CODES.slow_reader.text);
            },
          });
    const end: End = { session, stream, opened, room, peer, group, limit: 0 };
    this.ends.add(end);
    return end;
  }

  private offerTo(
    end: End,
    address: { client: ClientId; session: SessionId | null },
    step: StreamStep,
  ): void {
    const { routes } = this.options;
    const offer = (places: readonly SessionPlace[]): void => {
      if (this.ends.get(end.session, end.stream) !== end) return;
      // Whoever accepted is asked again; nobody else.
      const { peer } = end;
      const named = places.filter(
        ({ session }) => session === (peer?.isHeard ? peer.session : (address.session ?? session)),
      );
      const place = named.find(({ connected }) => connected);
      if (place === undefined) {
        this.ends.remove(end);
        this.refuse(end.session, end.stream, named.length === 0 ? 'not_found' : 'unavailable');
        return;
      }
      if (peer?.session !== place.session) end.peer = newPeer(place.client, place.session, false);
      const chosen = end.peer;
      if (chosen === null) return;
      chosen.worker = place.worker;
      this.sendTo(end, chosen, step);
    };
    const places = routes.peek(address.client);
    if (places !== undefined) offer(places);
    else
      routes.load(address.client).then(offer, () => {
        this.ends.remove(end);
        this.refuse(end.session, end.stream, 'unavailable');
      });
  }

  /** Reaches only who has offered this stream to this session. */
  private refuseOffer(session: Session, stream: StreamId, peer: Peer, step: StreamStep): void {
    const end: End = { session, stream, opened: false, room: null, peer, group: null, limit: 0 };
    this.options.routes.load(peer.client).then(
      (places) => {
        const place = places.find(({ session: id, connected }) => id === peer.session && connected);
        if (place !== undefined) this.options.relay.send(place.worker, this.envelope(end, peer, step));
      },
      () => undefined,
    );
  }

  private offerToAll(end: End, step: StreamStep): void {
    const envelope = this.envelope(end, null, step);
    this.receive(envelope);
    this.options.relay.sendToAll(envelope);
  }

  /** To the other end, or to all of them. */
  private pass(end: End, step: StreamStep): void {
    if (end.peer !== null) this.sendTo(end, end.peer, step);
    if (end.group === null) return;
    const envelope = this.envelope(end, null, step);
    if (end.group.gathers) {
      // Nobody knows any more where they are: each worker asks those that it has.
      this.receive(envelope);
      this.options.relay.sendToAll(envelope);
      return;
    }
    const workers = new Set<WorkerId>();
    for (const reader of end.group.all()) {
      if (reader.worker === null) this.lookUp(end, reader);
      else workers.add(reader.worker);
    }
    for (const worker of workers) {
      if (this.options.relay.send(worker, envelope)) continue;
      this.options.countDropped('unreachable');
      for (const reader of end.group.all()) if (reader.worker === worker) this.lookUp(end, reader);
    }
  }

  private sendTo(end: End, peer: Peer, step: StreamStep): void {
    if (peer.worker === null) {
      if (step.kind !== 'chunk' && peer.waiting.length < STEPS_WAITING_LIMIT) peer.waiting.push(step);
      this.lookUp(end, peer);
      return;
    }
    if (this.options.relay.send(peer.worker, this.envelope(end, peer, step))) return;
    this.options.countDropped('unreachable');
    this.lookUp(end, peer);
  }

  /** Asks the store where the other end is; chunks that were for it meanwhile are sent again by who sent them. */
  private lookUp(end: End, peer: Peer): void {
    peer.worker = null;
    if (peer.isLookedUp) return;
    peer.isLookedUp = true;
    this.options.routes.forget(peer.client);
    this.options.routes.load(peer.client).then(
      (places) => {
        peer.isLookedUp = false;
        const steps = peer.waiting.splice(0);
        const isOver = this.ends.get(end.session, end.stream) !== end;
        const place = places.find(({ session }) => session === peer.session);
        if (place === undefined) {
          if (!isOver) this.gone(end, peer);
          return;
        }
        if (!place.connected) return;
        peer.worker ??= place.worker;
        // The last of a stream that is over is for the other end all the same.
        for (const step of steps) this.options.relay.send(peer.worker, this.envelope(end, peer, step));
        if (steps.length === 0 && !isOver) this.nudgeLater(end);
      },
      () => {
        peer.isLookedUp = false;
      },
    );
  }

  /** What was sent to where the other end was is lost: the session says again where it stands, or offers again. */
  private nudgeLater(end: End): void {
    this.options.wheel.in(NUDGE_AFTER_MS, () => {
      if (this.ends.get(end.session, end.stream) !== end) return;
      this.tell(end, { type: 'credited', stream: end.stream, upTo: 0, limit: 0, ask: ASKS.tell });
    });
  }

  private gone(end: End, peer: Peer): void {
    const code = peer.isHeard ? 'unknown_outcome' : 'not_found';
    if (end.group !== null) {
      this.dropReader(end, peer, code, 'The reader’s session is over.');
      return;
    }
    this.ends.remove(end);
    this.refuse(end.session, end.stream, code, peer.isHeard ? SESSION_OVER : undefined);
  }

  // ── what comes for a session ────────────────────────────────────────────────────────────────────

  private receiveOffer(envelope: StreamEnvelope, step: StreamStep & { kind: 'offer' }): void {
    const { to, from, sender, stream } = envelope;
    const { room, name, payload } = step;
    const frame: GatewayFrame = {
      type: 'offer',
      stream,
      from,
      session: sender,
      channel: room,
      name,
      payload,
    };
    const { registry } = this.options;
    if (to !== null) {
      const session = registry.get(to.session);
      if (session === undefined || session.ref.client !== to.client) this.tellMissing(envelope);
      else this.give(session, frame);
      return;
    }
    const [streams, send] = [compilePatterns(step.streams), compilePatterns(step.send)];
    for (const session of room === null ? registry.all() : registry.inRoom(room)) {
      const { client, session: id } = session.ref;
      if (id !== sender && matches(streams, client) && matches(send, client)) this.give(session, frame);
    }
  }

  /** Who sends this, as the end knows it; null where it has no business with this end. */
  private peerOf(end: End, { from, sender, opened, origin, step }: StreamEnvelope): Peer | null {
    if (end.opened === opened) return null;
    const { group, peer } = end;
    if (group === null) return peer?.session === sender && peer.client === from ? peer : null;
    const reader = group.get(sender);
    if (reader !== undefined) return reader.client === from ? reader : null;
    const states = step.kind === 'attach' || (step.kind === 'credit' && group.gathers) ? step : null;
    if (states === null || !group.takesReaders || !this.mayHear(end, from)) return null;
    const added = { ...newPeer(from, sender, true), worker: origin, upTo: states.upTo, limit: states.limit };
    group.add(added);
    // It was there before: the opener counts it again.
    if (step.kind === 'credit')
      this.tell(end, {
        type: 'attached',
        stream: end.stream,
        from,
        session: sender,
        upTo: step.upTo,
        limit: 0,
      });
    return added;
  }

  private takeStep(end: End, peer: Peer, { origin, step }: StreamEnvelope): void {
    const { stream } = end;
    peer.worker = origin;
    peer.isHeard = true;
    switch (step.kind) {
      case 'attach': {
        const { upTo, limit } = step;
        this.hear(end, peer, upTo, limit);
        this.tell(end, { type: 'attached', stream, from: peer.client, session: peer.session, upTo, limit });
        return;
      }
      case 'chunk':
        if (end.group === null)
          this.tell(end, {
            type: 'piece',
            stream,
            offset: step.offset,
            part: step.part,
            payload: step.payload,
          });
        else if (step.part === PARTS.answer) this.answered(end, peer, step.offset, step.payload);
        else if (step.part === PARTS.data)
          this.dropReader(end, peer, 'bad_parameter', 'Readers of a stream to several write nothing.');
        return;
      case 'credit':
        this.hear(end, peer, step.upTo, step.limit);
        if (end.group === null)
          this.tell(end, { type: 'credited', stream, upTo: step.upTo, limit: end.limit, ask: step.ask });
        else if (step.ask !== ASKS.nothing) {
          this.sendTo(end, peer, { kind: 'credit', upTo: 0, limit: 0, ask: ASKS.nothing });
          if (step.ask === ASKS.again) this.tellGroup(end, ASKS.again, step.upTo);
        }
        return;
      case 'cut':
        if (end.group === null) {
          this.ends.remove(end);
          this.tell(end, { type: 'wasCut', stream, code: step.code, text: step.text });
        } else this.readerGone(end, peer, step.code, step.text, NO_PAYLOAD);
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

  private answered(end: End, peer: Peer, offset: number, payload: Payload): void {
    this.sendTo(end, peer, {
      kind: 'credit',
      upTo: offset + payload.data.length + STREAM_CHUNK_COST_BYTES,
      limit: 0,
      ask: ASKS.nothing,
    });
    this.sendTo(end, peer, { kind: 'cut', code: 'normal', text: '' });
    this.readerGone(end, peer, 'normal', '', payload);
  }

  private dropReader(end: End, peer: Peer, code: Code, text: string): void {
    this.sendTo(end, peer, { kind: 'cut', code, text });
    this.options.countCut(code);
    this.readerGone(end, peer, code, text, NO_PAYLOAD);
  }

  private readerGone(
    end: End,
    { client: from, session }: Peer,
    code: Code,
    text: string,
    payload: Payload,
  ): void {
    end.group?.remove(session);
    this.tell(end, { type: 'readerGone', stream: end.stream, from, session, code, text, payload });
  }

  /** What all readers have, and allow. */
  private tellGroup(end: End, ask: 0 | 1 | 2, upTo = end.group?.upTo ?? 0): void {
    if (end.group === null) return;
    end.limit = Math.max(end.limit, end.group.limit);
    this.tell(end, { type: 'credited', stream: end.stream, upTo, limit: end.limit, ask });
  }

  private mayHear(end: End, client: ClientId): boolean {
    const { permissions } = end.session.identity;
    return end.room === null ? mayStream(permissions, client) : matches(permissions.streams, client);
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

  private answerUnknown(
    session: Session,
    { origin, from, sender, stream, opened, step }: StreamEnvelope,
  ): void {
    if (step.kind === 'cut' || performance.now() - session.welcomedAt < SETTLING_MS) return;
    const { client, session: id } = session.ref;
    this.options.relay.send(origin, {
      kind: 'stream',
      origin: this.options.worker,
      to: { client: from, session: sender },
      from: client,
      sender: id,
      stream,
      opened: !opened,
      step: { kind: 'cut', code: 'not_found', text: 'The other side has no such stream.' },
    });
  }

  private tellMissing(envelope: StreamEnvelope): void {
    const { to, origin, step } = envelope;
    if (to !== null && step.kind !== 'cut')
      this.options.relay.send(origin, { kind: 'missing', client: to.client, handle: handleOf(envelope) });
  }

  private cutBoth(end: End, code: Code, text: string): void {
    this.pass(end, { kind: 'cut', code, text });
    this.ends.remove(end);
    this.refuse(end.session, end.stream, code, text);
  }

  /** A session acts on a stream that it does not hold: it is over, or was never there. */
  private unknown(session: Session, stream: StreamId): void {
    session.send({ type: 'wasCut', stream, code: 'not_found', text: 'There is no such stream.' });
  }

  /** Tells that there is, or will be, no such stream; counts as a refused call does. */
  refuse(session: Session, stream: StreamId, code: Code, text: string = CODES[code].text): void {
    this.options.countCut(code);
    if (this.options.refusals.charge(session, code)) session.send({ type: 'wasCut', stream, code, text });
  }

  private tell(end: End, frame: GatewayFrame): void {
    this.give(end.session, frame);
  }

  /** What a slow connection has no room for is dropped, and sent again by its sender. */
  private give(session: Session, frame: GatewayFrame): void {
    if (session.hasRoom || frame.type === 'wasCut') session.send(frame);
    else this.options.countDropped('away');
  }

  private envelope(end: End, peer: Peer | null, step: StreamStep): StreamEnvelope {
    const { client: from, session: sender } = end.session.ref;
    const { stream, opened } = end;
    const to = peer === null ? null : { client: peer.client, session: peer.session };
    return { kind: 'stream', origin: this.options.worker, to, from, sender, stream, opened, step };
  }
}

const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array(0) };

function newPeer(client: ClientId, session: SessionId, isHeard: boolean): Peer {
  return { client, session, worker: null, isHeard, isLookedUp: false, waiting: [] };
}
