// A plugin that decides, and what it decides with: worker and application are killed or hang while verdicts are out.
import type { Client } from '../../../src/client/index.js';
import { Application } from '../application.js';
import { guest } from '../guest.js';
import { codeOf } from '../observe.js';
import { waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const SECRET = 'hook-secret-for-faults-0123456789abcdef';
/** Of one question, ms: long enough for a busy machine, for what is late is asked again. */
const QUESTION_MS = 1_500;
const ROOM = 'court';

/** What nobody decides is refused; the last try may still have been under way when the sender's patience ended. */
const UNDECIDED = new Set(['unavailable', 'unknown_outcome']);
/** What may become of what is forbidden. */
const NEVER_SERVED = new Set(['forbidden', ...UNDECIDED]);

/** The guests' patience with what nobody decides, ms: an SDK that asks again for 30 s would make the row long. */
const ACCEPT_MS = 1_000;

const outcomeOf = (call: Promise<unknown>): Promise<string> => call.then(() => 'served', codeOf);

/** Publishes without a pause what must never be served, kept and volatile, and remembers what it was told. */
class Offender {
  readonly codes = new Map<string, number>();
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(readonly client: Client) {
    this.#done = this.#offend();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #offend(): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const room = this.client.room(ROOM);
      // Nothing answers it: whether it was served, its witness knows.
      await room.publish('crime', i, { volatile: true }).catch(() => undefined);
      const told = await outcomeOf(room.publish('crime', i));
      this.codes.set(told, (this.codes.get(told) ?? 0) + 1);
      // A refusal without a question would make this a loop without a pause.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function decider(scene: Scene): Promise<Outcome> {
  const application = await Application.start('mallory');
  scene.atEnd(() => application.close());
  const options = { url: application.url, secret: SECRET, timeoutMs: QUESTION_MS };
  const plugin = { module: 'authorize', options, timeoutMs: QUESTION_MS + 500 };
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url, PLUGINS: JSON.stringify([plugin]) } });
  // Half of what is said goes to rooms, and waits for a verdict.
  const share = scene.quick ? 1 : 3;
  await scene.crowd({
    urls: [gateway.url],
    clients: 20 * share,
    ratePerSecond: 40 * share,
    roomSize: 5,
    roomShare: 0.5,
  });
  const [witness, mallory, honest] = await Promise.all(
    ['witness', 'mallory', 'honest'].map(async (name) => {
      const client = await guest(gateway.url, name, { acceptTimeoutMs: ACCEPT_MS });
      scene.atEnd(() => client.close());
      await client.connect();
      return client;
    }),
  );
  if (witness === undefined || mallory === undefined || honest === undefined) throw new Error('no guests');
  const crimes: unknown[] = [];
  witness.room(ROOM).onMessage('crime', (data) => crimes.push(data));
  // A message is delivered where somebody listens.
  witness.onMessage('end', () => undefined);
  await witness.room(ROOM).join();
  const joined = await outcomeOf(mallory.room(ROOM).join());
  scene.expect(joined === 'forbidden', `a join that the application forbids was ${joined}`);
  const offender = new Offender(mallory);
  scene.atEnd(() => offender.stop());
  await scene.load.talk();
  await scene.calm(1_000);

  /** With questions whose answer is missing. */
  const midway = (): Promise<unknown> => waitFor('a verdict that is out', () => application.open > 0);
  const recovered = async (): Promise<void> => {
    await scene.healed();
    await waitFor(
      'a verdict again',
      async () => (await outcomeOf(honest.room(ROOM).publish('plea', 0))) === 'served',
    );
  };

  await scene.fault('killing a worker while verdicts are out', async () => {
    await midway();
    await gateway.killWorker(scene.random.below(2));
    await recovered();
  });
  await scene.calm(500);

  await scene.fault('stopping a worker while verdicts are out', async () => {
    const [victim] = await gateway.readyWorkers();
    if (victim === undefined) throw new Error('no worker');
    await midway();
    process.kill(victim.pid, 'SIGSTOP');
    await waitFor('the watchdog', async () =>
      (await gateway.workers()).every(({ pid }) => pid !== victim.pid),
    );
    await recovered();
  });
  await scene.calm(500);

  /** Nobody can be asked: what waits for a verdict is told so, what needs none goes on. */
  const nobodyDecides = async (): Promise<void> => {
    const faults = await gateway.metric('plugin_faults_total');
    const entered = await outcomeOf(honest.room('elsewhere').join());
    scene.expect(entered === 'unavailable', `without a verdict a join was ${entered}`);
    const told = await outcomeOf(honest.room(ROOM).publish('plea', 1));
    scene.expect(UNDECIDED.has(told), `without a verdict a message was ${told}`);
    await witness.send('honest', 'word', 1);
    scene.expect(
      (await gateway.metric('plugin_faults_total')) > faults,
      'no fault of the plugin was counted',
    );
  };
  await scene.fault('the application hangs', async () => {
    application.hang();
    await midway();
    await nobodyDecides();
    application.wake();
    await recovered();
  });
  await scene.calm(500);
  await scene.fault('the application is killed while verdicts are out', async () => {
    await midway();
    await application.kill();
    await nobodyDecides();
    await application.restart();
    await recovered();
  });
  await scene.calm(500);

  await offender.stop();
  // What was on its way to the witness is there when this is.
  await honest.send('witness', 'end', 0, { delivered: true });
  const wrong = [...offender.codes.keys()].filter((code) => !NEVER_SERVED.has(code));
  scene.expect(wrong.length === 0, `what is forbidden was ${wrong.join(', ')}`);
  scene.expect(crimes.length === 0, `${crimes.length} forbidden messages were heard`);
  scene.expect((offender.codes.get('forbidden') ?? 0) > 0, 'nothing was forbidden');
  scene.figures.forbidden = offender.codes.get('forbidden') ?? 0;
  scene.figures.undecided = offender.codes.get('unavailable') ?? 0;
  scene.figures.asked = application.asked;
  return await scene.judge();
}

export const rows: readonly Row[] = [
  {
    id: 'F47D',
    title: 'worker and application of a deciding plugin killed and hung, verdicts out',
    quick: true,
    run: decider,
  },
];
