// Tokens that stop being good while clients are connected: revoked, also unheard; signed with keys that come and go.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Client } from '../../../src/client/index.js';
import { codeOf } from '../observe.js';
import { guest } from '../guest.js';
import { pause, waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** What docs/operations.md promises. */
const REVOKED_WITHIN_MS = 5_000;

/** Each sends to the other; none of them is the first of a room, who sends its final marker. */
const PAIRS = [
  ['u2', 'u3'],
  ['u6', 'u7'],
  ['u12', 'u13'],
];

/** Resolves with the code that ended the client for good. */
function sentAway(client: Client): Promise<string> {
  return new Promise((resolve) => {
    client.on('state', (state, { code }) => {
      if (state === 'closed') resolve(code ?? '');
    });
  });
}

/** With Pub/Sub cut all the time, so that no notice can be what does it. */
async function revoke(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  const [a, b] = await Promise.all([scene.gateway({ env }), scene.gateway({ env })]);
  await scene.crowd({ urls: [b.url], clients: 40, ratePerSecond: 100 });
  await scene.load.talk();
  const thief = await guest(b.url, 'carol', { sign: { jwtid: 'stolen' } });
  const owner = await guest(b.url, 'carol', { sign: { jwtid: 'own' } });
  await Promise.all([thief.connect(), owner.connect()]);
  await scene.calm(1000);
  let cut = 0;
  const cutting = setInterval(() => {
    redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub').then(
      (killed) => (cut += Number(killed)),
      () => undefined,
    );
  }, 100);
  scene.atEnd(() => clearInterval(cutting));
  const slowest: number[] = [];
  // No window: who is not revoked notices nothing. A pair goes, so that nobody sends to the absent.
  for (const [round, pair] of PAIRS.slice(0, scene.quick ? 1 : 3).entries()) {
    const startedAt = performance.now();
    await Promise.all(pair.map((client) => a.revoke({ client })));
    await waitFor(
      'both to be sent away',
      async () => (await scene.load.counts()).dead === 2 * (round + 1),
      15_000,
    );
    slowest.push(Math.round(performance.now() - startedAt));
  }
  const startedAt = performance.now();
  const away = sentAway(thief);
  await a.revoke({ token: 'stolen' });
  const code = await away;
  slowest.push(Math.round(performance.now() - startedAt));
  clearInterval(cutting);
  scene.expect(code === 'kicked', `a revoked token ended with ${code}`);
  scene.expect(owner.state === 'connected', 'another token of the same client ended too');
  const again = await guest(b.url, 'carol', { sign: { jwtid: 'stolen' } });
  const refusal = await again.connect().then(
    () => 'connected',
    (error: unknown) => codeOf(error),
  );
  scene.expect(refusal === 'invalid_token', `a revoked token was answered with ${refusal}`);
  await Promise.all([owner.close(), again.close()]);
  scene.figures.revokedAfterMs = Math.max(...slowest);
  scene.figures.listenersCut = cut;
  scene.expect(Math.max(...slowest) < REVOKED_WITHIN_MS, `it took ${Math.max(...slowest)} ms`);
  scene.expect(cut > 0, 'Pub/Sub was not cut');
  await scene.calm(1000);
  return await scene.judge({ mayEndWith: ['kicked'] });
}

interface Provider {
  url: string;
  /** Times that it was asked for its keys. */
  asked: number;
  publish(keys: Record<string, KeyObject>): void;
  fail(fails: boolean): void;
}

