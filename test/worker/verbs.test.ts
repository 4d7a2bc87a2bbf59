// What a session asks for while the store or the key set is slow, fails, or does not say what became of it.
import { beforeEach, describe, expect, test } from '@jest/globals';
import { GatewayError, ProtocolError } from '../../src/protocol/errors.js';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { RoomName } from '../../src/protocol/ids.js';
import type { Authenticator, Identity } from '../../src/session/authenticator.js';
import { Leavings } from '../../src/session/leavings.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { Session } from '../../src/session/session.js';
import type { SessionRef, Store } from '../../src/session/store/store.js';
import { Verbs, type VerbsOptions } from '../../src/worker/verbs.js';
import { until } from '../gateway-process.js';
import { createReceiver } from '../relay/receiver.js';

const LOBBY = 'lobby' as RoomName;

let session: Session;
let frames: GatewayFrame[];
let members: Set<RoomName>;
/** Thrown by the next calls of the store, after it has done what was asked. */
let failures: ('unknown_outcome' | 'unavailable')[];
/** Checks of tokens under way, by token. */
let checks: Map<string, (identity: Identity | Error) => void>;
let leavings: Leavings;
/** What is due some time. */
let deadlines: Set<() => void>;
/** What the store was told of the end of sessions, and what lets it answer. */
let told: [SessionRef, boolean][];
let storeAnswers: () => void;
let registry: SessionRegistry;
let verbs: Verbs;

beforeEach(() => {
  ({ session, frames } = createReceiver('alice'));
  members = new Set();
  failures = [];
  checks = new Map();
  deadlines = new Set();
  told = [];
  storeAnswers = ignore;
  registry = new SessionRegistry();
  registry.add(session);
  const answer = <Result>(change: () => Result, result: (changed: Result) => unknown): Promise<unknown> => {
    const failure = failures.shift();
    if (failure === 'unavailable') return Promise.reject(new GatewayError(failure));
    const changed = change();
    if (failure !== undefined) return Promise.reject(new GatewayError(failure));
    return Promise.resolve(result(changed));
  };
  const store = {
    join: ({ room }: { room: RoomName }) =>
      answer(
        () => members.add(room),
        () => ({ status: 'joined', count: 1, position: null }),
      ),
    leave: (_ref: SessionRef, room: RoomName) =>
      answer(
        () => members.delete(room),
        (was) => was,
      ),
  } as unknown as Store;
  const authenticator = {
    verify: (token: string) =>
      new Promise<Identity>((resolve, reject) => {
        checks.set(token, (outcome) => {
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        });
      }),
  } as unknown as Authenticator;
  const feed = { expect: ignore, enter: ignore, begin: ignore, replay: ignore };
  leavings = new Leavings(store, (each) => registry.get(each.ref.session) === each);
  verbs = new Verbs({
    store,
    registry,
    leavings,
    authenticator,
    feeds: { hold: () => feed, release: ignore, leave: ignore },
    refusals: {
      tell: (to: Session, ref: number, code: 'limit', text: string) => {
        to.refuse(ref, code, text);
      },
    },
    wheel: {
      in: (_ms: number, run: () => void) => (deadlines.add(run), { cancel: () => deadlines.delete(run) }),
    },
    endings: {
      tell: (ref: SessionRef, ended: boolean) => {
        told.push([ref, ended]);
        return new Promise<void>((resolve) => (storeAnswers = resolve));
      },
    },
    turnRenewal: { watch: ignore, recheck: ignore },
    streams: { recheck: ignore },
    plugins: null,
    topics: { follow: ignore },
    expiryWarningMs: 0,
    expiryGraceMs: 0,
  } as unknown as VerbsOptions);
});

function ignore(): void {
  // Not what is tested here.
}

function identity(expiresAtMs: number): Identity {
  return { ...session.identity, expiresAtMs };
}

async function join(ref: number): Promise<void> {
  verbs.handle(session, { type: 'join', ref, room: LOBBY, since: null });
  await until(() => frames.some((frame) => 'ref' in frame && frame.ref === ref));
}

