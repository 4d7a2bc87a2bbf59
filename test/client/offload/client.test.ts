// A client whose payloads are encoded by a worker that does what a test says: what is written when, and what becomes of a payload that is late or never comes.
import { afterEach, expect, test } from '@jest/globals';
import { Client } from '../../../src/client/client.js';
import type { ClientFrame, GatewayFrame } from '../../../src/protocol/frame.js';
import { msgpackCodec } from '../../../src/protocol/msgpack-codec.js';
import { encodePayload, NO_PAYLOAD } from '../../../src/protocol/payload.js';
import { HELLO_SUBPROTOCOL } from '../../../src/protocol/subprotocol.js';
import { codeOf, EAGER, TOKEN, until } from '../fixture.js';
import { WELCOME } from '../scripted-gateway.js';
import { type ScriptedWorker, useScriptedWorkers, workers } from './scripted-worker.js';

/** Enough to be encoded by a worker. */
const LARGE = Array<number>(1_000).fill(1);
const { encoding: ENCODING, data: DATA } = encodePayload(LARGE);

type SendFrame = Extract<ClientFrame, { type: 'send' }>;

let client: Client;

afterEach(async () => {
  const closed = client.close();
  for (const worker of workers) worker.report(['close', 1000]);
  await closed;
});
// Its workers are forgotten after that.
useScriptedWorkers();

function say(worker: ScriptedWorker, frame: GatewayFrame): void {
  worker.report(['message', (msgpackCodec.encodeGateway(frame) as Uint8Array).slice().buffer]);
}

/** The messages that the worker was given, each with what it has to put in. */
function messagesOf({ tasks }: ScriptedWorker): [frame: SendFrame, payload: number | null][] {
  return tasks.flatMap((task) => {
    if (task[0] !== 'send') return [];
    const frame = msgpackCodec.decodeClient(task[1]);
    return frame.type === 'send' ? [[frame, task[3]]] : [];
  });
}

/** The worker of the client's next connection, which it brings to its welcome. */
async function welcomed(place: number): Promise<ScriptedWorker> {
  await until(() => workers.length === place);
  const worker = workers[place - 1] as ScriptedWorker;
  worker.report(['ready'], ['open', HELLO_SUBPROTOCOL]);
  say(worker, { type: 'welcome', info: { ...WELCOME, resumed: place > 1 } });
  return worker;
}

async function connected(): Promise<ScriptedWorker> {
  client = new Client('ws://127.0.0.1:1', { token: TOKEN, offload: true, transports: ['websocket'] }, EAGER);
  client.on('error', () => {});
  const connection = client.connect();
  const worker = await welcomed(1);
  await connection;
  // The code that makes calls is there.
  const online = client.isOnline('bob');
  await until(() => worker.tasks.length > 1);
  say(worker, { type: 'ok', ref: 1, result: true });
  await online;
  return worker;
}

test('a large message is written at once, and after a loss again when its bytes are there, ahead of what follows it', async () => {
  const first = await connected();
  const sent = client.send('bob', 'n', LARGE);
  // In the same turn: nothing can come between.
  expect(messagesOf(first)).toMatchObject([[{ to: 'bob', seq: 1, payload: NO_PAYLOAD }, 1]]);
  first.report(['close', 1006]);
  const second = await welcomed(2);
  const other = client.send('bob', 'n', 'small');
  void client.send('carol', 'n', 'elsewhere').catch(() => {});
  await until(() => messagesOf(second).length > 0);
  expect(messagesOf(second)).toMatchObject([[{ to: 'carol', seq: 1 }, null]]);

  first.report(['encoded', 1, ENCODING, DATA.slice().buffer]);
  await until(() => messagesOf(second).length > 1);
  const [again] = messagesOf(second)[1] as [SendFrame, null];
  expect(again).toMatchObject({ to: 'bob', seq: 1, payload: { encoding: ENCODING, data: DATA } });
  say(second, { type: 'ok', ref: again.ref, result: { id: 'e:1-x' } });
  expect(await sent).toEqual({ id: 'e:1-x', absent: [] });
  await until(() => messagesOf(second).length > 2);
  const [next] = messagesOf(second)[2] as [SendFrame, null];
  expect([next.to, next.seq]).toEqual(['bob', 2]);
  say(second, { type: 'ok', ref: next.ref, result: { id: 'e:2-x' } });
  await other;
});

test('one that cannot be encoded after all is refused alone: what follows it is stored', async () => {
  const worker = await connected();
  const sent = codeOf(client.send('bob', 'n', LARGE));
  worker.report(['unencodable', 1]);
  expect(await sent).toBe('bad_payload');
  const other = client.send('bob', 'n', 'small');
  const [, [frame] = []] = messagesOf(worker);
  expect(frame).toMatchObject({ to: 'bob', seq: 2 });
  // The gateway does not know that the first will not come.
  say(worker, { type: 'error', ref: frame?.ref ?? 0, code: 'out_of_order', text: '', expected: 1 });
  await until(() => messagesOf(worker).length > 2);
  const [, , [again] = []] = messagesOf(worker);
  expect(again).toMatchObject({ seq: 2, options: { first: 2 } });
  say(worker, { type: 'ok', ref: again?.ref ?? 0, result: { id: 'e:1-x' } });
  expect(await other).toEqual({ id: 'e:1-x', absent: [] });
});

test('a request that cannot be encoded after all rejects with bad_payload', async () => {
  const worker = await connected();
  const answer = codeOf(client.request('bob', 'n', LARGE));
  worker.report(['unencodable', 1]);
  expect(await answer).toBe('bad_payload');
});
