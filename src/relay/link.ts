// A link: one Unix socket between two processes of a node, carrying length-prefixed messages, one write per tick.
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Bytes that may wait for a process that does not read; past it messages are refused (a stopped worker must not fill us). */
export const LINK_QUEUE_LIMIT_BYTES = 64 * 1024 * 1024;
/** Largest message on a link: twice the largest frame that can be configured, for targets and what serialising adds. */
export const LINK_MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024;
const HEADER_BYTES = 4;
/** Up to this size messages of a tick are copied together: one write of 64 KiB beats many small ones. */
const BATCH_BYTES = 64 * 1024;
/** From this size on a message is not copied at all: it is written as it is, in the same system call as the batch. */
const WHOLE_FROM_BYTES = 16 * 1024;

export interface LinkHandlers {
  message(bytes: Buffer): void;
  /** The link is gone; so many messages that it had taken never reached the kernel. */
  close(lost: number): void;
}

export class Link {
  private batch: Buffer = Buffer.allocUnsafe(BATCH_BYTES);
  /** End of what stands in the batch, and of what of it was written. */
  private batched = 0;
  private written = 0;
  /** Messages in the batch. */
  private batchedMessages = 0;
  /** Messages that the kernel has not taken yet. */
  private unsent = 0;
  private scheduled = false;
  private corked = false;
  /** What came of a header, at most three bytes. */
  private partial: Buffer | null = null;
  /** A message of which not all has come: in a buffer of its size, or each piece of a large one would be copied with all before it. */
  private body: Buffer | null = null;
  private filled = 0;
  private closed = false;

  constructor(
    private readonly socket: Socket,
    private readonly handlers: LinkHandlers,
  ) {
    socket.on('data', (chunk: Buffer) => {
      this.receive(chunk);
    });
    socket.on('error', () => {
      socket.destroy();
    });
    socket.on('close', () => {
      this.closed = true;
      handlers.close(this.unsent);
    });
  }

  /**
   * Queues a message; false when it is too large, the link is closed or its queue is full. A last part from 16 KiB on is kept as it is
   * until the kernel has it, and its caller does not change it; all else is copied.
   */
  send(...parts: Uint8Array[]): boolean {
    const waiting = this.socket.writableLength + this.batched - this.written;
    if (this.closed || waiting > LINK_QUEUE_LIMIT_BYTES) return false;
    let length = 0;
    for (const part of parts) length += part.length;
    if (length > LINK_MESSAGE_LIMIT_BYTES) return false;
    this.unsent++;
    const body = parts.at(-1);
    const isWhole = body !== undefined && body.length >= WHOLE_FROM_BYTES;
    const copied = HEADER_BYTES + (isWhole ? length - body.length : length);
    if (this.batched + copied > BATCH_BYTES) {
      this.flush();
      this.renew();
    }
    if (copied > BATCH_BYTES) {
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      header.writeUInt32LE(length);
      this.write(Buffer.concat([header, ...parts]), 1);
      return true;
    }
    this.batched = this.batch.writeUInt32LE(length, this.batched);
    for (const part of parts) {
      if (isWhole && part === body) break;
      this.batch.set(part, this.batched);
      this.batched += part.length;
    }
    this.schedule();
    if (isWhole) {
      this.cork();
      this.flush();
      this.write(body, 1);
    } else this.batchedMessages++;
    return true;
  }

  close(): void {
    this.flush();
    this.socket.end();
  }

  /** What is batched leaves at the end of the tick. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
      if (this.corked) this.socket.uncork();
      this.corked = false;
    });
  }

  private cork(): void {
    if (this.corked) return;
    this.corked = true;
    this.socket.cork();
  }

  private flush(): void {
    if (this.batched === this.written || this.closed) return;
    this.write(this.batch.subarray(this.written, this.batched), this.batchedMessages);
    this.batchedMessages = 0;
    this.written = this.batched;
    // What the kernel took at once nobody needs any more: a batch of its own for each tick is mostly work for the garbage collector.
    if (this.socket.writableLength === 0) this.batched = this.written = 0;
  }

  /** The socket keeps a reference until the kernel took the bytes: what follows needs memory of its own. */
  private renew(): void {
    if (this.batched === 0) return;
    this.batch = Buffer.allocUnsafe(BATCH_BYTES);
    this.batched = this.written = 0;
  }

  private write(bytes: Uint8Array, messages: number): void {
    this.socket.write(bytes, (error) => {
      if (error === null || error === undefined) this.unsent -= messages;
    });
  }

  private receive(chunk: Buffer): void {
    let at = this.body === null ? 0 : this.fill(this.body, chunk, 0);
    if (this.body !== null) return;
    const bytes = this.partial === null ? chunk : Buffer.concat([this.partial, chunk]);
    this.partial = null;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUInt32LE(at);
      if (length > LINK_MESSAGE_LIMIT_BYTES) {
        this.socket.destroy();
        return;
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) {
        this.body = Buffer.allocUnsafe(length);
        this.filled = 0;
        this.fill(this.body, bytes, at + HEADER_BYTES);
        return;
      }
      this.handlers.message(bytes.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    if (at < bytes.length) this.partial = bytes.subarray(at);
  }

  /** @returns where the next message begins in the chunk */
  private fill(body: Buffer, chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + body.length - this.filled);
    this.filled += chunk.copy(body, this.filled, at, end);
    if (this.filled === body.length) {
      this.body = null;
      this.handlers.message(body);
    }
    return end;
  }
}

/** Connects to a listening process of the node. Messages sent before the connection stands wait in the link. */
export function connectLink(path: string, handlers: LinkHandlers): Link {
  return new Link(createConnection(path), handlers);
}

/** Listens on a Unix socket; `accept` gets each link and returns its handlers. */
export function listenLinks(path: string, accept: (link: () => Link) => LinkHandlers): Promise<Server> {
  const server = createServer((socket) => {
    const handlers = accept(() => link);
    const link = new Link(socket, handlers);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
