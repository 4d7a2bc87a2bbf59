// What all feeds of a worker share, and how much they read at once.
import type { FrameCodec, GapReason } from '../protocol/frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Outcome } from '../session/session.js';
import type { ReadResult, Store, StoreEvent } from '../session/store/store.js';

/** Entries of one read. */
export const PAGE_ENTRIES = 64;
/** From the oldest entry that is still there. */
export const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
export type Found = Extract<ReadResult, { status: 'entries' }>;
export type LiveEntry = Extract<StoreEvent, { type: 'entry' }>['entry'];

export interface FeedHost {
  readonly store: Pick<Store, 'read'>;
  readonly registry: SessionRegistry;
  readonly msgpack: FrameCodec;
  count(outcome: Outcome, receivers: number): void;
  /** Counts reads of logs by their reason. */
  countRead(reason: 'hole' | 'replay'): void;
  countGap(reason: GapReason): void;
}
