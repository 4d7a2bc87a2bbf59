// Writes log lines to a file descriptor without ever waiting for it: bounded, and gone on when nobody reads or the disk is full.
import { write, writeSync } from 'node:fs';

/** What may wait for a slow reader, bytes; further lines are dropped and counted. */
const QUEUE_LIMIT_BYTES = 1024 * 1024;
/** POSIX's PIPE_BUF on Linux: the processes of a node share a pipe, and writes up to here do not mix there, bytes. */
const WRITE_LIMIT_BYTES = 4096;
/** A pipe that is full is tried again after this long, ms. */
const RETRY_MS = 20;
/** A write that takes longer has no reader: the exit does not wait for it, ms. */
const STUCK_AFTER_MS = 500;

/** What pino takes as its destination. */
export class LogWriter {
  private readonly queue: Buffer[] = [];
  private queuedBytes = 0;
  private dropped = 0;
  /** Monotonic ms since when a write is under way; null while there is none. */
  private writingSince: number | null = null;
  private readerIsGone = false;

  /**
   * @param tellDropped called when lines can be written again, after some were dropped
   * @param countDropped called at once
   */
  constructor(
    private readonly fd: number,
    private readonly tellDropped: (lines: number) => void,
    private readonly countDropped: (lines: number) => void = () => undefined,
  ) {}

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.readerIsGone || this.queuedBytes + bytes.length > QUEUE_LIMIT_BYTES) {
      this.drop(1);
      return;
    }
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
    if (this.writingSince === null) this.writeNext();
  }

  /** For the end of a process: writes what is left, unless that would have to wait for a reader. */
  flushSync(): void {
    if (this.writingSince !== null && performance.now() - this.writingSince > STUCK_AFTER_MS) return;
    const rest = Buffer.concat(this.queue);
    this.queue.length = 0;
    this.queuedBytes = 0;
    try {
      for (let at = 0; at < rest.length;) at += writeSync(this.fd, rest, at);
    } catch {
      // Nobody is left who could be told.
    }
  }

  private writeNext(): void {
    const lines = this.takeLines();
    if (lines.length === 0) {
      this.writingSince = null;
      return;
    }
    this.writingSince = performance.now();
    this.writeAll(Buffer.concat(lines), lines.length);
  }

  private takeLines(): Buffer[] {
    const lines: Buffer[] = [];
    let size = 0;
    for (const bytes of this.queue) {
      size += bytes.length;
      if (lines.length > 0 && size > WRITE_LIMIT_BYTES) break;
      lines.push(bytes);
    }
    this.queue.splice(0, lines.length);
    return lines;
  }

  private writeAll(bytes: Buffer, lines: number): void {
    write(this.fd, bytes, (error, written) => {
      if (error === null && written < bytes.length) {
        this.queuedBytes -= written;
        this.writeAll(bytes.subarray(written), lines);
      } else if (error?.code === 'EAGAIN') {
        setTimeout(() => {
          this.writeAll(bytes, lines);
        }, RETRY_MS);
      } else {
        this.queuedBytes -= bytes.length;
        if (error === null) this.tellIfDropped();
        else this.lose(lines, error.code);
        this.writeNext();
      }
    });
  }

  private lose(lines: number, code: string | undefined): void {
    this.drop(lines);
    // A full disk may have room again; a closed pipe stays closed.
    this.readerIsGone = code === 'EPIPE';
  }

  private drop(lines: number): void {
    this.dropped += lines;
    this.countDropped(lines);
  }

  private tellIfDropped(): void {
    const { dropped } = this;
    if (dropped === 0 || this.queue.length > 0) return;
    this.dropped = 0;
    this.tellDropped(dropped);
  }
}
