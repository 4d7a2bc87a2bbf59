// Webhooks of real gateways, with both stores: what the application is told, whatever happens to it and to the gateway.
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Client, type ClientOptions } from '../../src/client/index.js';
import { lostBy } from '../cluster/deployment.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { type RedisServer, startRedis } from '../redis-server.js';
import { type Receiver, startReceiver, webhooksTo } from './receiver.js';

/** Gateways are started, killed and waited for. */
jest.setTimeout(90_000);

const clients: Client[] = [];
const gateways: GatewayProcess[] = [];
const receivers: Receiver[] = [];
let redis: RedisServer | null = null;

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(
    gateways.splice(0).map((gateway) => {
      gateway.process.kill('SIGCONT');
      return gateway.stop();
    }),
  );
  await Promise.all(receivers.splice(0).map((receiver) => receiver.down().catch(() => undefined)));
  await redis?.stop();
  redis = null;
});

async function listen(): Promise<Receiver> {
  const receiver = await startReceiver();
  receivers.push(receiver);
  return receiver;
}

async function start(PLUGINS: string, env: Record<string, string> = {}): Promise<GatewayProcess> {
  const gateway = await startGateway({
    PLUGINS,
    RESUME_WINDOW_MS: '1500',
    PRESENCE_GRACE_MS: '300',
    WORKER_LEASE_MS: '1500',
    ...env,
  });
  gateways.push(gateway);
  return gateway;
}

/** Environment of a gateway with one store or the other. */
async function storeOf(kind: string): Promise<Record<string, string>> {
  if (kind === 'embedded') return {};
  redis = await startRedis();
  return { REDIS_URL: redis.url };
}

