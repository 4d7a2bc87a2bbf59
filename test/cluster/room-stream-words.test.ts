// What the opener of a stream to several is told of its readers: frame by frame, as the SDK's timing seldom shows it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RawWebSocket } from '../bad-input/raw-websocket.js';
import { type GatewayProcess, startGateway, tokenOf } from '../gateway-process.js';

/** Type numbers of docs/protocol.md. */
const [OPEN, OFFER, ATTACH, ATTACHED, CHUNK, PIECE, CREDIT, CREDITED] = [64, 65, 66, 67, 68, 69, 70, 71];
const [NOTHING, TELL, AGAIN] = [0, 1, 2];
const ID = 'StReAmStReAmStReAmStRe';
const WINDOW = 100_000;
/** What a chunk of 1,000 bytes counts. */
const COST = 1_064;

let gateway: GatewayProcess;
let alice: RawWebSocket;
let bob: RawWebSocket;
let carol: RawWebSocket;

/** The next frame of this type; others are passed over. */
async function nextOf(socket: RawWebSocket, type: number | undefined): Promise<unknown[]> {
  for (;;) {
    const frame = await socket.next();
    if (frame[0] === type) return frame;
  }
}

/** Of what the opener is told, the first word that is as wanted; a test without it ends by its time-out. */
async function told(wanted: (upTo: number, limit: number, ask: number) => boolean): Promise<unknown[]> {
  for (;;) {
    const frame = await nextOf(alice, CREDITED);
    if (wanted(Number(frame[2]), Number(frame[3]), Number(frame[4]))) return frame;
  }
}

beforeEach(async () => {
  gateway = await startGateway({ WORKERS: '1' });
  const enter = (name: string): Promise<RawWebSocket> => RawWebSocket.enter(gateway.port, tokenOf(name));
  [alice, bob, carol] = [await enter('alice'), await enter('bob'), await enter('carol')];
  alice.say([OPEN, ID, null, null, 'cast', false, 'none', null]);
  for (const reader of [bob, carol]) {
    const offer = await nextOf(reader, OFFER);
    reader.say([ATTACH, ID, `alice#${String(offer[3])}`, null, false, 0, WINDOW, false]);
    await nextOf(alice, ATTACHED);
  }
  for (let i = 0; i < 10; i++)
    alice.say([CHUNK, ID, i * COST, 0, 'bytes', Buffer.alloc(1_000).toString('base64')]);
  for (const reader of [bob, carol]) for (let i = 0; i < 10; i++) await nextOf(reader, PIECE);
}, 60_000);

afterEach(async () => {
  await Promise.all([alice, bob, carol].map((socket) => socket.destroy()));
  await gateway.stop();
}, 60_000);

test('who asks for what it has lost does not speak for those who have less: the opener still keeps that for them', async () => {
  carol.say([CREDIT, ID, 2 * COST, WINDOW + 2 * COST, NOTHING]);
  bob.say([CREDIT, ID, 7 * COST, WINDOW + 7 * COST, AGAIN]);
  const [, , upTo] = await told((_upTo, _limit, ask) => ask === AGAIN);
  expect(upTo).toBe(2 * COST);
}, 60_000);

test('an opener that asks is answered when all readers have, also where they say nothing new', async () => {
  for (const reader of [bob, carol]) reader.say([CREDIT, ID, 5 * COST, WINDOW + 5 * COST, NOTHING]);
  await told((upTo) => upTo === 5 * COST);
  for (let asked = 0; asked < 2; asked++) {
    alice.say([CREDIT, ID, 0, 0, TELL]);
    for (const reader of [bob, carol]) {
      await nextOf(reader, CREDITED);
      reader.say([CREDIT, ID, 5 * COST, WINDOW + 5 * COST, NOTHING]);
    }
    expect((await told(() => true)).slice(2, 4)).toEqual([5 * COST, WINDOW + 5 * COST]);
  }
}, 60_000);
