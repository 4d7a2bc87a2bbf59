// The bridge between nodes: volatile envelopes by Redis pub/sub, one publish per tick and destination.
import type { WorkerId } from '../protocol/ids.js';
import { decodeEnvelope, type Envelope } from './envelope.js';
import type { NodeBridge } from './relay.js';

/** What the bridge needs of Redis; the store's connections offer it, so that a worker opens no further ones. */
export interface PubSub {
  /** Whether a channel can be published to now. */
  reaches(channel: string): boolean;
  /** Resolves with the number of subscribers that Redis passed it to. */
  publish(channel: string, bytes: Buffer): Promise<unknown>;
  subscribe(channels: string[], listener: (channel: string, bytes: Buffer) => void): Promise<void>;
}

export interface RedisBridgeOptions {
  pubSub: PubSub;
  prefix: string;
  worker: WorkerId;
  node: string;
  receive(bytes: Buffer): void;
  /** Counts envelopes that were lost after `send` had said yes: their publish failed, or nobody listened. */
  countLost(envelopes: number): void;
  /** Hears each envelope that nobody listened to: it was surely not executed, unlike one whose publish failed. */
  unreachable(envelope: Envelope): void;
}

/** Bytes that may wait for Redis in one worker; volatile traffic is refused past it. */
const BRIDGE_QUEUE_LIMIT_BYTES = 16 * 1024 * 1024;

export class RedisBridge implements NodeBridge {
  private readonly batches = new Map<string, Buffer[]>();
  private queuedBytes = 0;
  private scheduled = false;
  private readonly toAll: string;

  constructor(private readonly options: RedisBridgeOptions) {
    this.toAll = `${options.prefix}:{all}:relay`;
  }

  async open(): Promise<void> {
    await this.options.pubSub.subscribe(
      [this.channelOf(this.options.worker), this.toAll],
      (channel, bytes) => {
        this.receive(channel, bytes);
      },
    );
  }

  send(to: WorkerId, bytes: Buffer): boolean {
    return this.queue(this.channelOf(to), bytes);
  }

  sendToOtherNodes(bytes: Buffer): boolean {
    return this.queue(this.toAll, bytes);
  }

  async close(): Promise<void> {
    await this.flush();
  }

  private channelOf(worker: WorkerId): string {
    return `${this.options.prefix}:{${worker}}:relay`;
  }

  private queue(channel: string, bytes: Buffer): boolean {
    if (!this.options.pubSub.reaches(channel) || this.queuedBytes + bytes.length > BRIDGE_QUEUE_LIMIT_BYTES)
      return false;
    const batch = this.batches.get(channel);
    if (batch === undefined) this.batches.set(channel, [bytes]);
    else batch.push(bytes);
    this.queuedBytes += bytes.length;
    if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(() => {
        this.scheduled = false;
        void this.flush();
      });
    }
    return true;
  }

  private async flush(): Promise<void> {
    const batches = [...this.batches];
    this.batches.clear();
    await Promise.all(
      batches.map(async ([channel, envelopes]) => {
        const bytes = joinBatch(this.options.node, envelopes);
        let lost: readonly Buffer[] = [];
        try {
          const receivers = await this.options.pubSub.publish(channel, bytes);
          if (receivers === 0) lost = envelopes;
        } catch {
          this.options.countLost(envelopes.length);
        } finally {
          for (const envelope of envelopes) this.queuedBytes -= envelope.length;
        }
        if (lost.length > 0) this.giveBack(lost);
      }),
    );
  }

  /** The destination is gone, or its subscription is. */
  private giveBack(lost: readonly Buffer[]): void {
    this.options.countLost(lost.length);
    for (const bytes of lost) {
      const envelope = decodeEnvelope(bytes);
      if (envelope !== null) this.options.unreachable(envelope);
    }
  }

  private receive(channel: string, bytes: Buffer): void {
    const batch = splitBatch(bytes);
    // A node's workers hear each other's broadcasts over their Unix sockets: the copy from Redis would be a second one.
    if (batch === null || (channel === this.toAll && batch.node === this.options.node)) return;
    for (const envelope of batch.envelopes) this.options.receive(envelope);
  }
}

/** One publish: the origin node's name with its length, then envelopes with theirs. */
export function joinBatch(node: string, envelopes: readonly Buffer[]): Buffer {
  const name = Buffer.from(node);
  let size = 1 + name.length;
  for (const envelope of envelopes) size += 4 + envelope.length;
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = name.length;
  name.copy(bytes, 1);
  let at = 1 + name.length;
  for (const envelope of envelopes) {
    at = bytes.writeUInt32LE(envelope.length, at);
    at += envelope.copy(bytes, at);
  }
  return bytes;
}

/** Null for bytes that are no batch: anybody with access to the Redis can publish anything. */
export function splitBatch(bytes: Buffer): { node: string; envelopes: Buffer[] } | null {
  const nameLength = bytes[0];
  if (nameLength === undefined || bytes.length < 1 + nameLength) return null;
  const envelopes: Buffer[] = [];
  let at = 1 + nameLength;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null;
    const length = bytes.readUInt32LE(at);
    at += 4;
    if (at + length > bytes.length) return null;
    envelopes.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { node: bytes.toString('utf8', 1, 1 + nameLength), envelopes };
}
