// Two parts of one page call and take calls on the same client, and neither meets the other's peers.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Stage } from './scene.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(['Chromium', 'Chromium']);
}, 120_000);
afterAll(() => stage.close(), 60_000);

const TAKE = `(async () => {
  window.taken = {};
  window.stops = {};
  for (const part of ['game', 'chat', ''])
    stops[part] = await client.onPeer((peer) => {
      (taken[part] ??= []).push(peer);
      peer.on('datachannel', ({ label }) => (peer.label = label));
      peer.on('close', (reason) => (peer.reason = reason));
    }, {}, part === '' ? {} : { name: part });
})()`;

const call = (name: string): string => `(async () => {
  const peer = await client.peer('bob', {}, { name: '${name}' });
  (window.made ??= {})['${name}'] = peer;
  await peer.createDataChannel('of ${name}');
})()`;

const heard = `Object.fromEntries(Object.entries(taken).map(([part, peers]) => [part, peers.map(({ name, label }) => [name, label])]))`;

test('each part takes the calls under its name, and one part the rest', async () => {
  const [alice, bob] = stage.pages;
  await bob.evaluate(TAKE);
  await alice.evaluate(
    `(async () => { await ${call('chat')}; await ${call('whiteboard')}; await ${call('game')}; })()`,
  );
  await bob.evaluate(`until(() => Object.values(taken).flat().filter(({ label }) => label).length === 3)`);
  expect(await bob.evaluate(heard)).toEqual({
    chat: [['chat', 'of chat']],
    game: [['game', 'of game']],
    '': [['whiteboard', 'of whiteboard']],
  });
}, 60_000);

test('what one part closes is over for it alone', async () => {
  const [alice, bob] = stage.pages;
  await bob.evaluate(`taken.game[0].close()`);
  expect(await alice.evaluate(`until(() => made.game.state === 'closed' && made.chat.state)`)).toBe(
    'connected',
  );
  expect(await bob.evaluate(`[taken.chat[0].state, taken[''][0].state]`)).toEqual(['connected', 'connected']);
}, 60_000);

test('a name has one handler at a time, and standing offers are not for names', async () => {
  const [, bob] = stage.pages;
  const refusal = (options: string): string =>
    `client.onPeer(() => {}, {}, ${options}).then(() => 'taken', (error) => error.name + ': ' + error.message)`;
  expect(await bob.evaluate(refusal(`{ name: 'chat' }`))).toMatch(/^TypeError: .*chat already/);
  expect(await bob.evaluate(refusal(`{}`))).toMatch(/^TypeError: .*already/);
  expect(await bob.evaluate(refusal(`{ name: '~mesh' }`))).toMatch(/^TypeError: /);
  expect(await bob.evaluate(refusal(`{ name: 'other', standing: true }`))).toMatch(/^TypeError: /);
  await bob.evaluate(`stops.chat()`);
  expect(await bob.evaluate(refusal(`{ name: 'chat' }`))).toBe('taken');
}, 60_000);
