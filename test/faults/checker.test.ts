// The judge is judged: correct histories give no violation, and each kind of wrong makes the right check fire.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { checkHistory, type CheckOptions } from './checker.js';
import { type HistoryEvent, HistoryWriter, readHistory } from './history.js';
import { type Random, seeded } from './random.js';
import { FAULTS, type Check, type Report, violationsOf } from './report.js';
import { sampleHistory } from './sample-history.js';

type Recv = Extract<HistoryEvent, { e: 'recv' }>;
type Mutate = (history: HistoryEvent[], random: Random) => HistoryEvent[];

/** Leaves the room on the way; what was accepted just before is not owed to it. */
const LEAVER = 'u5';
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

function check(history: HistoryEvent[], options: CheckOptions = {}): Report {
  return checkHistory(() => history, options);
}

function fired(report: Report): Check[] {
  return (Object.keys(FAULTS) as Check[]).filter((name) => report[FAULTS[name]] > 0);
}

function recvs(
  history: HistoryEvent[],
  fits: (event: Recv, index: number) => boolean = () => true,
): number[] {
  return history.flatMap((event, i) => (event.e === 'recv' && fits(event, i) ? [i] : []));
}

function recvAt(history: HistoryEvent[], index: number): Recv {
  const event = history[index];
  if (event?.e !== 'recv') throw new Error('no recv there');
  return event;
}

/** Index of what the same reader got before or after in the same channel and epoch, with nothing told between. */
function neighbour(history: HistoryEvent[], index: number, step: 1 | -1): number | null {
  const { c, ch, id } = recvAt(history, index);
  for (let i = index + step; i >= 0 && i < history.length; i += step) {
    const event = history[i];
    if (event?.c !== c || event.e === 'send' || event.e === 'accepted' || event.e === 'rejected') continue;
    if (event.e === 'gap' || event.e === 'stateLost' || event.e === 'end') return null;
    if (event.e === 'recv' && event.ch === ch)
      return event.id?.split(':')[0] === id?.split(':')[0] ? i : null;
  }
  return null;
}

function outcomeOf(history: HistoryEvent[], { from, ch, n }: Recv): HistoryEvent | undefined {
  return history.find(
    (event) =>
      (event.e === 'accepted' || event.e === 'rejected') &&
      event.c === from &&
      event.ch === ch &&
      event.n === n,
  );
}

/** Inside a run: something before and after it. */
function inner(history: HistoryEvent[], fits: (event: Recv, index: number) => boolean): number[] {
  return recvs(
    history,
    (event, i) =>
      event.final !== true &&
      neighbour(history, i, -1) !== null &&
      neighbour(history, i, 1) !== null &&
      fits(event, i),
  );
}

