// The calls that wait to be written, in order, within a limit of calls and of bytes.
import type { PendingCall } from './call.js';

/** What a call without a payload weighs, and what a payload weighs beside its bytes. */
const OVERHEAD_BYTES = 64;

export class Outbox {
  // A Set keeps the order and lets a call leave from the middle at once.
  #calls = new Set<PendingCall>();
  #bytes = 0;

  constructor(
    private readonly limitCalls: number,
    private readonly limitBytes: number,
  ) {}

  get empty(): boolean {
    return this.#calls.size === 0;
  }

  get first(): PendingCall | undefined {
    for (const call of this.#calls) return call;
    return undefined;
  }

  fits(bytes: number): boolean {
    return this.#calls.size < this.limitCalls && this.#bytes + bytes + OVERHEAD_BYTES <= this.limitBytes;
  }

  add(call: PendingCall): void {
    this.#calls.add(call);
    this.#bytes += call.bytes + OVERHEAD_BYTES;
  }

  delete(call: PendingCall): void {
    if (this.#calls.delete(call)) this.#bytes -= call.bytes + OVERHEAD_BYTES;
  }

  /** Ahead of all others. Not limited: these were in the queue, or in flight, before. */
  putFirst(calls: readonly PendingCall[]): void {
    const rest = this.#calls;
    this.#calls = new Set();
    this.#bytes = 0;
    for (const call of [...calls, ...rest]) this.add(call);
  }

  takeAll(): PendingCall[] {
    const calls = [...this.#calls];
    this.#calls = new Set();
    this.#bytes = 0;
    return calls;
  }
}
