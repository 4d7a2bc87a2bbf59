// The sender by itself: a queue in memory, an application that answers as the test wants, and time that the test lets pass.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import type { Receipt } from '../../src/plugins/signed-post.js';
import { SignedPoster } from '../../src/plugins/signed-post.js';
import type { ClientId, SessionId } from '../../src/protocol/ids.js';
import { MemoryWebhooks } from '../../src/session/store/memory-webhooks.js';
import type { WebhookPage, WebhookQueue } from '../../src/session/store/webhook-queue.js';
import { WebhookMetrics } from '../../src/webhooks/webhook-metrics.js';
import { WebhookSender, type WebhookSenderOptions } from '../../src/webhooks/webhook-sender.js';
import { until } from '../gateway-process.js';
import { HOOK_SECRET } from './receiver.js';

const RULES = {
  debounceMs: 0,
  queueLimitEvents: 1_000,
  events: ['connect', 'disconnect', 'occupied', 'vacated'],
  rooms: null,
} as const;
const TAKEN: Receipt = { status: 204, retryAfterS: null };
const FAILED: Receipt = { status: 503, retryAfterS: null };

/** Can lose everything, as Redis can. */
class LossyQueue implements WebhookQueue {
  private real = new MemoryWebhooks(RULES, () => 0);

  add(...clients: string[]): void {
    for (const client of clients) this.real.began(client as ClientId, `session-of-${client}` as SessionId);
  }
  lose(): void {
    this.real = new MemoryWebhooks(RULES, () => 0);
  }
  async pollWebhooks(sender: string, limit: number): Promise<WebhookPage> {
    return await this.real.pollWebhooks(sender, limit);
  }
  async settleWebhooks(sender: string, seq: number, id: string): Promise<boolean> {
    return await this.real.settleWebhooks(sender, seq, id);
  }
  async releaseWebhooks(): Promise<void> {
    // Nobody else is there.
  }
}

interface World {
  queue: LossyQueue;
  sender: WebhookSender;
  /** When it was asked, ms since the beginning, and of whom. */
  posts: { atMs: number; clients: string[] }[];
  /** Everything that was logged. */
  output(): string;
  givenUp(reason: string): Promise<number>;
}

function start(
  post: (clients: string[]) => Promise<Receipt>,
  settings: Partial<WebhookSenderOptions['settings']> = {},
): World {
  const queue = new LossyQueue();
  const metrics = new WebhookMetrics();
  const posts: World['posts'] = [];
  const begunAt = performance.now();
  let output = '';
  const sender = new WebhookSender({
    queue,
    name: 'me',
    settings: { timeoutMs: 5_000, retryForS: 86_400, batchLimitEvents: 2, ...settings },
    post: (body) => {
      const { events } = JSON.parse(body) as { events: { client: string }[] };
      const clients = events.map(({ client }) => client);
      posts.push({ atMs: performance.now() - begunAt, clients });
      return post(clients);
    },
    metrics,
    log: pino({}, { write: (text: string) => void (output += text) }),
  });
  return {
    queue,
    sender,
    posts,
    output: () => output,
    givenUp: async (reason) => {
      const found = await metrics.registry.getMetricsAsJSON();
      const values = found.find(({ name }) => name === 'signalbox_webhook_events_given_up_total')?.values;
      return values?.find(({ labels }) => labels.reason === reason)?.value ?? 0;
    },
  };
}

