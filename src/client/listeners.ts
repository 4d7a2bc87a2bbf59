// Named lists of functions: who listens to what. One that throws does not keep the others from hearing.
import type { MessageInfo, Sender } from './events.js';

type Listener<Arguments extends unknown[]> = (...args: Arguments) => unknown;

export class Listeners<Events extends Record<string, unknown[]>> {
  readonly #lists = new Map<keyof Events, Listener<never>[]>();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = (error) => onFailure(error);
  }

  get empty(): boolean {
    return this.#lists.size === 0;
  }

  /** Returns a function that removes the listener; the same function may be added twice. */
  add<E extends keyof Events>(event: E, listener: Listener<Events[E]>): () => void {
    // A list is replaced, never changed, so that adding and removing while it is called is safe.
    const entry: Listener<Events[E]> = (...args) => listener(...args);
    this.#lists.set(event, [...(this.#lists.get(event) ?? []), entry]);
    return () => {
      const rest = (this.#lists.get(event) ?? []).filter((other) => other !== entry);
      if (rest.length > 0) this.#lists.set(event, rest);
      else this.#lists.delete(event);
    };
  }

  has(event: keyof Events): boolean {
    return this.#lists.has(event);
  }

  /** False where nobody listens. */
  emit<E extends keyof Events>(event: E, ...args: Events[E]): boolean {
    const isHeard = this.has(event);
    for (const listener of (this.#lists.get(event) ?? []) as Listener<Events[E]>[]) {
      try {
        // A handler that is an async function fails through its promise.
        const result = listener(...args);
        if (result instanceof Promise) result.catch(this.#onFailure);
      } catch (error) {
        this.#onFailure(error);
      }
    }
    return isHeard;
  }
}

/** Messages by event. */
export type MessageEvents = Record<string, [data: unknown, from: Sender, info: MessageInfo]>;

/** False where no handler took it. */
export function emitMessage(listeners: Listeners<MessageEvents>, ...message: MessageEvents[string]): boolean {
  const isHeard = listeners.emit(message[2].event, ...message);
  return listeners.emit('*', ...message) || isHeard;
}
