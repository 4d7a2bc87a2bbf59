// Faults of identity: one session on many connections, several devices, tokens that run out.
import type { HistoryWriter } from '../history.js';
import { pause, waitFor } from '../processes.js';
import { RawSession, type Welcome } from '../raw-session.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

async function twoNodes(scene: Scene, env: Record<string, string> = {}) {
  const redis = await scene.redis();
  const settings = { REDIS_URL: redis.url, ...env };
  return await Promise.all([scene.gateway({ env: settings }), scene.gateway({ env: settings })]);
}

/** Of docs/protocol.md. */
const [OK, SEND, MESSAGE] = [5, 16, 17];
/** Messages to the session after each takeover: only its newest connection may bring them. */
const MESSAGES = 3;

/** One client whose one session many connections want, each of them written down as a witness of its own. */
class Contested {
  readonly all: RawSession[] = [];

  constructor(
    readonly name: string,
    readonly history: HistoryWriter,
  ) {}

  /** @param k those that come at once have one number: which of them is the newest only the gateway knows */
  async connect(url: string, k: number, resume: Welcome | null = null): Promise<RawSession> {
    const { history, name } = this;
    const c = `${name}.${this.all.length}`;
    let s = '';
    const raw = new RawSession(url, name, resume, {
      welcomed: ({ session, resumed }) => history.write({ e: 'up', c, s: (s = session), k, resumed }),
      heard: (frame) => {
        if (frame[0] !== MESSAGE) return;
        const [, id, , from, , , , n] = frame;
        const place = { ch: `inbox:${name}`, from: String(from), n: Number(n), id: String(id) };
        history.write({ e: 'recv', c, ...place, h: Number(n), k });
      },
      closed: (code) => s !== '' && history.write({ e: 'down', c, s, k, code: String(code) }),
    });
    this.all.push(raw);
    return await raw.settled();
  }

  living(session: string): RawSession[] {
    return this.all.filter(({ closed, welcome }) => closed === null && welcome?.session === session);
  }

  /** Kept messages from somebody else; resolves when they are accepted. */
  async tell(url: string): Promise<void> {
    const { history, name } = this;
    const [c, ch] = [`teller.${name}`, `inbox:${name}`];
    const teller = await new RawSession(url, c).settled();
    for (let n = 1; n <= MESSAGES; n++) {
      history.write({ e: 'send', c, ch, n, h: n });
      teller.send([SEND, n, n, {}, name, 'm', 'json', n]);
      const id = await waitFor('its acceptance', () =>
        idIn(teller.frames.find(([type, ref]) => type === OK && ref === n)),
      );
      history.write({ e: 'accepted', c, ch, n, id });
    }
    await teller.cut();
  }

  /** From here on it is owed what is sent. */
  join(raw: RawSession): string {
    const c = `${this.name}.${this.all.indexOf(raw)}`;
    this.history.write({ e: 'member', c, ch: `inbox:${this.name}` });
    return c;
  }
}

function idIn(answer: readonly unknown[] | undefined): string | null {
  const result = answer?.[2];
  const id: unknown = typeof result === 'object' && result !== null ? Reflect.get(result, 'id') : null;
  return typeof id === 'string' ? id : null;
}

/** Ten connections ask for one session at the same moment, at two nodes; then one more takes it from the one that got it. */
async function contend(scene: Scene): Promise<Outcome> {
  const nodes = await twoNodes(scene);
  const history = scene.history('contenders');
  const rounds = scene.quick ? 5 : 20;
  let mostLiving = 0;
  for (let round = 0; round < rounds; round++) {
    const contested = new Contested(`twin${round}`, history);
    const { welcome, closed } = await contested.connect(nodes[0].url, 1);
    if (welcome === null) throw new Error(`no welcome: ${String(closed)}`);
    const living = (): RawSession[] => contested.living(welcome.session);
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => contested.connect(nodes[i % 2 === 0 ? 0 : 1].url, 2, welcome)),
    );
    // Long enough that the checker sees those that live on beside each other.
    await waitFor('one living connection', () => living().length === 1, 5000).catch(() => undefined);
    // Whoever lost must not come to life again.
    await pause(200);
    mostLiving = Math.max(mostLiving, living().length);
    const [winner] = living();
    if (winner === undefined || living().length > 1)
      scene.failures.push(`${living().length} connections of ${contested.name} live`);
    const last = await contested.connect(nodes[round % 2 === 0 ? 1 : 0].url, 3, winner?.welcome ?? welcome);
    const witness = contested.join(last);
    await contested.tell(nodes[1].url);
    await waitFor(
      'the messages',
      () => last.frames.filter(([type]) => type === MESSAGE).length === MESSAGES,
      5000,
    ).catch(() => undefined);
    await waitFor('the last connection alone', () => living().length === 1, 5000).catch(() => undefined);
    const codes = [...new Set(contested.all.flatMap((raw) => (raw.closed === null ? [] : [raw.closed])))];
    scene.expect(
      codes.every((code) => code === 4503 || code === 4015),
      `losers were closed with ${codes.join()}, not with 4503`,
    );
    history.write({ e: 'end', c: witness, finals: [] });
    await Promise.all(contested.all.map((raw) => raw.cut()));
  }
  await history.close();
  scene.figures.mostLiving = mostLiving;
  return scene.verdict();
}

/** No window: a token that runs out is refreshed in time, nobody notices. */
async function expireTokens(scene: Scene): Promise<Outcome> {
  const [a, b] = await twoNodes(scene, {
    TOKEN_EXPIRY_WARNING_MS: '3000',
    TOKEN_EXPIRY_GRACE_MS: '3000',
    TOKEN_LEEWAY_S: '0',
  });
  await scene.crowd({ urls: [a.url, b.url], clients: 30, ratePerSecond: 100, tokenLifeS: 6 });
  await scene.load.talk();
  await scene.calm(scene.quick ? 12_000 : 30_000);
  const outcome = await scene.judge();
  scene.expect(
    Object.keys(outcome.report.closes).length === 0,
    `connections ended: ${JSON.stringify(outcome.report.closes)}`,
  );
  return outcome;
}

/** Half of the devices of a client come and go; the limit holds over both nodes. */
async function manyDevices(scene: Scene): Promise<Outcome> {
  const limit = 5;
  const nodes = await twoNodes(scene, { SESSIONS_PER_CLIENT_LIMIT: String(limit) });
  const devices = await Promise.all(
    Array.from({ length: limit + 3 }, (_, i) =>
      new RawSession(nodes[i % 2 === 0 ? 0 : 1].url, 'person').settled(),
    ),
  );
  const open = devices.filter(({ closed, welcome }) => closed === null && welcome !== null);
  scene.expect(open.length === limit, `${open.length} sessions of one client where ${limit} are allowed`);
  const sessions = new Set(open.map(({ welcome }) => welcome?.session));
  scene.expect(sessions.size === open.length, 'two devices share a session');
  await Promise.all(devices.map((device) => device.cut()));
  scene.figures.open = open.length;
  return scene.verdict();
}

export const rows: readonly Row[] = [
  { id: 'F26', title: 'one session resumed ten times at once, at two nodes', quick: true, run: contend },
  { id: 'F27', title: 'more devices of a client than allowed, at two nodes', quick: false, run: manyDevices },
  { id: 'F33', title: 'tokens expire while connected', quick: false, run: expireTokens },
];