/** `may` fires where the wrong happens to hit something that was accepted. */
const WRONGS: Record<string, { fires: Check[]; may?: Check[]; mutate: Mutate }> = {
  'a message that nobody sent': {
    fires: ['C1'],
    mutate: (history, random) => {
      const event = recvAt(history, random.pick(recvs(history)));
      return [...history, { ...event, n: 1_000_000 }];
    },
  },
  'a payload that changed on the way': {
    fires: ['C1'],
    mutate: (history, random) => {
      const i = random.pick(recvs(history));
      return history.with(i, { ...recvAt(history, i), h: -1 });
    },
  },
  'a refused message that arrives': {
    fires: ['C1'],
    mutate: (history, random) => {
      const event = recvAt(history, random.pick(recvs(history, ({ ch }) => ch.startsWith('inbox:'))));
      const { from: c, ch, n } = event;
      return history.map((other) =>
        (other.e === 'accepted' || other.e === 'rejected') &&
        other.c === c &&
        other.ch === ch &&
        other.n === n
          ? { e: 'rejected', t: other.t, c, ch, n, code: 'not_found' }
          : other,
      );
    },
  },
  'two messages of a sender in the wrong order for everybody': {
    fires: ['C2'],
    mutate: (history, random) => {
      const fits = (event: Recv, i: number): boolean => {
        const next = neighbour(history, i, 1);
        return event.ch.startsWith('inbox:') && next !== null && recvAt(history, next).from === event.from;
      };
      const i = random.pick(recvs(history, fits));
      const j = neighbour(history, i, 1) ?? 0;
      const [first, second] = [recvAt(history, i), recvAt(history, j)];
      return history
        .with(i, { ...second, t: first.t, id: first.id })
        .with(j, { ...first, t: second.t, id: second.id });
    },
  },
  'an entry of unknown outcome that one reader skips in silence': {
    fires: ['C3'],
    mutate: (history, random) => {
      const fits = (event: Recv): boolean => outcomeOf(history, event)?.e === 'rejected';
      return history.toSpliced(random.pick(inner(history, fits)), 1);
    },
  },
  'an accepted message that is missing inside a run': {
    fires: ['C3', 'C5'],
    mutate: (history, random) =>
      history.toSpliced(
        random.pick(
          inner(history, (event) => event.c !== LEAVER && outcomeOf(history, event)?.e === 'accepted'),
        ),
        1,
      ),
  },
  'an accepted message that is missing inside a run without ids': {
    fires: ['C3', 'C5'],
    mutate: (history, random) => {
      const fits = (event: Recv, i: number): boolean => {
        const next = neighbour(history, i, 1);
        return (
          outcomeOf(history, event)?.e === 'accepted' &&
          event.ch.startsWith('inbox:') &&
          next !== null &&
          recvAt(history, next).from === event.from
        );
      };
      const gone = history.toSpliced(random.pick(inner(history, fits)), 1);
      return gone.flatMap((event): HistoryEvent[] =>
        event.e === 'recv' || event.e === 'accepted'
          ? [{ ...event, id: null }]
          : event.e === 'gap' || event.e === 'stateLost'
            ? []
            : [event],
      );
    },
  },
  'a new epoch that nobody was told of': {
    fires: ['C3'],
    may: ['C5'],
    mutate: (history) => history.filter(({ e }) => e !== 'stateLost'),
  },
  'a message that comes twice': {
    fires: ['C4'],
    mutate: (history, random) => {
      const i = random.pick(recvs(history));
      return history.toSpliced(i + 1 + random.below(history.length - i - 1), 0, recvAt(history, i));
    },
  },
  'an accepted message that is missing before anything else came': {
    fires: ['C5'],
    mutate: (history, random) => {
      const isFirst = (event: Recv, i: number): boolean =>
        !history
          .slice(0, i)
          .some((other) => other.e === 'recv' && other.c === event.c && other.ch === event.ch);
      const fits = (event: Recv, i: number): boolean =>
        isFirst(event, i) && outcomeOf(history, event)?.e === 'accepted' && neighbour(history, i, 1) !== null;
      return history.toSpliced(random.pick(recvs(history, fits)), 1);
    },
  },
  'two readers who see different messages under one id': {
    fires: ['C6'],
    mutate: (history, random) => {
      // At this reader two senders change places; each sender's own order stays.
      const fits = (event: Recv, i: number): boolean => {
        const next = neighbour(history, i, 1);
        return event.ch === 'room:all' && next !== null && recvAt(history, next).from !== event.from;
      };
      const i = random.pick(recvs(history, fits));
      const j = neighbour(history, i, 1) ?? 0;
      const [first, second] = [recvAt(history, i), recvAt(history, j)];
      return history
        .with(i, { ...second, t: first.t, id: first.id })
        .with(j, { ...first, t: second.t, id: second.id });
    },
  },
  'a reader who goes back in a log': {
    fires: ['C6'],
    mutate: (history, random) => {
      const fits = (event: Recv, i: number): boolean => {
        const next = neighbour(history, i, 1);
        return event.ch === 'room:all' && next !== null && recvAt(history, next).from !== event.from;
      };
      const i = random.pick(recvs(history, fits));
      const j = neighbour(history, i, 1) ?? 0;
      const [first, second] = [recvAt(history, i), recvAt(history, j)];
      const told: HistoryEvent = {
        e: 'gap',
        t: first.t,
        c: first.c,
        ch: first.ch,
        missing: null,
        reason: '',
      };
      return history.with(i, second).with(j, first).toSpliced(j, 0, told).toSpliced(i, 0, told);
    },
  },
  'an older connection that still brings messages': {
    fires: ['C7'],
    mutate: (history) => {
      const last = recvs(history, ({ k }) => (k ?? 0) > 1).at(-1) ?? 0;
      return history.with(last, { ...recvAt(history, last), k: 1 });
    },
  },
  'a connection that lives beside its successor': {
    fires: ['C7'],
    mutate: (history) => {
      const down = history.findIndex(({ e }) => e === 'down');
      return history.toSpliced(down, 1);
    },
  },
  'two connections that came at once and both live on': {
    fires: ['C7'],
    mutate: (history) => [
      ...history,
      ...['twin.0', 'twin.1'].map((c): HistoryEvent => ({
        t: 1,
        e: 'up',
        c,
        s: 'twin',
        k: 2,
        resumed: true,
      })),
    ],
  },
  'a client that gets no final marker': {
    fires: ['C5', 'C8'],
    mutate: (history, random) => {
      const fits = (event: Recv): boolean => event.final === true && event.ch.startsWith('inbox:');
      return history.toSpliced(random.pick(recvs(history, fits)), 1);
    },
  },
  'a call that is never settled': {
    fires: ['C8'],
    mutate: (history, random) => {
      const accepted = history.flatMap(({ e }, i) => (e === 'accepted' ? [i] : []));
      return history.toSpliced(random.pick(accepted), 1);
    },
  },
  'a client that is sent away for good': {
    fires: ['C8'],
    mutate: (history) => [{ e: 'dead', t: 0, c: 'u0', code: 'superseded' }, ...history],
  },
};