describe('join', () => {
  test('whose outcome is unknown leaves no member behind in the store', async () => {
    failures = ['unknown_outcome'];
    await join(1);
    expect(frames).toMatchObject([{ type: 'error', ref: 1, code: 'unknown_outcome' }]);
    expect([session.rooms.size, members.size]).toEqual([0, 1]);
    failures = ['unavailable'];
    await leavings.retry();
    expect(members.size).toBe(1);
    await leavings.retry();
    expect(members.size).toBe(0);
  });

  test('that comes after one whose outcome is unknown is not undone', async () => {
    failures = ['unknown_outcome'];
    await join(1);
    await join(2);
    await leavings.retry();
    expect(frames.at(-1)).toMatchObject({ type: 'ok', ref: 2 });
    expect([...session.rooms, ...members]).toEqual([LOBBY, LOBBY]);
  });

  test('that was certainly not done is not undone either', async () => {
    members.add(LOBBY);
    failures = ['unavailable'];
    await join(1);
    await leavings.retry();
    expect(members.size).toBe(1);
  });

  test('of a session that is somewhere else now is not for this worker to undo', async () => {
    failures = ['unknown_outcome'];
    await join(1);
    registry.remove(session);
    await leavings.retry();
    registry.add(session);
    await leavings.retry();
    expect(members.size).toBe(1);
  });
});

describe('leave', () => {
  test.each(['unknown_outcome', 'unavailable'] as const)(
    'that fails with %s is done when the store hears again',
    async (code) => {
      await join(1);
      failures = [code];
      verbs.handle(session, { type: 'leave', ref: 2, room: LOBBY });
      await until(() => frames.length === 2);
      expect(frames.at(-1)).toMatchObject({ type: 'error', ref: 2, code });
      members.add(LOBBY);
      await leavings.retry();
      expect(members.size).toBe(0);
    },
  );
});

describe('token', () => {
  function bring(ref: number, token: string): void {
    verbs.handle(session, { type: 'token', ref, token });
  }
  const answered = (ref: number) => until(() => frames.some((frame) => 'ref' in frame && frame.ref === ref));

  test('the last of two counts, also when the first takes longer to check', async () => {
    bring(1, 'slow');
    bring(2, 'quick');
    const later = Date.now() + 60_000;
    checks.get('quick')?.(identity(later));
    checks.get('slow')?.(identity(later - 30_000));
    await answered(1);
    await until(() => checks.has('quick'));
    checks.get('quick')?.(identity(later));
    await answered(2);
    expect(session.identity.expiresAtMs).toBe(later);
  });

  test('one that is refused does not hold up the next', async () => {
    bring(1, 'bad');
    bring(2, 'good');
    const expiresAtMs = Date.now() + 60_000;
    checks.get('bad')?.(new ProtocolError('invalid_token'));
    await until(() => checks.has('good'));
    checks.get('good')?.(identity(expiresAtMs));
    await answered(2);
    expect(frames).toMatchObject([
      { type: 'error', ref: 1, code: 'invalid_token' },
      { type: 'ok', ref: 2 },
    ]);
    expect(session.identity.expiresAtMs).toBe(expiresAtMs);
  });
});

describe('bye', () => {
  let closes: string[];
  beforeEach(() => {
    closes = [];
    Object.assign(session.connection, { close: (code: string) => closes.push(code) });
    verbs.handle(session, { type: 'bye' });
  });

  test('closes the connection when the store has ended the session, and not before', async () => {
    expect([told, closes]).toEqual([[[session.ref, true]], []]);
    expect(session).toMatchObject({ ended: true, isEndTold: true });
    storeAnswers();
    await until(() => closes.length > 0);
    expect(closes).toEqual(['normal']);
    expect(deadlines.size).toBe(0);
  });

  test('closes it without the store, too, when that does not answer in time', async () => {
    for (const run of deadlines) run();
    expect(closes).toEqual(['normal']);
  });

  test('is the last word: what comes behind it is not served', () => {
    verbs.handle(session, { type: 'join', ref: 1, room: LOBBY, since: null });
    verbs.handle(session, { type: 'bye' });
    expect([frames, members.size, told.length]).toEqual([[], 0, 1]);
  });
});
