// Handlers by event as Socket.IO has them: on, once, off by the function itself, and those of every event.

/** A handler of an application's event: its arguments, and last the acknowledgement where one is awaited. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the application annotates what it expects, as with Socket.IO
export type Handler = (...args: any[]) => unknown;

interface Entry {
  readonly handler: Handler;
  readonly isOnce: boolean;
}

export class Handlers {
  readonly #lists = new Map<string, readonly Entry[]>();
  #any: readonly Handler[] = [];

  add(event: string, handler: Handler, isOnce = false): void {
    this.#lists.set(event, [...(this.#lists.get(event) ?? []), { handler, isOnce }]);
  }

  /** One handler of an event, all of an event, or all of all events. Returns the events that have none any more. */
  remove(event?: string, handler?: Handler): string[] {
    const events = event === undefined ? [...this.#lists.keys()] : [event];
    return events.filter((name) => {
      const rest = handler === undefined ? [] : this.#without(name, handler);
      if (rest.length > 0) this.#lists.set(name, rest);
      else this.#lists.delete(name);
      return rest.length === 0;
    });
  }

  addAny(handler: Handler): void {
    this.#any = [...this.#any, handler];
  }

  removeAny(handler?: Handler): void {
    this.#any = handler === undefined ? [] : this.#any.filter((other) => other !== handler);
  }

  of(event: string): Handler[] {
    return (this.#lists.get(event) ?? []).map(({ handler }) => handler);
  }

  /** Calls those of the event. One that throws does not keep the others from hearing. */
  call(event: string, args: readonly unknown[]): Promise<unknown> | undefined {
    const entries = this.#lists.get(event) ?? [];
    // By the entry and not by its function, which may be there for ever, too.
    const rest = entries.filter(({ isOnce }) => !isOnce);
    if (rest.length > 0) this.#lists.set(event, rest);
    else this.#lists.delete(event);
    return callAll(
      entries.map(({ handler }) => handler),
      args,
    );
  }

  /** Calls those of every event. */
  callAny(event: string, args: readonly unknown[]): Promise<unknown> | undefined {
    return callAll(this.#any, [event, ...args]);
  }

  /** The first entry of that function is gone, as in Node's emitters. */
  #without(event: string, handler: Handler): readonly Entry[] {
    const entries = this.#lists.get(event) ?? [];
    const at = entries.findIndex((entry) => entry.handler === handler);
    return entries.filter((_, index) => index !== at);
  }
}

/** Rejects with the first failure; undefined where nothing failed and nothing is awaited. */
function callAll(handlers: readonly Handler[], args: readonly unknown[]): Promise<unknown> | undefined {
  const pending: Promise<unknown>[] = [];
  for (const handler of handlers) {
    try {
      const result = handler(...args);
      if (result instanceof Promise) pending.push(result);
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what was thrown is passed on as it is
      pending.push(Promise.reject(error));
    }
  }
  return pending.length > 0 ? Promise.all(pending) : undefined;
}
