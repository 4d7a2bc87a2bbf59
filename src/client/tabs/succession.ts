// How a session goes on from hub to hub: the newest key to it, and from where on a hub numbers.
import type { HelloFrame, Welcome } from '../../protocol/frame.js';

/** What a tab gets as its key to the session: with it another hub can go on. */
export interface Resume {
  readonly session: Welcome['session'];
  readonly key: string;
  /** Of the connection that gave the key. */
  readonly generation: number;
  /** When it gave it. */
  readonly at: number;
}

export class Succession {
  #resume: Resume | null = null;
  #first = 0;
  #isDirect = false;

  /** Null where no session can be gone on with. */
  get resume(): Resume | null {
    return this.#resume;
  }

  /**
   * Of this hub's first connection in the session. The gateway's store counts connections, and no two have the same, unless it lost its last
   * writes: so no two hubs have, whatever each knows of the others.
   */
  get first(): number {
    return this.#first;
  }

  /** What tabs get in place of the gateway's key. */
  get key(): string {
    return `${String(this.#resume?.generation)}.${String(this.#resume?.at)}.${this.#resume?.key ?? ''}`;
  }

  /** @returns whether the tab brings a newer key */
  learn(hello: HelloFrame): boolean {
    const known = this.#resume;
    const resume = resumeOf(hello);
    if (resume === null) return false;
    const by = known?.session === resume.session ? 'generation' : 'at';
    if (known !== null && resume[by] <= known[by]) return false;
    this.#resume = resume;
    return true;
  }

  /** @param isFirst this hub has had no connection of the session */
  welcomed(
    { session, resumeKey: key, resumed, generation: told }: Welcome,
    at: number,
    isFirst: boolean,
  ): void {
    const known = resumed ? (this.#resume?.generation ?? 0) : 0;
    // An older gateway does not tell. Then nobody knows whether another hub came between.
    const generation = told ?? known + 1;
    if (isFirst || !resumed) {
      this.#first = generation;
      this.#isDirect = told === known + 1;
    }
    this.#resume = { session, key, generation, at: Math.floor(at) };
  }

  /**
   * Whether a tab that said so was there when this hub took over from the one before. Else others may have written meanwhile: the gateway
   * says `duplicate` of each lower number then, and nobody can tell those that were stored from those that were not.
   */
  wasThere(hello: HelloFrame): boolean {
    return this.#isDirect && resumeOf(hello)?.generation === this.#first - 1;
  }

  forget(): void {
    this.#resume = null;
  }
}

/** A key of a hub is `<generation>.<time>.<the gateway's>`. */
function resumeOf(hello: HelloFrame): Resume | null {
  const [, generation, at, key] = /^(\d+)\.(\d+)\.(.+)$/s.exec(hello.resume?.key ?? '') ?? [];
  if (!hello.resume || key === undefined) return null;
  return { session: hello.resume.session, key, generation: Number(generation), at: Number(at) };
}
