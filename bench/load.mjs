// The generators seen from the run: processes of their own, each asked one thing at a time.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Two at most: on a small machine more of them would only fight the server for its cores. */
const GENERATORS = 2;

/** A generator that says nothing for so long waits for a server that hangs. */
const ANSWER_LIMIT_MS = 300_000;

class Generator {
  #child = fork(fileURLToPath(new URL('generator.mjs', import.meta.url)), { serialization: 'advanced' });

  get pid() {
    return this.#child.pid;
  }

  /** @throws what went wrong in the generator */
  async ask(question) {
    const done = new AbortController();
    const { signal } = done;
    const limit = setTimeout(() => done.abort(), ANSWER_LIMIT_MS);
    try {
      this.#child.send(question);
      const answer = await Promise.race([
        once(this.#child, 'message', { signal }).then(([message]) => message),
        once(this.#child, 'exit', { signal }).then(([code]) => ({
          error: `the generator ended with ${code}`,
        })),
      ]);
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    } catch (error) {
      throw signal.aborted ? new Error(`no answer to ${question.type} within ${ANSWER_LIMIT_MS} ms`) : error;
    } finally {
      clearTimeout(limit);
      done.abort();
    }
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

export class Load {
  #generators;

  constructor(count = GENERATORS) {
    this.#generators = Array.from({ length: count }, () => new Generator());
  }

  get pids() {
    return this.#generators.map((generator) => generator.pid);
  }

  /** The same question to all at once. */
  ask(question) {
    return this.askAll(() => question);
  }

  /** Its own question to each, all at once. */
  askAll(questionOf) {
    return Promise.all(this.#generators.map((generator, index) => generator.ask(questionOf(index))));
  }

  /** Its own question to each, one after another. */
  async askEach(questionOf) {
    const answers = [];
    for (const [index, generator] of this.#generators.entries()) {
      answers.push(await generator.ask(questionOf(index)));
    }
    return answers;
  }

  askOne(index, question) {
    return this.#generators[index].ask(question);
  }

  get size() {
    return this.#generators.length;
  }

  async stop() {
    await Promise.all(this.#generators.map((generator) => generator.stop()));
  }
}
