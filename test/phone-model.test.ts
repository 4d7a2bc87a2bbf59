// The line of examples/phone.mjs in a model of the gateway: in whatever order things are done and heard, nobody is left in a call with nobody.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';

const RING_MS = 30_000;
/** Longer than any message takes here, and any time limit of a line. */
const SETTLE_MS = 200_000;

interface Call {
  id: string;
  who: string;
  stage: string;
}
interface Line {
  readonly call: Call | null;
  isLost: boolean;
  ring(who: string): void;
  take(): void;
  decline(): void;
  hangUp(): void;
  gone(who: string): void;
  ended(id: string, why: string): void;
}
interface Sender {
  client: string;
}
type Handler = (said: unknown, from: Sender) => void;
interface ModelClient {
  id: string;
  onMessage(event: string, handler: Handler): () => void;
  send(to: string, event: string, said: unknown, options?: { ttlMs: number }): Promise<void>;
}
const { Line } = (await import(new URL('../examples/phone-line.js', import.meta.url).href)) as {
  Line: new (client: ModelClient, changed: (call: Call | null) => void, ringMs: number) => Line;
};

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A page hears what is sent to its name in order, each after a while; while it is away it hears nothing, and afterwards all that is not too old. */
class Page {
  readonly line: Line;
  readonly #handlers = new Map<string, Handler>();
  readonly #inbox: { at: number; endsAt: number; run: () => void }[] = [];
  /** Calls that it ever wanted. */
  readonly wanted = new Set<string>();
  isAway = false;
  isDead = false;

  constructor(
    readonly name: string,
    readonly others: Page[],
    readonly delay: () => number,
  ) {
    const client: ModelClient = {
      id: name,
      onMessage: (event, handler) => {
        this.#handlers.set(event, handler);
        return () => this.#handlers.delete(event);
      },
      send: (to, event, said, { ttlMs } = { ttlMs: Infinity }) => {
        const pages = others.filter((page) => page.name === to && !page.isDead);
        // A dead page says nothing, and its session is there for a while.
        if (!this.isDead) for (const page of pages) page.#receive(event, said, name, ttlMs);
        return Promise.resolve();
      },
    };
    this.line = new Line(
      client,
      (call) => {
        if (call !== null && call.stage !== 'ringing') this.wanted.add(call.id);
      },
      RING_MS,
    );
  }

  #receive(event: string, said: unknown, client: string, ttlMs: number): void {
    const at = Math.max(Date.now() + this.delay(), this.#inbox.at(-1)?.at ?? 0);
    this.#inbox.push({
      at,
      endsAt: Date.now() + ttlMs,
      run: () => this.#handlers.get(event)?.(said, { client }),
    });
    setTimeout(() => this.read(), at - Date.now());
  }

  read(): void {
    while (!this.isAway && !this.isDead && (this.#inbox[0]?.at ?? Infinity) <= Date.now()) {
      const message = this.#inbox.shift();
      if (message !== undefined && message.endsAt >= Date.now()) message.run();
    }
  }
}

const step = fc.record({
  page: fc.nat(3),
  what: fc.constantFrom(
    'ring',
    'ring',
    'take',
    'take',
    'decline',
    'hangUp',
    'away',
    'back',
    'die',
    'gone',
    'lost',
  ),
  afterMs: fc.oneof(fc.nat(20), fc.nat(2_000), fc.nat(40_000)),
});

test('in whatever order things are done and heard, who talks at the end has one other page to talk to', () => {
  let talks = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 2, maxLength: 14 }),
      fc.array(fc.nat(100), { minLength: 5, maxLength: 20 }),
      (steps, delays) => {
        let turn = 0;
        const pages: Page[] = [];
        for (const name of ['ada', 'ada', 'grace', 'grace'])
          pages.push(new Page(name, pages, () => delays[turn++ % delays.length] ?? 0));
        for (const { page: number, what, afterMs } of steps) {
          const page = pages[number];
          if (page === undefined || page.isDead) continue;
          const other = page.name === 'ada' ? 'grace' : 'ada';
          if (what === 'ring') page.line.ring(other);
          else if (what === 'gone') page.line.gone(other);
          else if (what === 'lost') page.line.isLost = page.line.call?.stage === 'talking';
          else if (what === 'away') page.isAway = true;
          else if (what === 'die') page.isDead = true;
          else if (what === 'back') {
            page.isAway = false;
            page.read();
          } else page.line[what]();
          jest.advanceTimersByTime(afterMs);
        }
        for (const page of pages) page.isAway = false;
        for (const page of pages) page.read();
        jest.advanceTimersByTime(SETTLE_MS);
        const alive = pages.filter(({ isDead }) => !isDead);
        for (const { name, line } of alive) {
          if (line.call === null) continue;
          expect(line.call.stage).toBe('talking');
          const { id } = line.call;
          // Of one who died its peer would tell.
          if (pages.some((page) => page.isDead && page.name !== name && page.wanted.has(id))) continue;
          expect(alive.filter((page) => page.name !== name && page.line.call?.id === id)).toHaveLength(1);
          expect(alive.filter((page) => page.name === name && page.line.call?.id === id)).toHaveLength(1);
          talks++;
        }
      },
    ),
    { numRuns: 3_000 },
  );
  // It would be no model of a telephone if nobody ever talked.
  expect(talks).toBeGreaterThan(100);
});
