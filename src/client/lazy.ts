// Code that a page need not have to connect: loaded when it is first needed, and again after a load that failed.

export class Lazy<Code> {
  /** Null until it is there. */
  loaded: Code | null = null;
  #loading: Promise<Code> | null = null;
  readonly #load: () => Promise<Code>;

  constructor(load: () => Promise<Code>) {
    this.#load = load;
  }

  /** Rejects where the code cannot be had now; the next call tries again. */
  load(): Promise<Code> {
    this.#loading ??= this.#load().then(
      (code) => (this.loaded = code),
      (error: unknown) => {
        this.#loading = null;
        throw error;
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
