// A11: what clients say makes no time series of its own, whatever they say.
import { expect, test } from '@jest/globals';
import { ADMIN_KEY, startGateway, tokenOf, until } from '../gateway-process.js';
import { closeFrame, RawWebSocket } from './raw-websocket.js';

const CLIENTS = 30;

test('close codes, names, rooms, events and agents of clients are no labels', async () => {
  const gateway = await startGateway({ WORKERS: '1', HANDSHAKES_PER_SECOND_LIMIT: '0' });
  try {
    const exposition = async (): Promise<string> => {
      const url = `http://127.0.0.1:${String(gateway.adminPort)}/metrics`;
      return (await fetch(url, { headers: { Authorization: `Bearer ${ADMIN_KEY}` } })).text();
    };
    const run = async (at: number): Promise<void> => {
      const mark = `zebra${String(at)}`;
      const client = await RawWebSocket.open(gateway.port);
      client.say([0, 1, tokenOf(mark), null, `${mark}/1.0`]);
      await client.next();
      client.say([32, 1, `${mark}-room`, null]);
      await client.answerTo(1);
      client.say([16, 2, 0, {}, `${mark}-nobody`, `${mark}-event`, 'none', null]);
      await client.answerTo(2);
      client.say([999, 3]);
      await client.answerTo(3);
      client.write(closeFrame(3000 + at));
      await client.ended;
    };
    const series = (text: string): string[] =>
      text
        .split('\n')
        .filter((line) => line.startsWith('signalbox_'))
        .map((line) => line.slice(0, line.lastIndexOf(' ')))
        .sort();
    const closed = async (count: number) =>
      until(async () => (await gateway.metric('closes_total', { code: 'other' })) === count);
    await run(0);
    await closed(1);
    const before = series(await exposition());
    for (let at = 1; at < CLIENTS; at++) await run(at);
    await closed(CLIENTS);
    const after = await exposition();
    expect(after).not.toContain('zebra');
    expect(series(after)).toEqual(before);
  } finally {
    await gateway.stop();
  }
});
