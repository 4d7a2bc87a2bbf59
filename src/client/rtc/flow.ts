// Waiting for what a connection does: a channel that opens, tracks that are agreed on, media that flows.
import { GatewayError } from '../../protocol/errors.js';
import type { Environment } from '../environment.js';
import { onWithdrawal } from '../withdrawal.js';

/** Options of what waits for the other side. */
export interface WaitOptions {
  /** Longest wait, ms; default 30 000. Without a limit: `Infinity`. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export const WAIT_DEFAULT_MS = 30_000;
/** Timers count no further, some 25 days in ms: what is longer is no limit. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/** Promises that wait for a condition; looked at when something happened, and settled one way or another in any case. */
export class Waits {
  readonly #environment: Environment;
  readonly #open = new Set<{ look(): void; fail(error: unknown): void }>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Resolves when `probe` is true at a look, rejects where it throws. `lastError` explains a time-out. */
  until(probe: () => boolean, options: WaitOptions, lastError: () => unknown): Promise<void> {
    const { timeoutMs = WAIT_DEFAULT_MS, signal } = options;
    if (!(timeoutMs >= 0))
      return Promise.reject(new GatewayError('bad_parameter', 'timeoutMs is a number of milliseconds.'));
    if (signal?.aborted)
      return Promise.reject(new GatewayError('aborted', undefined, { cause: signal.reason }));
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#open.delete(wait);
        stop();
      };
      const wait = {
        look: (): void => {
          try {
            if (!probe()) return;
            end();
            resolve();
          } catch (error) {
            wait.fail(error);
          }
        },
        fail: (error: unknown): void => {
          end();
          reject(error instanceof Error ? error : new GatewayError('rejected', undefined, { cause: error }));
        },
      };
      const limitMs = timeoutMs > TIMER_LIMIT_MS ? undefined : timeoutMs;
      const patience = { signal, timeoutMs: limitMs, madeAt: this.#environment.now() };
      const stop = onWithdrawal(patience, this.#environment, (error) =>
        wait.fail(
          error.code === 'timeout' ? new GatewayError('timeout', undefined, { cause: lastError() }) : error,
        ),
      );
      this.#open.add(wait);
      wait.look();
    });
  }

  look(): void {
    for (const wait of [...this.#open]) wait.look();
  }

  failAll(error: unknown): void {
    for (const wait of [...this.#open]) wait.fail(error);
  }
}

/** Of senders that have had another track before: packets that they had sent by then. */
export type SentBefore = WeakMap<RTCRtpSender, Promise<number>>;

/** Whether each track's packets leave; of one that has no source now, or is over, that it may. */
export async function isSent(senders: readonly RTCRtpSender[], before?: SentBefore): Promise<boolean> {
  const sent = await Promise.all(
    senders.map(async (sender) => {
      if (sender.track === null || sender.track.muted || sender.track.readyState === 'ended') return true;
      const packets = await packetsSent(sender);
      // A browser may go on counting, or begin anew.
      return packets > 0 && packets !== (await before?.get(sender));
    }),
  );
  return !sent.includes(false);
}

export async function packetsSent(sender: RTCRtpSender): Promise<number> {
  let sum = 0;
  for (const [, report] of await sender.getStats()) if (isOutbound(report)) sum += report.packetsSent;
  return sum;
}

function isOutbound(report: unknown): report is { packetsSent: number } {
  if (typeof report !== 'object' || report === null || !('type' in report)) return false;
  return report.type === 'outbound-rtp' && 'packetsSent' in report && typeof report.packetsSent === 'number';
}
