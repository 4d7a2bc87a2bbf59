// The line of examples/phone.mjs over a real gateway: who has which call when several pages ring, take, decline and go at the same moment.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Client } from '../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from './gateway-process.js';

interface Call {
  id: string;
  who: string;
  stage: 'calling' | 'ringing' | 'taking' | 'talking';
}
interface Line {
  readonly call: Call | null;
  isLost: boolean;
  ring(who: string): void;
  take(): void;
  decline(): void;
  hangUp(): void;
  gone(who: string): void;
  ended(id: string, why: unknown): void;
  close(): void;
}
type Changed = (call: Call | null, why: unknown) => void;
const { Line } = (await import(new URL('../examples/phone-line.js', import.meta.url).href)) as {
  Line: new (client: Client, changed: Changed, ringMs?: number) => Line;
};

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

const pages: Page[] = [];
afterEach(async () => {
  for (const { client, line } of pages.splice(0)) {
    line.close();
    await client.close();
  }
});

interface Page {
  client: Client;
  line: Line;
  /** Its stages, and why calls ended. */
  log: unknown[];
}

async function page(
  name: string,
  ringMs?: number,
  heard: (made: Page) => void = () => undefined,
): Promise<Page> {
  const client = new Client(gateway.url, { token: tokenOf(name) });
  const log: unknown[] = [];
  const line = new Line(
    client,
    (call, why) => {
      log.push(call === null ? why : call.stage);
      heard(made);
    },
    ringMs,
  );
  client.on('error', (error) => log.push(error));
  const made: Page = { client, line, log };
  pages.push(made);
  await client.connect();
  return made;
}
const stage = ({ line }: Page): string => line.call?.stage ?? 'idle';
const reach = (wanted: string, ...pages: Page[]): Promise<unknown> =>
  until(() => pages.every((one) => stage(one) === wanted));
const lastOf = ({ log }: Page): unknown => log.at(-1);