async function connect(
  name: string,
  gateway: GatewayProcess,
  options: Partial<ClientOptions> = {},
): Promise<Client> {
  const client = new Client(gateway.url, { token: tokenOf(name), ...options });
  clients.push(client);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const wordsOf = (receiver: Receiver) =>
  receiver.taken.map(({ type, client, room }) => `${type} ${client ?? room ?? ''}`);
const timesOf = (receiver: Receiver, word: string) =>
  wordsOf(receiver).filter((found) => found === word).length;
const isInOrder = (receiver: Receiver) => receiver.taken.every(({ seq }, i) => seq === i + 1);
/** The pids of the processes that send, by their parents. */
async function senderOf(gateway: GatewayProcess): Promise<number> {
  const ps = spawn('ps', ['-o', 'pid=,args=', '--ppid', String(gateway.process.pid)]);
  let output = '';
  for await (const chunk of ps.stdout) output += String(chunk);
  const line = output.split('\n').find((text) => text.includes('--webhook-process'));
  return Number(line?.trim().split(' ')[0]);
}

describe.each(['embedded', 'Redis'])('webhooks, %s store', (kind) => {
  test('tell of sessions and rooms over all workers, signed, each once and in order', async () => {
    const receiver = await listen();
    const gateway = await start(webhooksTo(receiver), await storeOf(kind));
    const ann = await connect('ann', gateway);
    await ann.room('lobby').join();
    const bob = await connect('bob', gateway);
    await bob.room('lobby').join();
    await ann.close();
    // The end of a session is the store's a little later than its client's: until then bob is not the last one in the room.
    await until(() => timesOf(receiver, 'disconnect ann') === 1);
    await bob.room('lobby').leave();
    await bob.room('lobby').join();
    await bob.close();
    await until(() => timesOf(receiver, 'disconnect bob') === 1 && timesOf(receiver, 'vacated lobby') === 2);
    expect(wordsOf(receiver).filter((word) => word.endsWith('lobby'))).toEqual([
      'occupied lobby',
      'vacated lobby',
      'occupied lobby',
      'vacated lobby',
    ]);
    expect(wordsOf(receiver).filter((word) => !word.endsWith('lobby'))).toEqual([
      'connect ann',
      'connect bob',
      'disconnect ann',
      'disconnect bob',
    ]);
    expect(isInOrder(receiver)).toBe(true);
    expect(new Set(receiver.taken.map(({ id }) => id)).size).toBe(receiver.taken.length);
    expect(receiver.wrong).toBe(0);
    const [gone] = receiver.ofType('disconnect');
    const [came] = receiver.ofType('connect');
    expect(gone).toMatchObject({
      client: 'ann',
      session: came?.session,
      sinceMs: came?.atMs,
      lostAtMs: null,
    });
    expect(gone?.atMs).toBeGreaterThanOrEqual(came?.atMs ?? 0);
    expect(Math.abs((gone?.atMs ?? 0) - Date.now())).toBeLessThan(60_000);
    await until(async () => (await gateway.metric('webhook_events_sent_total')) === receiver.taken.length);
    await until(async () => (await gateway.metric('webhook_queue_events')) === 0);
    expect(await gateway.metric('webhook_events_given_up_total')).toBe(0);
  });

  test('tell nothing of a worker that was killed where its sessions come back, and once where they do not', async () => {
    const receiver = await listen();
    // Whoever comes back finds a worker at once: one dies after the other.
    const times = { PRESENCE_GRACE_MS: '3000', RESUME_WINDOW_MS: '4000' };
    const gateway = await start(webhooksTo(receiver), { ...(await storeOf(kind)), ...times });
    const stays = await connect('stays', gateway, { backoff: { minMs: 20, maxMs: 200 } });
    const { sessionId } = stays;
    await stays.room('lobby').join();
    // One that is not there to come back: a process of its own, killed together with the workers.
    const script = `
      const { Client } = await import(${JSON.stringify(new URL('../../dist/client/index.js', import.meta.url).href)});
      const client = new Client(${JSON.stringify(gateway.url)}, { token: ${JSON.stringify(tokenOf('goes'))} });
      await client.connect(); await client.room('own').join(); console.log('joined'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await until(() => timesOf(receiver, 'occupied own') === 1 && timesOf(receiver, 'occupied lobby') === 1);
    child.kill('SIGSTOP');
    const killed = new Set<number>();
    const lost = lostBy(stays);
    for (const { pid } of await gateway.workers()) {
      await until(async () => {
        const ready = (await gateway.workers()).filter(
          (worker) => worker.state === 'ready' && !killed.has(worker.pid),
        );
        return ready.length === 2;
      });
      killed.add(pid);
      process.kill(pid, 'SIGKILL');
    }
    child.kill('SIGKILL');
    await lost;
    await until(() => stays.state === 'connected');
    expect(stays.sessionId).toBe(sessionId);
    await until(() => timesOf(receiver, 'disconnect goes') === 1 && timesOf(receiver, 'vacated own') === 1);
    await stays.close();
    await until(() => timesOf(receiver, 'disconnect stays') === 1);
    await until(() => timesOf(receiver, 'vacated lobby') === 1);
    expect(wordsOf(receiver).sort()).toEqual([
      'connect goes',
      'connect stays',
      'disconnect goes',
      'disconnect stays',
      'occupied lobby',
      'occupied own',
      'vacated lobby',
      'vacated own',
    ]);
    const gone = receiver.ofType('disconnect').find(({ client }) => client === 'goes');
    expect(gone?.lostAtMs).toBeGreaterThanOrEqual(gone?.sinceMs ?? Infinity);
    expect(gone?.lostAtMs).toBeLessThan(gone?.atMs ?? 0);
  });

  test('wait for an application that is down, fails or hangs, and the process that sends may be killed', async () => {
    const receiver = await listen();
    const gateway = await start(
      webhooksTo(receiver, { timeoutMs: 200, batchLimitEvents: 3 }),
      await storeOf(kind),
    );
    const ann = await connect('ann', gateway);
    await until(() => timesOf(receiver, 'connect ann') === 1);
    const names = ['a', 'b', 'c', 'd', 'e'];
    const [failing, hanging, ...others] = names;
    receiver.answer = (response) => response.writeHead(503).end();
    await ann.room(failing ?? '').join();
    await until(async () => (await gateway.metric('webhook_posts_total', { outcome: 'failed' })) > 0);
    receiver.answer = () => undefined;
    await ann.room(hanging ?? '').join();
    await until(async () => (await gateway.metric('webhook_posts_total', { outcome: 'no_answer' })) > 0);
    await receiver.down();
    for (const name of others) await ann.room(name).join();
    await ann.close();
    await until(async () => (await gateway.metric('webhook_queue_events')) === 11);
    expect(await gateway.metric('webhook_oldest_seconds')).toBeGreaterThan(0);
    const before = await senderOf(gateway);
    process.kill(before, 'SIGKILL');
    await until(async () => {
      const pid = await senderOf(gateway);
      return pid > 0 && pid !== before;
    });
    receiver.answer = null;
    await receiver.up();
    await until(() => timesOf(receiver, 'disconnect ann') >= 1 && receiver.taken.length >= 12);
    // What this process answered after 200 ms came once more.
    const seqs = [...new Set(receiver.taken.map(({ seq }) => seq))];
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(Math.max(...receiver.posts.map(({ events }) => events.length))).toBe(3);
    for (const name of names) {
      const at = (word: string) => wordsOf(receiver).indexOf(word);
      expect(at(`occupied ${name}`)).toBeGreaterThan(-1);
      expect(at(`vacated ${name}`)).toBeGreaterThan(at(`occupied ${name}`));
    }
  });
});

describe('webhooks', () => {
  test('give up what the application refuses or has not taken for long, and say so; what comes after is sent', async () => {
    const receiver = await listen();
    // Longer than a busy machine takes to join rooms, all at once: what is given up for its age does not fill the queue.
    const options = { retryForS: 4, queueLimitEvents: 10 };
    const gateway = await start(webhooksTo(receiver, options), { WORKERS: '1' });
    receiver.answer = (response) => response.writeHead(422).end();
    const ann = await connect('ann', gateway);
    await until(
      async () => (await gateway.metric('webhook_events_given_up_total', { reason: 'refused' })) === 1,
    );
    receiver.answer = (response) => response.writeHead(500).end('<html>');
    await ann.room('old').join();
    await until(
      async () => (await gateway.metric('webhook_events_given_up_total', { reason: 'too_old' })) === 1,
    );
    await Promise.all(Array.from({ length: 24 }, (_, i) => ann.room(`r${String(i)}`).join()));
    await until(
      async () => (await gateway.metric('webhook_events_given_up_total', { reason: 'queue_full' })) >= 2,
    );
    receiver.answer = null;
    await ann.room('last').join();
    await until(() => timesOf(receiver, 'occupied last') === 1);
    const numbers = receiver.taken.map(({ seq }) => seq);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(gateway.output()).toContain('webhook events were given up');
  });

  test('follow no redirect, take any 2xx, and come again after a 401', async () => {
    const receiver = await listen();
    const elsewhere = await listen();
    const gateway = await start(webhooksTo(receiver), { WORKERS: '1' });
    receiver.answer = (response) => response.writeHead(307, { Location: elsewhere.url }).end();
    await connect('ann', gateway);
    await until(async () => (await gateway.metric('webhook_posts_total', { outcome: 'failed' })) === 1);
    expect(elsewhere.posts).toEqual([]);
    receiver.answer = (response) => response.writeHead(401).end();
    await until(async () => (await gateway.metric('webhook_posts_total', { outcome: 'failed' })) === 2);
    // Rubbish behind a good status, without an end.
    receiver.answer = (response) => {
      response.writeHead(200).write('x'.repeat(200_000));
    };
    await until(async () => (await gateway.metric('webhook_events_sent_total')) === 1);
    expect(new Set(receiver.posts.flatMap(({ events }) => events.map(({ id }) => id))).size).toBe(1);
    // A gateway with the embedded store waits for the last answer before it ends.
    receiver.answer = null;
  });

  test('signed with another secret are refused by the receiver', async () => {
    const receiver = await startReceiver('another-secret-for-tests-0123456789abc');
    receivers.push(receiver);
    const gateway = await start(webhooksTo(receiver), { WORKERS: '1' });
    await connect('ann', gateway);
    await until(() => receiver.wrong > 0);
    expect(receiver.taken).toEqual([]);
    await until(async () => (await gateway.metric('webhook_posts_total', { outcome: 'failed' })) > 0);
    // It would try for some seconds more before it ends.
    gateway.process.kill('SIGKILL');
  });

  test('of an embedded store that ends tell of the end of everything, the debounce notwithstanding', async () => {
    const receiver = await listen();
    const gateway = await start(webhooksTo(receiver, { debounceMs: 1_000 }), { WORKERS: '1' });
    const ann = await connect('ann', gateway);
    await ann.room('lobby').join();
    await until(() => timesOf(receiver, 'occupied lobby') === 1 && timesOf(receiver, 'connect ann') === 1);
    expect(await gateway.stop()).toBe(0);
    expect(wordsOf(receiver).slice(2).sort()).toEqual(['disconnect ann', 'vacated lobby']);
  });

  test('of two nodes come once, from one of them; when that is killed with its sessions the other goes on', async () => {
    const receiver = await listen();
    const store = await storeOf('Redis');
    const one = await start(webhooksTo(receiver), store);
    const two = await start(webhooksTo(receiver), store);
    const [ann, bob] = [await connect('ann', one), await connect('bob', two)];
    await ann.room('lobby').join();
    await bob.room('lobby').join();
    await ann.room('one').join();
    await until(() => receiver.taken.length === 4);
    const sent = await until(async () => {
      const found = await Promise.all([one, two].map((node) => node.metric('webhook_events_sent_total')));
      return found.includes(4) ? found : null;
    });
    expect(sent.sort()).toEqual([0, 4]);
    // The client of the killed node has nowhere to come back to: it knows that address only.
    const processes = [
      ...(await one.workers()).map(({ pid }) => pid),
      await senderOf(one),
      one.process.pid ?? 0,
    ];
    for (const pid of processes.reverse()) process.kill(pid, 'SIGKILL');
    await until(() => timesOf(receiver, 'disconnect ann') === 1 && timesOf(receiver, 'vacated one') === 1);
    await bob.close();
    await until(() => timesOf(receiver, 'vacated lobby') === 1 && timesOf(receiver, 'disconnect bob') === 1);
    expect(receiver.taken).toHaveLength(8);
    expect(isInOrder(receiver)).toBe(true);
  });

  test('that waited in Redis are sent after a restart of everything', async () => {
    const receiver = await listen();
    const store = await storeOf('Redis');
    const before = await start(webhooksTo(receiver), { ...store, WORKERS: '1' });
    await receiver.down();
    const ann = await connect('ann', before);
    await until(async () => (await before.metric('webhook_queue_events')) === 1);
    await ann.close();
    await before.stop();
    await receiver.up();
    await start(webhooksTo(receiver), { ...store, WORKERS: '1' });
    await until(() => receiver.taken.length === 2);
    expect(wordsOf(receiver)).toEqual(['connect ann', 'disconnect ann']);
    expect(isInOrder(receiver)).toBe(true);
  });
});
