// Which way the frames of one stream go: through the gateway, which is always there, or over a path of its own beside it.

/** The request by which the opener of a stream asks whether the other end can and may leave the gateway. */
export const PATH_EVENT = '~path';

/** Through the gateway; from browser to browser; or from browser to browser through a TURN server. */
export type PathKind = 'gateway' | 'direct' | 'relay';

/** A way beside the gateway for the frames of one stream, in order and each once while it is open. */
export interface StreamPath {
  readonly kind: Exclude<PathKind, 'gateway'>;
  readonly isOpen: boolean;
  /** Says so by `StreamEnd.pump` when it is not any more. */
  readonly isCongested: boolean;
  put(bytes: Uint8Array<ArrayBuffer>): void;
  /** It is of no use any more: `StreamEnd.left` is called. */
  close(): void;
}

/** Bytes of payload that one side put on a way (again, where they had to be sent again), and that came by it first. */
export interface Carried {
  sentBytes: number;
  receivedBytes: number;
}

export class Paths {
  /** What this side sends goes by it; null: by the gateway. */
  sending: StreamPath | null = null;
  /** The other side was heard by it last, and is told there what it may send. */
  heard: StreamPath | null = null;
  readonly carried: Record<PathKind, Carried> = { gateway: none(), direct: none(), relay: none() };

  sent(bytes: number): void {
    this.carried[this.sending?.kind ?? 'gateway'].sentBytes += bytes;
  }

  received(over: StreamPath | null, bytes: number): void {
    this.carried[over?.kind ?? 'gateway'].receivedBytes += bytes;
  }
}

function none(): Carried {
  return { sentBytes: 0, receivedBytes: 0 };
}
