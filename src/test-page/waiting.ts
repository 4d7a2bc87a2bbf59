// Waits that end: by what was waited for, by time, or because the page gave up.

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** Rejects with TimeoutError after `ms`, or with the signal's reason. */
export function within<Value>(promise: Promise<Value>, ms: number, signal?: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      reject(new TimeoutError('no answer in time'));
    }, ms);
    const abort = (): void => {
      end();
      reject(reasonOf(signal));
    };
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted === true) {
      abort();
      return;
    }
    signal?.addEventListener('abort', abort);
    promise.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Aborts after `ms`, or when `signal` does. `AbortSignal.any` is younger than some browsers that call. */
export function deadline(ms: number, signal?: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const end = (): void => {
    clearTimeout(timer);
    controller.abort(reasonOf(signal));
  };
  const timer = setTimeout(() => {
    controller.abort(new TimeoutError('no answer in time'));
  }, ms);
  if (signal?.aborted === true) end();
  else signal?.addEventListener('abort', end, { once: true });
  return controller.signal;
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('given up');
}

const LATE = 'no answer in time';
/** Codes of the SDK's errors that a visitor may meet. */
const WORDS: Readonly<Record<string, string>> = {
  timeout: LATE,
  // The SDK's word for a signal of ours, which is a clock's.
  aborted: LATE,
  not_found: 'it is not there',
  offline: 'no connection to the gateway',
  closed: 'the connection was closed',
  remote: 'the other side ended it',
  unavailable: 'the gateway is not ready',
  overloaded: 'the gateway has too much to do',
};

/** Says how something failed in a few words; a code of the SDK's that has none says more than its sentence. */
export function reasonText(error: unknown): string {
  if (error instanceof TimeoutError) return LATE;
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  if (typeof code === 'string') return WORDS[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}