test('it rings in every page of a name, and one that takes the call has it', async () => {
  const [ada, desk, sofa] = await Promise.all([page('ada'), page('grace'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', desk, sofa);
  expect(stage(ada)).toBe('calling');
  sofa.line.take();
  await reach('talking', ada, sofa);
  await reach('idle', desk);
  expect(lastOf(desk)).toBe('elsewhere');
  expect([ada.line.call?.id, ada.line.call?.who]).toEqual([sofa.line.call?.id, 'grace']);
  sofa.line.hangUp();
  await reach('idle', ada);
  expect(lastOf(ada)).toBe('hung up');
  expect([ada.log, desk.log, sofa.log]).toEqual([
    ['calling', 'talking', 'hung up'],
    ['ringing', 'elsewhere'],
    ['ringing', 'taking', 'talking', 'ended'],
  ]);
});

test('of two pages that take it at the same moment one has it', async () => {
  const [ada, desk, sofa] = await Promise.all([page('ada'), page('grace'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', desk, sofa);
  desk.line.take();
  sofa.line.take();
  await until(() => [desk, sofa].filter((one) => stage(one) === 'idle').length === 1);
  const [winner, loser] = stage(desk) === 'talking' ? [desk, sofa] : [sofa, desk];
  expect(lastOf(loser)).toBe('elsewhere');
  winner.line.hangUp();
  await reach('idle', ada);
  expect(ada.log).toEqual(['calling', 'talking', 'hung up']);
});

test('who declines in one page has declined in all', async () => {
  const [ada, desk, sofa] = await Promise.all([page('ada'), page('grace'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', desk, sofa);
  desk.line.decline();
  await reach('idle', ada, desk, sofa);
  expect([lastOf(ada), lastOf(desk), lastOf(sofa)]).toEqual(['declined', 'ended', 'elsewhere']);
});

test('it rings on where one of the pages goes', async () => {
  const [ada, desk, sofa] = await Promise.all([page('ada'), page('grace'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', desk, sofa);
  desk.line.hangUp();
  sofa.line.take();
  await reach('talking', ada, sofa);
  expect(desk.log).toEqual(['ringing', 'ended']);
});

test('who is in a call is busy, and hears nothing of it', async () => {
  const [ada, grace, alan] = await Promise.all([page('ada'), page('grace'), page('alan')]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  alan.line.ring('grace');
  await reach('idle', alan);
  expect(lastOf(alan)).toBe('busy');
  grace.line.take();
  await reach('talking', ada, grace);
  alan.line.ring('ada');
  await until(() => alan.log.length === 4);
  expect(lastOf(alan)).toBe('busy');
  expect([stage(ada), stage(grace)]).toEqual(['talking', 'talking']);
});

test('two who call each other talk, and their other pages ring no longer', async () => {
  const [ada, adas, grace, graces] = await Promise.all([
    page('ada'),
    page('ada'),
    page('grace'),
    page('grace'),
  ]);
  // In one turn: neither has heard the other's.
  ada.line.ring('grace');
  grace.line.ring('ada');
  await reach('talking', ada, grace);
  expect(ada.line.call?.id).toBe(grace.line.call?.id);
  await until(() => [adas, graces].every(({ log }) => log.length === 2));
  expect([adas.log, graces.log]).toEqual([
    ['ringing', 'elsewhere'],
    ['ringing', 'elsewhere'],
  ]);
  expect([stage(ada), stage(grace)]).toEqual(['talking', 'talking']);
});

test('a caller that gives up, or is gone, was missed', async () => {
  const [ada, grace] = await Promise.all([page('ada'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  ada.line.hangUp();
  await reach('idle', grace);
  expect([lastOf(ada), lastOf(grace)]).toEqual(['ended', 'missed']);
  ada.line.ring('grace');
  await reach('ringing', grace);
  // As presence tells it, after some seconds already.
  ada.line.gone('alan');
  grace.line.gone('ada');
  expect([stage(ada), stage(grace)]).toEqual(['calling', 'ringing']);
  ada.line.gone('grace');
  await reach('idle', grace);
  expect([lastOf(ada), lastOf(grace)]).toEqual(['absent', 'missed']);
});

test('it does not ring for ever', async () => {
  const [ada, alan, grace] = await Promise.all([page('ada', 50), page('alan'), page('grace', 50)]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  await reach('idle', ada, grace);
  expect([lastOf(ada), lastOf(grace)]).toEqual(['unanswered', 'missed']);
  // Of a caller that never says that it gives up.
  alan.line.ring('grace');
  await reach('ringing', grace);
  await reach('idle', grace);
  expect([lastOf(grace), stage(alan)]).toEqual(['missed', 'calling']);
});

test('a call that is taken as the caller gives up is over on both sides', async () => {
  const [ada, grace] = await Promise.all([page('ada'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  grace.line.take();
  ada.line.hangUp();
  await reach('idle', grace);
  expect([ada.log, grace.log]).toEqual([
    ['calling', 'ended'],
    ['ringing', 'taking', 'missed'],
  ]);
});

test('who cannot be connected with hears it', async () => {
  const [ada, grace] = await Promise.all([page('ada'), page('grace')]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  grace.line.take();
  await reach('talking', ada, grace);
  grace.line.ended(grace.line.call?.id ?? '', 'no WebRTC');
  await reach('idle', ada);
  expect([lastOf(ada), lastOf(grace)]).toEqual(['hung up', 'no WebRTC']);
});

test('what declines at once, as who does not want to be disturbed, leaves nothing behind', async () => {
  const [ada, grace] = await Promise.all([
    page('ada'),
    page('grace', 100, ({ line }) => {
      if (line.call?.stage === 'ringing') line.decline();
    }),
  ]);
  ada.line.ring('grace');
  await reach('idle', ada);
  grace.line.ring('ada');
  await reach('ringing', ada);
  ada.line.take();
  await reach('talking', ada, grace);
  // Longer than it may ring there.
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect([stage(ada), stage(grace)]).toEqual(['talking', 'talking']);
});

test('who has lost a call may call again, and nobody calls oneself', async () => {
  const [ada, grace] = await Promise.all([page('ada'), page('grace')]);
  ada.line.ring('ada');
  expect(ada.log).toEqual([]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  grace.line.take();
  await reach('talking', ada, grace);
  // The page is loaded again, and nothing told.
  ada.client.close().catch(() => undefined);
  const again = await page('ada');
  again.line.ring('grace');
  await reach('idle', again);
  expect(lastOf(again)).toBe('busy');
  grace.line.isLost = true;
  again.line.ring('grace');
  await reach('ringing', grace);
  grace.line.take();
  await reach('talking', again, grace);
});

test('who is not online is absent', async () => {
  const ada = await page('ada');
  ada.line.ring('nobody');
  await reach('idle', ada);
  expect(ada.log).toEqual(['calling', 'absent']);
});

test('what somebody else says of a call is not heard', async () => {
  const [ada, grace, mallory] = await Promise.all([page('ada'), page('grace'), page('mallory')]);
  ada.line.ring('grace');
  await reach('ringing', grace);
  const id = ada.line.call?.id;
  for (const event of ['phone.take', 'phone.decline', 'phone.settled', 'phone.stop'])
    for (const name of ['ada', 'grace'])
      for (const said of [{ id, page: 'of-mallory' }, { id }, null, 7])
        await mallory.client.send(name, event, said, { delivered: true });
  expect([ada.log, grace.log]).toEqual([['calling'], ['ringing']]);
  grace.line.take();
  await reach('talking', ada, grace);
});
