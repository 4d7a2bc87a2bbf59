// Code that a page need not have to connect: loaded when it is first needed, and again after a load that failed.
//
// A new part of the SDK that not every page needs becomes such a chunk in three steps: a module whose exports are all that is
// taken from it (as late.ts), a `new Lazy(() => import('./that-module.js'))` that somebody constructed owns, and a row of
// LAZY in scripts/bundle-client.mjs. What calls need goes into late.ts, which is there before the first of them is written.
// Whoever uses it says what becomes of a failure, and a test makes it fail (test/browser/late.test.ts).
import { GatewayError } from '../protocol/errors.js';

export class Lazy<Code> {
  /** Null until it is there. */
  loaded: Code | null = null;
  #loading: Promise<Code> | null = null;
  #failures = 0;
  readonly #load: (query: string) => Promise<Code>;

  /** `load` gets what the bundle for browsers puts behind the URL: Chromium never asks again for one that it could not load. */
  constructor(load: (query: string) => Promise<Code>) {
    this.#load = load;
  }

  /** Rejects with `unavailable` where the code cannot be had now; the next call tries again. */
  load(): Promise<Code> {
    this.#loading ??= this.#load(this.#failures > 0 ? `?${this.#failures}` : '').then(
      (code) => (this.loaded = code),
      (cause: unknown) => {
        this.#failures++;
        this.#loading = null;
        throw new GatewayError('unavailable', 'A part of the SDK could not be loaded.', { cause });
      },
    );
    return this.#loading;
  }

  /** Runs at once where the code is there, else when it is, in the order of these calls. */
  use(run: (code: Code) => void, onFailure: (error: unknown) => void): void {
    if (this.loaded === null) this.load().then(run, onFailure);
    else run(this.loaded);
  }
}
