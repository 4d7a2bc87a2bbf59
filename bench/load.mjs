// The generators seen from the run: processes of their own, each asked one thing at a time.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Two at most: on a small machine more of them would only fight the server for its cores. */
const GENERATORS = 2;

class Generator {
  #child = fork(fileURLToPath(new URL('generator.mjs', import.meta.url)), { serialization: 'advanced' });

  get pid() {
    return this.#child.pid;
  }

  /** @throws what went wrong in the generator */
  async ask(question) {
    this.#child.send(question);
    const answer = await Promise.race([
      once(this.#child, 'message').then(([message]) => message),
      once(this.#child, 'exit').then(([code]) => ({ error: `the generator ended with ${code}` })),
    ]);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

export class Load {
  #generators = Array.from({ length: GENERATORS }, () => new Generator());

  get pids() {
    return this.#generators.map((generator) => generator.pid);
  }

  /** The same question to all at once. */
  ask(question) {
    return Promise.all(this.#generators.map((generator) => generator.ask(question)));
  }

  /** Its own question to each, one after another. */
  async askEach(questionOf) {
    const answers = [];
    for (const [index, generator] of this.#generators.entries()) {
      answers.push(await generator.ask(questionOf(index)));
    }
    return answers;
  }

  get size() {
    return this.#generators.length;
  }

  async stop() {
    await Promise.all(this.#generators.map((generator) => generator.stop()));
  }
}
