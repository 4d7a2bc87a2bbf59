// The real simple-peer signals through a client with two lines, in real Chromium.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Stage } from './scene.js';

const LIBRARY = readFileSync(
  new URL('../../../node_modules/simple-peer/simplepeer.min.js', import.meta.url),
  'utf8',
);
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(['Chromium', 'Chromium']);
  for (const page of stage.pages) await page.evaluate(`(() => { ${LIBRARY} })()`);
}, 120_000);
afterAll(() => stage.close(), 60_000);

/** The two lines are those with \`simplePeerSignaling\`. */
const side = (remote: string, initiator: boolean): string => `(async () => {
  const peer = (window.simple = new SimplePeer({ initiator: ${String(initiator)} }));
  const { simplePeerSignaling } = await import('/rtc.js');
  peer.on('error', (error) => (window.failure = error.code));
  simplePeerSignaling(client, '${remote}', peer);
  window.heard = [];
  peer.on('data', (data) => heard.push(new TextDecoder().decode(data)));
})()`;

test('simple-peer connects, and exchanges data both ways', async () => {
  const [alice, bob] = stage.pages;
  await bob.evaluate(side('alice', false));
  await alice.evaluate(side('bob', true));
  await alice.evaluate(`until(() => simple.connected)`);
  await bob.evaluate(`until(() => simple.connected)`);
  await alice.evaluate(`simple.send('from alice')`);
  await bob.evaluate(`simple.send('from bob')`);
  expect(await bob.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['from alice']);
  expect(await alice.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['from bob']);
}, 60_000);

test('simple-peer is destroyed with the error when a signal cannot be sent', async () => {
  const [alice] = stage.pages;
  await alice.evaluate(side('nobody', true));
  expect(await alice.evaluate(`until(() => window.failure)`)).toBe('not_found');
}, 60_000);
