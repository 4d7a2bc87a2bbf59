// One thread of a pool: what it was asked, each question with its answer, until it is gone.
import { failureOf, OffloadError } from './offload-error.js';
import type { ThreadAnswer, ThreadTask } from './thread-body.js';
import type { SpawnThread, ThreadPort } from './thread-port.js';

/** Loaded scripts and registered functions, to be repeated in each new thread. */
export type SetupStep = ['load', urls: string[]] | ['register', functions: string, constants: string];

interface Question {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const CODES_BY_REASON = {
  thrown: 'rejected',
  unknown: 'no_handler',
  uncloneable: 'bad_payload',
  forbidden: 'forbidden',
} as const;

export class Thread {
  readonly #port: ThreadPort;
  readonly #questions = new Map<number, Question>();
  readonly #onGone: (thread: Thread) => void;
  #number = 0;
  #isGone = false;
  /** A call runs in it. */
  isBusy = false;
  /** It has answered once, so that the platform can start such threads. */
  hasAnswered = false;

  /** @throws where the platform forbids it */
  constructor(spawn: SpawnThread, url: string | null, onGone: (thread: Thread) => void) {
    this.#onGone = onGone;
    this.#port = spawn(url, {
      onAnswer: (answer) => this.#take(answer),
      onGone: (error) => this.#gone(error),
    });
    this.#port.hold(false);
  }

  async setUp([kind, ...step]: SetupStep): Promise<void> {
    await this.#ask((number) => [kind, number, ...step] as ThreadTask, []);
  }

  call(name: string, args: unknown[], transfer: Transferable[]): Promise<unknown> {
    return this.#ask((number) => ['call', number, name, args], transfer);
  }

  /** What it was asked rejects with `error`. */
  end(error: OffloadError): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#port.end();
    this.#failAll(error);
  }

  async #ask(make: (number: number) => ThreadTask, transfer: Transferable[]): Promise<unknown> {
    const number = ++this.#number;
    const answer = new Promise((resolve, reject) => this.#questions.set(number, { resolve, reject }));
    try {
      this.#port.post(make(number), transfer);
    } catch (cause) {
      this.#questions.delete(number);
      throw new OffloadError('bad_payload', 'The arguments cannot be cloned.', { cause });
    }
    this.#port.hold(true);
    return answer;
  }

  #take(answer: ThreadAnswer): void {
    this.hasAnswered = true;
    if (answer[0] === 'closing') return this.#gone(new Error('The thread closed itself.'));
    const question = this.#questions.get(answer[1]);
    this.#questions.delete(answer[1]);
    if (this.#questions.size === 0) this.#port.hold(false);
    if (answer[0] === 'done') question?.resolve(answer[2]);
    else question?.reject(failureOf(CODES_BY_REASON[answer[2]], answer[3]));
  }

  #gone(cause: unknown): void {
    if (this.#isGone) return;
    const code = this.hasAnswered ? 'provider_gone' : 'unavailable';
    this.end(
      new OffloadError(code, this.hasAnswered ? 'The thread died.' : 'No thread could be started.', {
        cause,
      }),
    );
    this.#onGone(this);
  }

  #failAll(error: OffloadError): void {
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const question of questions) question.reject(error);
  }
}
