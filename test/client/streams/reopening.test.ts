// A stream to several whose connection breaks while readers come in: what they allowed is not known to the gateway that it comes back to.
import { expect, test } from '@jest/globals';
import type { Client } from '../../../src/client/client.js';
import { ASKS, PARTS } from '../../../src/protocol/frame.js';
import type { StreamId } from '../../../src/protocol/ids.js';
import { ManualEnvironment, until, useScriptedGateways } from '../fixture.js';
import { BOB, OTHER_SESSION, type Peer, type ScriptedGateway } from '../scripted-gateway.js';

const { pair } = useScriptedGateways();
const GATHER_MS = 1_000;

/** The gateway says that bob reads, and takes so much. */
function comesIn(peer: Peer, stream: StreamId, limit: number): void {
  peer.send({ type: 'attached', stream, from: BOB, session: OTHER_SESSION, upTo: 0, limit: 0 });
  if (limit > 0) peer.send({ type: 'credited', stream, upTo: 0, limit, ask: ASKS.nothing });
}

/** The connection breaks, and the client resumes its session on another one. */
async function comeBack(client: Client, gateway: ScriptedGateway, peer: Peer, clock: ManualEnvironment) {
  const states: string[] = [];
  client.on('state', (state) => states.push(state));
  peer.cut();
  await until(() => states.includes('reconnecting'));
  clock.advance(1);
  const again = await gateway.accept();
  await again.welcome({ resumed: true });
  return again;
}

test('nothing is sent before the new gateway has said what its readers allow, and who has not come in is offered it again', async () => {
  const clock = new ManualEnvironment();
  const { gateway, client, peer } = await pair({}, clock);
  const opening = client.openBroadcast('cast', { timeoutMs: GATHER_MS });
  const { stream } = await peer.next('openStream');
  comesIn(peer, stream, 100_000);
  // It has heard that when this is answered.
  const answered = client.request('bob', 'ping', null);
  peer.ok((await peer.next('request')).ref);
  await answered;
  const again = await comeBack(client, gateway, peer, clock);
  expect(await again.next('attachStream')).toMatchObject({ stream, opened: true, to: null });
  expect(await again.next('openStream')).toMatchObject({ stream });
  clock.advance(GATHER_MS);
  const { writable, readers } = await opening;
  expect(readers).toBe(1);
  const writing = writable.getWriter().write(new Uint8Array(1_000));
  const asked = client.request('bob', 'ping', null);
  // What was written would have come before it.
  again.ok((await again.next('request')).ref);
  await Promise.all([writing, asked]);
  comesIn(again, stream, 50_000);
  expect(await again.next('chunk')).toMatchObject({ stream, offset: 0, part: PARTS.data });
});

test('where nobody had come in yet it is opened once more, and waits for no reader', async () => {
  const clock = new ManualEnvironment();
  const { gateway, client, peer } = await pair({}, clock);
  const opening = client.openBroadcast('cast', { timeoutMs: GATHER_MS });
  const { stream } = await peer.next('openStream');
  const again = await comeBack(client, gateway, peer, clock);
  expect(await again.next('openStream')).toMatchObject({ stream });
  comesIn(again, stream, 50_000);
  const answered = client.request('bob', 'ping', null);
  again.ok((await again.next('request')).ref);
  await answered;
  clock.advance(GATHER_MS);
  const { writable } = await opening;
  await writable.getWriter().write(new Uint8Array(1_000));
  expect(await again.next('chunk')).toMatchObject({ stream, offset: 0 });
});