describe('the sender of webhooks', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
  const pauses = ({ posts }: World) => posts.slice(1).map(({ atMs }, i) => atMs - (posts[i]?.atMs ?? 0));

  test('waits longer after each failure, but never much longer than a minute', async () => {
    const world = start(() => Promise.resolve(FAILED));
    world.queue.add('ann');
    world.sender.start();
    await pass(600_000);
    const between = pauses(world);
    expect(between.length).toBeGreaterThan(10);
    // It looks each 500 ms.
    between.forEach((ms, i) => {
      const ceiling = Math.min(60_000, 1_000 * 2 ** i);
      expect(ms).toBeGreaterThanOrEqual(ceiling / 2);
      expect(ms).toBeLessThanOrEqual(ceiling + 500);
    });
    await world.sender.stop(false, 0);
  });

  test('waits for as long as the application asks, but no longer than ten minutes', async () => {
    const asked = [30, 100_000];
    const world = start(() => Promise.resolve({ status: 429, retryAfterS: asked.shift() ?? null }));
    world.queue.add('ann');
    world.sender.start();
    await pass(29_000);
    expect(world.posts).toHaveLength(1);
    await pass(2_000);
    expect(world.posts).toHaveLength(2);
    await pass(598_000);
    expect(world.posts).toHaveLength(2);
    await pass(3_000);
    expect(world.posts).toHaveLength(3);
    await world.sender.stop(false, 0);
  });

  test('sends what came into a new queue while the old one, which was lost, was being said', async () => {
    let answer: (receipt: Receipt) => void = () => undefined;
    const world = start((clients) =>
      clients.includes('ann') ? new Promise((resolve) => (answer = resolve)) : Promise.resolve(TAKEN),
    );
    world.queue.add('ann', 'bob');
    world.sender.start();
    await pass(600);
    world.queue.lose();
    world.queue.add('carl', 'dora', 'emil');
    await pass(1_000);
    answer(TAKEN);
    await pass(1_000);
    expect(world.posts.map(({ clients }) => clients)).toEqual([['ann', 'bob'], ['carl', 'dora'], ['emil']]);
    await world.sender.stop(false, 0);
  });

  test('gives up all that is too old once the application has failed, without an attempt for each batch', async () => {
    // The shortest pauses, so that the attempts before the 19th second, when 'young' is too old as well, are known: 7.5 and 15.5 s.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    let isDown = true;
    const world = start(() => Promise.resolve(isDown ? FAILED : TAKEN), { retryForS: 10 });
    world.queue.add('a', 'b', 'c', 'd', 'e', 'f', 'g');
    world.sender.start();
    await pass(9_000);
    const attempts = world.posts.length;
    world.queue.add('young');
    await pass(2_000);
    isDown = false;
    await pass(20_000);
    expect(await world.givenUp('too_old')).toBe(7);
    expect(world.posts.slice(attempts).map(({ clients }) => clients)).toContainEqual(['young']);
    expect(world.posts.slice(attempts).every(({ clients }) => clients[0] === 'young')).toBe(true);
    await world.sender.stop(false, 0);
  });

  test('waits no longer than half the age that events may have, so that each is tried', async () => {
    const world = start(() => Promise.resolve(FAILED), { retryForS: 4 });
    world.sender.start();
    for (let i = 0; i < 60; i++) {
      world.queue.add(`client-${String(i)}`);
      await pass(1_000);
    }
    expect(Math.max(...pauses(world))).toBeLessThanOrEqual(2_500);
    await world.sender.stop(false, 0);
  });

  test('tries once what became too old while nobody was there to send it', async () => {
    const world = start(() => Promise.resolve(TAKEN), { retryForS: 10 });
    world.queue.add('ann');
    await pass(60_000);
    world.sender.start();
    await pass(1_000);
    expect(world.posts).toHaveLength(1);
    expect(await world.givenUp('too_old')).toBe(0);
    await world.sender.stop(false, 0);
  });

  test('says what it could not send where the queue ends with it, and the application is down', async () => {
    const world = start(() => Promise.reject(new Error('down')));
    world.queue.add('ann', 'bob', 'carl');
    world.sender.start();
    await pass(600);
    const stopped = world.sender.stop(true, 5_000);
    await pass(6_000);
    await stopped;
    expect(world.posts.length).toBeGreaterThan(3);
    expect(await world.givenUp('shutdown')).toBe(3);
    expect(world.output()).toMatch(/"events":3,"reason":"shutdown","msg":"webhook events were given up"/);
  });

  test('leaves to others what it has not sent where the queue goes on', async () => {
    const world = start(() => Promise.reject(new Error('down')));
    world.queue.add('ann');
    world.sender.start();
    await pass(600);
    const stopped = world.sender.stop(false, 5_000);
    await pass(6_000);
    await stopped;
    expect(await world.givenUp('shutdown')).toBe(0);
  });
});

test('a POST that fails leaves nothing of the secret in the log', async () => {
  // Closes each connection, without an answer.
  const server = createServer((socket) => void socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const poster = new SignedPoster({ url: `http://127.0.0.1:${String(port)}/hook`, secret: HOOK_SECRET });
  const sent: Promise<Receipt>[] = [];
  const world = start((clients) => {
    const receipt = poster.tell(JSON.stringify(clients), 1_000);
    sent.push(receipt);
    return receipt;
  });
  world.queue.add('ann');
  world.sender.start();
  await until(() => sent.length > 0);
  await sent[0]?.catch(() => undefined);
  await world.sender.stop(false, 1_000);
  expect(world.output()).toContain('the application did not take a webhook');
  expect(world.output()).not.toContain(HOOK_SECRET);
  // Nor what it signed: `v1=…`.
  expect(world.output()).not.toContain('v1=');
  poster.close();
  server.close();
});
