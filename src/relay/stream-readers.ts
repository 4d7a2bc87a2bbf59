// Readers of a stream to several, as its opener hears of them: who reads, what all have, and how each of them ended.
import type { Code } from '../protocol/codes.js';
import { type Ask, ASKS, type Payload } from '../protocol/frame.js';
import type { ClientId } from '../protocol/ids.js';
import { STREAM_CHUNK_COST_BYTES } from '../protocol/limits.js';
import { matches, mayStream } from '../session/permissions.js';
import type { ReaderGroup } from './reader-group.js';
import type { End } from './stream-ends.js';
import type { StreamEnvelope } from './stream-envelope.js';
import type { StreamNotices } from './stream-notices.js';
import { newPeer, type Peer } from './stream-peer.js';
import type { StreamWays } from './stream-ways.js';

export interface StreamReadersOptions {
  ways: StreamWays;
  notices: StreamNotices;
  countCut: (code: Code) => void;
}

const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array(0) };

export class StreamReaders {
  constructor(private readonly options: StreamReadersOptions) {}

  /** Who sends this step to the opener: one that reads, or comes in with it; null where it may not. */
  find(end: End, group: ReaderGroup, { from, sender, origin, step }: StreamEnvelope): Peer | null {
    const reader = group.get(sender);
    if (reader !== undefined) return reader.client === from ? reader : null;
    const states = step.kind === 'attach' || (step.kind === 'credit' && group.gathers) ? step : null;
    if (states === null || !group.takesReaders || !mayHear(end, from)) return null;
    const added = { ...newPeer(from, sender, true), worker: origin, upTo: states.upTo, limit: states.limit };
    group.add(added);
    // It was there before: the opener counts it again.
    if (step.kind === 'credit')
      this.options.notices.give(end.session, {
        type: 'attached',
        stream: end.stream,
        from,
        session: sender,
        upTo: step.upTo,
        limit: 0,
      });
    return added;
  }

  /**
   * What all readers have, and allow. Also where one of them asks for what it has lost: the opener keeps nothing of what it is told
   * that they have, and another one may have less.
   */
  tell(end: End, ask: Ask): void {
    if (end.group === null) return;
    end.limit = Math.max(end.limit, end.group.limit);
    this.options.notices.credited(end, { upTo: end.group.upTo, limit: end.limit, ask });
  }

  /** It has read to the end. */
  answered(end: End, peer: Peer, offset: number, payload: Payload): void {
    const upTo = offset + payload.data.length + STREAM_CHUNK_COST_BYTES;
    this.options.ways.sendTo(end, peer, { kind: 'credit', upTo, limit: 0, ask: ASKS.nothing });
    this.options.ways.sendTo(end, peer, { kind: 'cut', code: 'normal', text: '' });
    this.gone(end, peer, { code: 'normal', text: '' }, payload);
  }

  /** The stream goes on without it. */
  drop(end: End, peer: Peer, code: Code, text: string): void {
    this.options.ways.sendTo(end, peer, { kind: 'cut', code, text });
    this.options.countCut(code);
    this.gone(end, peer, { code, text });
  }

  gone(
    end: End,
    { client: from, session }: Peer,
    { code, text }: { code: Code; text: string },
    payload = NO_PAYLOAD,
  ): void {
    const { stream } = end;
    end.group?.remove(session);
    this.options.notices.give(end.session, {
      type: 'readerGone',
      stream,
      from,
      session,
      code,
      text,
      payload,
    });
  }
}

function mayHear({ session, room }: End, client: ClientId): boolean {
  const { permissions } = session.identity;
  return room === null ? mayStream(permissions, client) : matches(permissions.streams, client);
}