async function startProvider(scene: Scene): Promise<Provider> {
  let body = '{"keys":[]}';
  let fails = false;
  const server = createServer((_request, response) => {
    provider.asked++;
    response.writeHead(fails ? 500 : 200, { 'Content-Type': 'application/json' });
    response.end(fails ? '' : body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scene.atEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const provider: Provider = {
    url: `http://127.0.0.1:${port}/keys`,
    asked: 0,
    publish: (keys) => {
      body = JSON.stringify({
        keys: Object.entries(keys).map(([kid, key]) => ({
          ...key.export({ format: 'jwk' }),
          kid,
          use: 'sig',
        })),
      });
    },
    fail: (now) => (fails = now),
  };
  return provider;
}

/** The gateway's own: one fetch for unknown key ids in this time, of each worker. */
const COOLDOWN_MS = 60_000;
const BAD_TOKENS = 1000;
const WORKERS = 2;

/** Connects once and says how that ended. */
async function tried(url: string, name: string, key: string, kid: string): Promise<string> {
  const client = await guest(url, name, { key, sign: { algorithm: 'ES256', keyid: kid } });
  const result = await client.connect().then(
    () => 'connected',
    (error: unknown) => codeOf(error),
  );
  await client.close();
  return result;
}

async function rotate(scene: Scene): Promise<Outcome> {
  const pairs = [0, 1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const [old, next, strange] = pairs.map(({ publicKey, privateKey }) => ({
    publicKey,
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }));
  if (old === undefined || next === undefined || strange === undefined) throw new Error('no keys');
  const provider = await startProvider(scene);
  provider.publish({ k1: old.publicKey });
  const gateway = await scene.gateway({ env: { JWKS_URL: provider.url, WORKERS: String(WORKERS) } });
  await scene.crowd({
    urls: [gateway.url],
    clients: 40,
    ratePerSecond: 100,
    ...{ secret: old.pem, algorithm: 'ES256', keyId: 'k1' },
  });
  await scene.load.talk();
  const startedAt = performance.now();
  const askedBefore = provider.asked;
  scene.tell(`${askedBefore} fetches for the first clients; now ${BAD_TOKENS} tokens with unknown keys`);
  provider.publish({ k1: old.publicKey, k2: next.publicKey });
  // No window: who has a good token notices nothing of those who have not.
  const answers = new Map<string, number>();
  for (let i = 0; i < BAD_TOKENS; i += 50) {
    const batch = await Promise.all(
      Array.from({ length: 50 }, (_, k) => tried(gateway.url, `bad${i + k}`, strange.pem, `unknown${i + k}`)),
    );
    for (const answer of batch) answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  scene.figures.badTokensMs = Math.round(performance.now() - startedAt);
  scene.figures.fetchesDuringFlood = provider.asked - askedBefore;
  scene.expect(
    answers.get('invalid_token') === BAD_TOKENS,
    `tokens with unknown keys were answered with ${JSON.stringify([...answers])}`,
  );
  scene.tell('waiting for the new key');
  await waitFor(
    'both workers to take a token with the new key',
    async () => {
      const results = await Promise.all(
        [1, 2, 3, 4].map((i) => tried(gateway.url, `new${i}`, next.pem, 'k2')),
      );
      if (results.every((result) => result === 'connected')) return true;
      await pause(1000);
      return false;
    },
    COOLDOWN_MS + 20_000,
  );
  scene.figures.newKeyAfterMs = Math.round(performance.now() - startedAt);
  const elapsedMs = performance.now() - startedAt;
  const allowed = WORKERS * Math.ceil(elapsedMs / COOLDOWN_MS);
  scene.figures.fetches = provider.asked - askedBefore;
  scene.expect(
    provider.asked - askedBefore <= allowed,
    `the provider was asked ${provider.asked - askedBefore} times, ${allowed} are allowed`,
  );
  scene.expect(
    (await tried(gateway.url, 'late', old.pem, 'k1')) === 'connected',
    'the old key is not taken any more',
  );
  scene.tell('the provider fails');
  provider.fail(true);
  const whileDown = await Promise.all([
    tried(gateway.url, 'late', old.pem, 'k1'),
    tried(gateway.url, 'new', next.pem, 'k2'),
    tried(gateway.url, 'bad', strange.pem, 'unknown'),
  ]);
  scene.expect(
    whileDown.join() === 'connected,connected,invalid_token',
    `without the provider: ${whileDown.join()}`,
  );
  await scene.calm(1000);
  return await scene.judge();
}

export const rows: readonly Row[] = [
  { id: 'F34', title: 'tokens and clients revoked at another node, Pub/Sub cut', quick: false, run: revoke },
  { id: 'F35', title: 'key rotation (JWKS) under 1,000 unknown keys', quick: false, run: rotate },
];