describe('a correct history', () => {
  test.each(SEEDS)('has no violation (seed %d)', (seed) => {
    const history = sampleHistory({ seed });
    const report = check(history);
    expect(report.violations).toEqual([]);
    expect(violationsOf(report)).toBe(0);
    expect(report.gapsTold).toBeGreaterThan(0);
    expect(report.recoveryP99Ms).toBeGreaterThan(0);
    expect(report.received).toBeGreaterThan(report.attempted);
    expect(report.acceptedShare).toBeGreaterThan(0.8);
  });
});

describe.each(Object.entries(WRONGS))('%s', (_title, { fires, may = [], mutate }) => {
  test.each(SEEDS)(`makes ${fires.join(' and ')} fire, and nothing else (seed %d)`, (seed) => {
    const history = sampleHistory({ seed });
    const report = check(mutate(history, seeded(seed)));
    expect({ fired: fired(report).filter((name) => !may.includes(name)), report }).toMatchObject({
      fired: fires,
    });
  });
});

describe('a told gap', () => {
  const base = { c: 'bob', ch: 'room:r' };
  const sent = [1, 2, 3, 4].flatMap((n): HistoryEvent[] => [
    { t: n, e: 'send', c: 'amy', ch: 'room:r', n, h: n },
    { t: n, e: 'accepted', c: 'amy', ch: 'room:r', n, id: `e:${n}-x` },
  ]);
  const recv = (n: number): HistoryEvent => ({
    ...base,
    t: 10,
    e: 'recv',
    from: 'amy',
    n,
    id: `e:${n}-x`,
    h: n,
  });
  const told = (missing: number | null): HistoryEvent => ({
    ...base,
    t: 10,
    e: 'gap',
    missing,
    reason: 'trimmed',
  });
  const ends: HistoryEvent[] = [{ t: 20, e: 'end', c: 'bob', finals: [] }];
  const run = (...events: HistoryEvent[]): Report =>
    check([{ ...base, t: 0, e: 'member' }, ...sent, recv(1), ...events, ...ends]);

  test('covers what it counts', () => {
    expect(fired(run(told(2), recv(4)))).toEqual([]);
    expect(fired(run(told(1), told(1), recv(4)))).toEqual([]);
    expect(fired(run(told(null), recv(4)))).toEqual([]);
  });
  test('does not cover more than it counts', () => {
    expect(fired(run(told(1), recv(4)))).toEqual(['C3']);
  });
  test('does not cover what is missing elsewhere', () => {
    expect(run(recv(2), told(null), recv(4))).toMatchObject({ silentGaps: 0, lostAccepted: 0 });
    expect(run(told(null), recv(2), recv(4))).toMatchObject({ silentGaps: 1, lostAccepted: 1 });
  });
});

