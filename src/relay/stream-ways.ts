// How the steps of streams come to the other end: where it was heard last, and looked up where that is not known.
import { ASKS } from '../protocol/frame.js';
import type { ClientId, StreamId, WorkerId } from '../protocol/ids.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import { handleOf, type StreamEnvelope, type StreamStep } from './stream-envelope.js';
import type { Relay } from './relay.js';
import type { RouteCache } from './route-cache.js';
import { type End, newEnd, type StreamEnds } from './stream-ends.js';
import type { StreamNotices } from './stream-notices.js';
import type { Peer } from './stream-peer.js';

/** The store may still name the place that was left: it is not asked again at once, ms. */
const NUDGE_AFTER_MS = 100;
/** After a chunk was dropped, until its sender is told; the reader may show the gap itself, where more came. ms */
const LOST_AFTER_MS = 100;
/** Steps, but for chunks, that wait for one other end to be found. */
const STEPS_WAITING_LIMIT = 4;

export interface StreamWaysOptions {
  worker: WorkerId;
  relay: Relay;
  routes: RouteCache;
  wheel: TimerWheel;
  ends: StreamEnds;
  notices: StreamNotices;
  countDropped: (reason: 'unreachable') => void;
  /** For those of this worker. */
  receive: (envelope: StreamEnvelope) => void;
  /** The session at the other end is over. */
  gone: (end: End, peer: Peer) => void;
}

export class StreamWays {
  constructor(private readonly options: StreamWaysOptions) {}

  /** A chunk for the session was dropped: as soon as it reads again the sender goes back to what the session has. */
  lost(end: End): void {
    if (end.hasLost) return;
    end.hasLost = true;
    this.options.wheel.in(LOST_AFTER_MS, () => {
      end.hasLost = false;
      if (!this.isHeld(end) || end.peer === null) return;
      const step = { kind: 'credit', upTo: end.upTo, limit: 0, ask: ASKS.again } as const;
      if (end.session.hasRoom) this.sendTo(end, end.peer, step);
      else this.lost(end);
    });
  }

  /** To the other end, or to all of them. */
  pass(end: End, step: StreamStep): void {
    if (end.peer !== null) this.sendTo(end, end.peer, step);
    if (end.group === null) return;
    // After its opener came back nobody knows where the readers are: each worker asks those that it has.
    if (end.group.gathers) {
      this.everywhere(end, step);
      return;
    }
    const envelope = this.envelope(end, null, step);
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

  everywhere(end: End, step: StreamStep): void {
    const envelope = this.envelope(end, null, step);
    this.options.receive(envelope);
    this.options.relay.sendToAll(envelope);
  }

  sendTo(end: End, peer: Peer, step: StreamStep): void {
    if (peer.worker === null) {
      if (step.kind !== 'chunk' && peer.waiting.length < STEPS_WAITING_LIMIT) peer.waiting.push(step);
      this.lookUp(end, peer);
      return;
    }
    if (this.options.relay.send(peer.worker, this.envelope(end, peer, step))) return;
    this.options.countDropped('unreachable');
    this.lookUp(end, peer);
  }

  /** Reaches only who has offered this stream to this session. */
  refuseOffer(session: Session, stream: StreamId, peer: Peer, step: StreamStep): void {
    const end = newEnd({ session, stream, opened: false, room: null, peer, group: null });
    this.options.routes.load(peer.client).then(
      (places) => {
        const place = places.find(({ session: id, connected }) => id === peer.session && connected);
        if (place !== undefined) this.options.relay.send(place.worker, this.envelope(end, peer, step));
      },
      () => undefined,
    );
  }

  /** A step for these found nobody where they were. */
  missing(end: End, client: ClientId): void {
    for (const peer of end.group === null ? [end.peer] : end.group.all())
      if (peer?.client === client) this.lookUp(end, peer);
  }

  /** Whom a step was for is not here: whoever sent it looks elsewhere. */
  tellMissing(envelope: StreamEnvelope): void {
    const { to, origin, step } = envelope;
    if (to !== null && step.kind !== 'cut')
      this.options.relay.send(origin, { kind: 'missing', client: to.client, handle: handleOf(envelope) });
  }

  /** The session that a step is for holds no such stream. */
  answerUnknown(session: Session, { origin, from, sender, stream, opened }: StreamEnvelope): void {
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
        const place = places.find(({ session }) => session === peer.session);
        if (place === undefined) {
          if (this.isHeld(end)) this.options.gone(end, peer);
          return;
        }
        if (!place.connected) return;
        peer.worker ??= place.worker;
        // The last of a stream that is over is for the other end all the same.
        for (const step of steps) this.options.relay.send(peer.worker, this.envelope(end, peer, step));
        if (steps.length === 0) this.nudgeLater(end);
      },
      () => {
        peer.isLookedUp = false;
      },
    );
  }

  /** What was sent to where the other end was is lost: the session says again where it stands, or offers again. */
  private nudgeLater(end: End): void {
    this.options.wheel.in(NUDGE_AFTER_MS, () => {
      if (!this.isHeld(end)) return;
      const { session, stream } = end;
      this.options.notices.give(session, {
        type: 'credited',
        stream,
        upTo: 0,
        limit: 0,
        ask: ASKS.tell,
      });
    });
  }

  private isHeld(end: End): boolean {
    return this.options.ends.get(end.session, end.stream) === end;
  }

  private envelope(end: End, peer: Peer | null, step: StreamStep): StreamEnvelope {
    const { client: from, session: sender } = end.session.ref;
    const { stream, opened } = end;
    const to = peer === null ? null : { client: peer.client, session: peer.session };
    return { kind: 'stream', origin: this.options.worker, to, from, sender, stream, opened, step };
  }
}
