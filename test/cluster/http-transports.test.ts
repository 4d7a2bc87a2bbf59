// Requests of a connection may reach any worker of any node, overtake each other and come again.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { askHttp, post, RawStream } from '../bad-input/raw-http.js';
import { tokenOf, until } from '../gateway-process.js';
import { type Deployment, deploy } from './deployment.js';

const hello = (name: string): unknown[] => [0, 1, tokenOf(name), null, null];
const publish = (ref: number): unknown[] => [35, ref, null, {}, 'lobby', 'n', 'json', ref];
/** What the stream's own publishes brought back, in order. */
const heard = (stream: RawStream): unknown[] =>
  stream.frames.filter(([type]) => type === 36).map((frame) => frame[8]);

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  let ports: number[];
  beforeAll(async () => {
    deployment = await deploy(store, { WORKERS: '2', CRASH_LOOP_LIMIT: '3' });
    ports = deployment.gateways.map(({ port }) => port);
  });
  afterAll(() => deployment.stop());
  const [anyPort, otherPort] = [(i: number) => ports[i % ports.length] ?? 0, () => ports.at(-1) ?? 0];

  test('POSTs to every worker and node, in any order and twice, are taken in order and once', async () => {
    const stream = await RawStream.open(anyPort(0));
    const id = await stream.id();
    expect((await post(otherPort(), id, 1, [hello('alice'), [32, 1, 'lobby', null]])).status).toBe(204);
    await until(() => stream.frames.some(([type, ref]) => type === 5 && ref === 1));
    const asked: Promise<{ status: number }>[] = [];
    for (let from = 2; from < 42; from += 4) {
      // The last of four first, and each of them twice.
      const numbers = [3, 2, 1, 0].map((step) => from + step);
      for (const [i, number] of [...numbers, ...numbers].entries()) {
        asked.push(post(anyPort(i), id, number, [publish(number * 2), publish(number * 2 + 1)]));
      }
      // Those of one number may be told that a newer try is under way.
      for (const { status } of await Promise.all(asked)) expect([204, 409]).toContain(status);
    }
    const expected = Array.from({ length: 80 }, (_, i) => i + 4);
    await until(() => heard(stream).length >= expected.length);
    expect(heard(stream)).toEqual(expected);
    const paths = store === 'redis' ? ['unix', 'redis'] : ['unix'];
    for (const path of paths)
      expect(await deployment.metric('relay_envelopes_total', { path, outcome: 'sent' })).toBeGreaterThan(5);
    await post(anyPort(0), id, 42, [[9]]);
    expect(await stream.close()).toBe(1000);
    const late = await post(otherPort(), id, 43, [publish(1)]);
    expect([late.status, JSON.parse(late.body)]).toEqual([410, { code: 'normal', close: 1000 }]);
  });

  test('a poll that is asked again, on another worker, is answered with the same frames; a further one is refused', async () => {
    const opened = await askHttp(anyPort(0), { path: '/v1/poll' });
    const { connection } = JSON.parse(opened.body) as { connection: string };
    const poll = (number: number, port: number) =>
      askHttp(port, {
        path: '/v1/poll',
        headers: { 'Signalbox-Connection': connection, 'Signalbox-Number': String(number) },
      });
    await post(otherPort(), connection, 1, [hello('bob')]);
    const first = await poll(1, anyPort(1));
    expect(first.status).toBe(200);
    expect(first.headers['cache-control']).toBe('no-store');
    expect(JSON.parse(first.body)[0]).toBe(1);
    for (const port of [...ports, ...ports]) expect((await poll(1, port)).body).toBe(first.body);
    expect((await poll(3, anyPort(0))).status).toBe(409);
    // The newer of two takes the older one's place.
    const older = poll(2, anyPort(0));
    const olderAnswered = older.then(({ status }) => status);
    let status = 0;
    const newer = until(async () => {
      if (status !== 0) return true;
      void olderAnswered.then((told) => (status = told));
      void poll(2, otherPort());
      return null;
    });
    await newer;
    expect(status).toBe(204);
    await post(otherPort(), connection, 2, [[9]]);
    const last = await until(async () => {
      const answer = await poll(2, anyPort(0));
      return answer.status === 204 ? null : answer;
    });
    // One of those that were asked before may have been told first.
    expect(last.headers['signalbox-close'] ?? String(JSON.parse(last.body).close)).toBe('1000');
  });

  test('a request for a connection of a dead worker, or of none, is answered with 404', async () => {
    const stream = await RawStream.open(anyPort(0));
    const id = await stream.id();
    const workers = await Promise.all(deployment.gateways.map((gateway) => gateway.workers()));
    const worker = workers.flat().find((one) => id.startsWith(`${one.id}!`));
    expect(worker).toBeDefined();
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    await until(() => stream.ended);
    const dead = await until(async () => {
      const answer = await post(otherPort(), id, 1, [hello('carol')]);
      return answer.status === 404 ? answer : null;
    });
    expect(JSON.parse(dead.body)).toEqual({ code: 'no_connection' });
    for (const made of [`${id.split('!')[0] ?? ''}!${'A'.repeat(22)}`, 'rubbish', '../../x.1!abc'])
      expect((await post(anyPort(0), made, 1, [hello('carol')])).status).toBe(404);
  });
});
