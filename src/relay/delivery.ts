// The last step of a message: into the connections of this worker, one encoding per codec.
import type { FrameCodec } from '../protocol/frame.js';
import { type ClientId, isClientId, type SessionId } from '../protocol/ids.js';
import { compilePatterns, matches, type Patterns } from '../session/permissions.js';
import { PreparedFrame } from '../session/prepared-frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Outcome, Session } from '../session/session.js';
import { kindOf } from './handles.js';
import type { BroadcastEnvelope, RequestEnvelope } from './envelope.js';

export class Delivery {
  constructor(
    private readonly registry: SessionRegistry,
    private readonly msgpack: FrameCodec,
    private readonly count: (outcome: Outcome, receivers: number) => void,
  ) {}

  /** A volatile message to sessions of a client; false when one of them is not here. */
  toSessions(client: ClientId, ids: readonly SessionId[], body: Uint8Array): boolean {
    const frame = PreparedFrame.of('message', null, body, this.msgpack);
    let all = true;
    for (const id of ids) {
      const session = this.registry.get(id);
      if (session === undefined || session.ref.client !== client) all = false;
      else this.count(session.deliver(frame, true), 1);
    }
    return all;
  }

  /** @returns to how many sessions */
  toMatching({ patterns, except, skip, body }: Omit<BroadcastEnvelope, 'kind' | 'origin'>): number {
    const skipped = new Set(skip);
    const frame = PreparedFrame.of('message', null, body, this.msgpack);
    let receivers = 0;
    for (const session of this.matching(compilePatterns(patterns))) {
      if (session.ref.session === except || skipped.has(session.ref.client)) continue;
      this.count(session.deliver(frame, true), 1);
      receivers++;
    }
    return receivers;
  }

  /** False when the session is not here. */
  requestTo({ client, session: id, handle, body }: RequestEnvelope): boolean {
    const session = this.registry.get(id);
    if (session === undefined || session.ref.client !== client) return false;
    this.count(
      session.deliver(
        PreparedFrame.of(kindOf(handle) === 'pair' ? 'pairing' : 'requested', handle, body, this.msgpack),
        false,
      ),
      1,
    );
    return true;
  }

  private *matching(patterns: Patterns): Iterable<Session> {
    const { all, exact, prefixes } = patterns;
    if (all || prefixes.length > 0) {
      for (const session of this.registry.all()) if (matches(patterns, session.ref.client)) yield session;
      return;
    }
    // Names alone need no look at everybody who is here.
    for (const name of exact) if (isClientId(name)) yield* this.registry.ofClient(name);
  }
}
