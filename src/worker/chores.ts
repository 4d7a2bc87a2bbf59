// What a worker does again and again, until it ends.

export class Chores {
  private readonly timers: NodeJS.Timeout[] = [];

  /** One run at a time. A chore that fails is the store's trouble, which shows elsewhere. */
  every(ms: number, chore: () => Promise<unknown> | undefined): void {
    let running = false;
    const finished = (): void => {
      running = false;
    };
    const timer = setInterval(() => {
      if (running) return;
      const done = chore();
      if (done === undefined) return;
      running = true;
      done.then(finished, finished);
    }, ms);
    this.timers.push(timer);
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
  }
}