describe('a failover that lost what was accepted', () => {
  const entry = (n: number, id: string): HistoryEvent[] => [
    { t: n, e: 'send', c: 'amy', ch: 'room:r', n, h: n },
    { t: n, e: 'accepted', c: 'amy', ch: 'room:r', n, id },
  ];
  const sent = [1, 2, 3, 4, 5].flatMap((n) => entry(n, n < 4 ? `e:${n}-old` : `e:${n - 1}-new`));
  const recv = (n: number, id: string): HistoryEvent => ({
    ...{ t: 10, e: 'recv', c: 'bob', ch: 'room:r', from: 'amy', n, id, h: n },
  });
  const gap = (reason: string): HistoryEvent => ({
    ...{ t: 10, e: 'gap', c: 'bob', ch: 'room:r', missing: null, reason },
  });
  const judged = (events: HistoryEvent[], sendersRefill = false): Check[] =>
    fired(
      check(
        [
          { t: 0, e: 'member', c: 'bob', ch: 'room:r' },
          ...sent,
          ...events,
          { t: 20, e: 'end', c: 'bob', finals: [] },
        ],
        { sendersRefill },
      ),
    );
  const run = (...events: HistoryEvent[]): Check[] => judged(events);
  const runRefilled = (...events: HistoryEvent[]): Check[] => judged(events, true);
  const before = [recv(1, 'e:1-old'), recv(2, 'e:2-old'), recv(3, 'e:3-old')];

  test('lets the log go back where the reader was told, and its senders refill it', () => {
    // 2 and 3 were refilled at offsets 2 and 4, where this reader had them already.
    expect(run(...before, gap('lost'), recv(4, 'e:3-new'), recv(5, 'e:5-new'))).toEqual([]);
  });
  test('lets senders refill a log that began anew, in a row that says so', () => {
    const anew = [gap('lost'), recv(4, 'f:2-new'), recv(5, 'f:5-new')];
    expect(run(...before, ...anew)).toEqual(['C3']);
    expect(runRefilled(...before, ...anew)).toEqual([]);
    expect(runRefilled(...before, gap('lost'), recv(4, 'f:2-new'), recv(5, 'f:20-new'))).toEqual(['C3']);
  });
  test('is no excuse where the reader was told of something else, or for more than there was', () => {
    expect(run(...before, gap('trimmed'), recv(4, 'e:3-new'), recv(5, 'e:4-new'))).toEqual(['C6']);
    expect(run(...before, gap('lost'), recv(4, 'e:3-new'), recv(5, 'e:6-new'))).toEqual(['C3']);
  });
});

describe('the accepted share', () => {
  const history: HistoryEvent[] = [
    { t: 1, e: 'send', c: 'amy', ch: 'inbox:bob', n: 1, h: 1 },
    { t: 2, e: 'accepted', c: 'amy', ch: 'inbox:bob', n: 1, id: null },
    { t: 5, e: 'send', c: 'amy', ch: 'inbox:bob', n: 2, h: 1 },
    { t: 6, e: 'rejected', c: 'amy', ch: 'inbox:bob', n: 2, code: 'unavailable' },
  ];
  test('counts refusals', () => {
    expect(check(history).acceptedShare).toBe(0.5);
  });
  test('does not count what was sent while the fault was there', () => {
    expect(check(history, { windows: [[4, 7]] }).acceptedShare).toBe(1);
  });
});

test('a history of a few hundred thousand events is read from disk as it was written, and judged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'faults-'));
  try {
    const history = sampleHistory({ seed: 5, clients: 8, steps: 50_000 });
    const path = join(directory, 'history.jsonl');
    const writer = new HistoryWriter(path);
    for (const event of history) writer.write(event);
    await writer.close();
    expect(history.length).toBeGreaterThan(200_000);
    expect([...readHistory([path])]).toHaveLength(history.length);
    expect(violationsOf(checkHistory(() => readHistory([path])))).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
