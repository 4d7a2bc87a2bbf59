// npm run test:compose: brings docker-compose.yml up under a name of its own, lets two clients on different gateways talk,
// kills one gateway, expects its client back on the other with its session, and takes everything down.
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const project = `signalboxtest${process.pid}`;
const adminKey = randomBytes(24).toString('hex');
const WAIT_LIMIT_MS = 60_000;
/** Others than those of a stack that runs already. */
const TURN_RELAY_PORTS = [49_300, 49_307];

let steps = 0;
const startedAt = performance.now();
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);

function done(text) {
  steps += 1;
  console.log(`✓ ${text} (${seconds()} s)`);
}

function expect(condition, text) {
  if (!condition) throw new Error(text);
}

/** Polls until `probe` returns something truthy. */
async function until(what, probe) {
  const deadline = Date.now() + WAIT_LIMIT_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${WAIT_LIMIT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function within(what, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: not within ${WAIT_LIMIT_MS / 1000} s`)),
      WAIT_LIMIT_MS,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// ── engine ──────────────────────────────────────────────────────────────────────────────────────

const runs = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

function findCompose() {
  if (runs('docker', 'compose', 'version')) return ['docker', 'compose'];
  if (runs('docker-compose', 'version')) return ['docker-compose'];
  return null;
}

function requireEngine() {
  const compose = findCompose();
  const missing =
    compose === null
      ? 'docker-compose (or the compose plugin of docker) is not installed'
      : runs('docker', 'info')
        ? null
        : 'no Docker engine answers (docker info fails): start one, or set DOCKER_HOST';
  if (missing === null) return compose;
  console.error(`test:compose needs a running Docker engine and docker-compose: ${missing}.`);
  process.exit(1);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A network of its own, so that a stack that runs already keeps its own one. */
async function freeSubnet() {
  const ids = (await command('docker', ['network', 'ls', '-q'])).split('\n').filter(Boolean);
  const taken = await command('docker', ['network', 'inspect', ...ids]);
  for (let block = 0; block < 7; block++) {
    const subnet = `172.28.254.${block * 32}/27`;
    if (!taken.includes(`"${subnet}"`)) return subnet;
  }
  throw new Error('172.28.254.0/24 is full: remove networks of earlier runs (docker network prune)');
}

/** Without blocking: the clients of this process go on meanwhile. */
async function command(name, args, env = process.env) {
  try {
    const { stdout } = await promisify(execFile)(name, args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.slice(-4000);
    throw new Error(`${name} ${args.join(' ')} failed (${error.code}):\n${said}`, { cause: error });
  }
}

const inspect = (container, field) => command('docker', ['inspect', '--format', `{{${field}}}`, container]);
const isHealthy = async (container) => (await inspect(container, '.State.Health.Status')) === 'healthy';

class Stack {
  #compose;
  #env;

  constructor(compose, { port, turnPort, subnet }) {
    this.#compose = compose;
    this.port = port;
    this.turnPort = turnPort;
    this.#env = {
      ...process.env,
      PORT: String(port),
      FRONT_SUBNET: subnet,
      ADMIN_KEY: adminKey,
      WORKERS: '2',
      TURN_PORT: String(turnPort),
      TURN_RELAY_PORTS: TURN_RELAY_PORTS.join('-'),
      TURN_URLS: `turn:127.0.0.1:${turnPort}?transport=udp,turn:127.0.0.1:${turnPort}?transport=tcp`,
    };
  }

  run(...args) {
    const [name, ...first] = this.#compose;
    return command(name, [...first, '-p', project, ...args], this.#env);
  }

  token(client) {
    return this.run('exec', '-T', 'gateway', 'signalbox', 'token', '--sub', client);
  }

  async gateways() {
    return (await this.run('ps', '-q', 'gateway')).split('\n').filter(Boolean);
  }

  /** The admin port listens inside the container only. */
  async admin(container, path) {
    const ask = `fetch('http://127.0.0.1:9090${path}', { headers: { Authorization: 'Bearer ' + process.env.ADMIN_KEY } })
      .then(async (answer) => process.stdout.write(await answer.text()))`;
    return JSON.parse(await command('docker', ['exec', container, 'node', '-e', ask]));
  }

  /** Container that holds a client's only connection, by the directory. */
  async placeOf(client) {
    const workers = new Map();
    let running;
    for (const id of await this.gateways()) {
      if ((await inspect(id, '.State.Status')) !== 'running') continue;
      running = id;
      for (const worker of (await this.admin(id, '/api/v1/workers')).workers) workers.set(worker.id, id);
    }
    const { sessions } = await this.admin(running, `/api/v1/clients/${client}`);
    const live = sessions.filter((session) => session.connected);
    return live.length === 1 ? (workers.get(live[0].worker) ?? null) : null;
  }

  async isReady() {
    return fetch(`http://127.0.0.1:${this.port}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  }
}

// ── clients ─────────────────────────────────────────────────────────────────────────────────────

const { Client } = await import(new URL('../dist/client/index.js', import.meta.url)).catch(() => {
  console.error('test:compose needs dist/: run `npm run build` first.');
  process.exit(1);
});

async function connect(stack, name, codec) {
  const client = new Client(`ws://127.0.0.1:${stack.port}`, {
    token: () => stack.token(name),
    codec,
    backoff: { minMs: 100, maxMs: 1000 },
  });
  client.on('error', (error) => console.error(`  ${name}: ${error.message}`));
  await client.connect({ signal: AbortSignal.timeout(WAIT_LIMIT_MS) });
  return client;
}

/** Connects bob again until he is elsewhere than alice; HAProxy sends him to the emptier gateway, so the first try does as a rule. */
async function connectApart(stack, alicesPlace) {
  for (let attempt = 1; attempt <= 10; attempt++) {
    const bob = await connect(stack, 'bob', 'json');
    const place = await stack.placeOf('bob');
    if (place !== null && place !== alicesPlace) return { bob, place };
    await bob.close();
  }
  throw new Error('ten connections in a row went to the same gateway');
}

/** Both ways: a message, a request, a room. */
async function talk(alice, bob, topic) {
  for (const [one, other] of [
    [alice, bob],
    [bob, alice],
  ]) {
    const remove = [];
    const arrived = new Promise((resolve) => {
      remove.push(other.onMessage('greet', (data, from) => resolve({ data, from })));
    });
    remove.push(other.onRequest('add', ([a, b], from) => ({ sum: a + b, for: from.client })));
    const published = new Promise((resolve) => {
      remove.push(other.room('lobby').onMessage('chat', (data, from) => resolve({ data, from })));
    });
    await within('send', one.send(other.id, 'greet', { topic, n: 1.5 }));
    const message = await within('message', arrived);
    expect(message.data.topic === topic && message.from.client === one.id, `${other.id} got another message`);
    const answer = await within('request', one.request(other.id, 'add', [20, 22]));
    expect(answer.sum === 42 && answer.for === one.id, `${one.id} got another answer`);
    await within('publish', one.room('lobby').publish('chat', topic, { self: false }));
    const said = await within('room message', published);
    expect(
      said.data === topic && said.from.client === one.id,
      `${other.id} heard something else in the room`,
    );
    for (const off of remove) off();
  }
}

/** The TURN client of the tests, which is TypeScript. */
async function loadTurnClient() {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'test/turn-client.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const { TurnClient } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  );
  return TurnClient;
}

/** What the gateway handed to a client is good at the TURN server, which relays to nobody in here but its own other relays. */
async function relay(stack, client) {
  const server = client.iceServers.find(({ credential }) => credential !== undefined);
  expect(
    server?.urls[0] === `turn:127.0.0.1:${stack.turnPort}?transport=udp`,
    'the welcome has no TURN server',
  );
  const TurnClient = await loadTurnClient();
  const credentials = { username: server.username, password: server.credential };
  const turn = await TurnClient.connect(stack.turnPort, credentials);
  const other = await TurnClient.connect(stack.turnPort, credentials);
  try {
    expect((await within('allocation', turn.allocate())) === 0, 'the TURN server refuses the credentials');
    expect((await within('permission', turn.permit('8.8.8.8'))) === 0, 'no relay to the Internet');
    for (const address of ['127.0.0.1', '172.17.0.1', '10.0.0.1'])
      expect((await within('permission', turn.permit(address))) === 403, `a relay to ${address}`);
    await meet(turn, other);
  } finally {
    turn.close();
    other.close();
  }
}

/** Two clients that reach nobody but the relay. */
async function meet(one, other) {
  expect((await within('allocation', other.allocate())) === 0, 'the TURN server refuses a second allocation');
  for (const [from, to] of [
    [one, other],
    [other, one],
  ])
    expect((await within('permission', from.permit(to.relayed.address))) === 0, 'no relay to a relay');
  const heard = other.receive();
  one.send(other.relayed, 'from relay to relay');
  expect(
    (await within('relayed data', heard)).text === 'from relay to relay',
    'a relay passed on something else',
  );
}

// ── the test ────────────────────────────────────────────────────────────────────────────────────

async function test(stack) {
  await stack.run('build');
  done('images built');
  await stack.run('up', '-d');
  await until('readiness through HAProxy', () => stack.isReady());
  const gateways = await stack.gateways();
  expect(gateways.length === 2, `${gateways.length} gateways run, not 2`);
  for (const id of gateways) await until('health of the gateways', () => isHealthy(id));
  done(`two gateways, HAProxy, Redis and coturn are up on port ${stack.port}; the gateways are healthy`);

  const inside = (...args) => command('docker', ['exec', gateways[0], ...args]);
  const [uid, mode] = (await inside('stat', '-c', '%u %a', '/var/lib/signalbox/jwt-secret')).split(' ');
  const user = await inside('id', '-u');
  expect(
    user !== '0' && uid === user && mode === '400',
    `the secret is ${mode} of ${uid}, the gateway runs as ${user}`,
  );
  const policy = await stack.run('exec', '-T', 'redis', 'redis-cli', 'config', 'get', 'maxmemory-policy');
  expect(policy.includes('noeviction'), `Redis evicts: ${policy}`);
  done('the gateway is not root, alone reads the secret, and Redis evicts nothing');

  const token = await stack.token('alice');
  expect(/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token), 'signalbox token printed something else beside the token');
  done('exec gateway signalbox token --sub alice prints a token');

  const alice = await connect(stack, 'alice', 'msgpack');
  const alicesPlace = await stack.placeOf('alice');
  expect(alicesPlace !== null, 'the directory does not know alice');
  const { bob, place: bobsPlace } = await connectApart(stack, alicesPlace);
  done(`alice (msgpack) is on ${alicesPlace.slice(0, 12)}, bob (json) on ${bobsPlace.slice(0, 12)}`);
  await alice.room('lobby').join();
  await bob.room('lobby').join();
  await talk(alice, bob, 'before');
  done('message, request and room work both ways between the gateways');

  await relay(stack, alice);
  done(
    'the TURN server takes the credentials of the welcome and relays to no private address but between its relays',
  );

  await killGateway(stack, { alice, bob, alicesPlace, bobsPlace });
  await stopGateway(stack, { alice, bob, bobsPlace });
  await alice.close();
  await bob.close();
}

async function killGateway(stack, { alice, bob, alicesPlace, bobsPlace }) {
  const session = alice.sessionId;
  const bobsStates = [];
  bob.on('state', (state) => bobsStates.push(state));
  let lost = false;
  alice.on('stateLost', () => (lost = true));
  const back = new Promise((resolve) => alice.on('state', (state) => state === 'connected' && resolve()));
  const killedAt = performance.now();
  await command('docker', ['kill', '--signal', 'KILL', alicesPlace]);
  done(`gateway ${alicesPlace.slice(0, 12)} killed`);
  await within("alice's return", back);
  const tookMs = Math.round(performance.now() - killedAt);
  expect(!lost && alice.sessionId === session, 'alice came back with another session');
  expect((await stack.placeOf('alice')) === bobsPlace, 'alice is not on the other gateway');
  expect(bobsStates.length === 0, `bob noticed: ${bobsStates.join(', ')}`);
  done(`alice is on the other gateway ${tookMs} ms later with the same session, bob noticed nothing`);
  await talk(alice, bob, 'after');
  done('message, request and room work both ways again');

  await command('docker', ['start', alicesPlace]);
  await until('the gateway that was killed', () => isHealthy(alicesPlace));
  done('the killed gateway is back and healthy');
}

/** SIGTERM: the gateway drains, both clients move to the one that came back. */
async function stopGateway(stack, { alice, bob, bobsPlace }) {
  const sessions = [alice.sessionId, bob.sessionId];
  const moved = [alice, bob].map(
    (client) => new Promise((resolve) => client.on('state', (state) => state === 'connected' && resolve())),
  );
  await command('docker', ['stop', '--time', '35', bobsPlace]);
  const code = await inspect(bobsPlace, '.State.ExitCode');
  expect(code === '0', `the gateway that was stopped ended with ${code}`);
  await within('the move of both clients', Promise.all(moved));
  expect(alice.sessionId === sessions[0] && bob.sessionId === sessions[1], 'a client lost its session');
  await talk(alice, bob, 'moved');
  done(
    `gateway ${bobsPlace.slice(0, 12)} drained and ended with 0; both clients moved with their sessions and talk`,
  );
}

async function takeDown(stack) {
  await stack.run('down', '--volumes', '--timeout', '40');
  expect(
    (await command('docker', ['ps', '-aq', '--filter', `name=${project}`])) === '',
    'containers are left',
  );
  expect(
    (await command('docker', ['volume', 'ls', '-q', '--filter', `name=${project}`])) === '',
    'volumes are left',
  );
  done('everything is down, volumes too');
}

const compose = requireEngine();
const stack = new Stack(compose, {
  port: process.env.PORT ? Number(process.env.PORT) : await freePort(),
  turnPort: await freePort(),
  subnet: await freeSubnet(),
});
let failure = null;
try {
  await test(stack);
} catch (error) {
  failure = error;
  console.error(`✗ ${error.message}`);
  try {
    console.error(await stack.run('logs', '--no-color', '--tail', '30'));
  } catch {
    // Nothing came up that could tell.
  }
}
try {
  await takeDown(stack);
} catch (error) {
  failure ??= error;
  console.error(`✗ taking it down: ${error.message}`);
}
console.log(
  failure === null
    ? `test:compose passed: ${steps} steps in ${seconds()} s`
    : `test:compose failed after ${steps} steps`,
);
process.exit(failure === null ? 0 : 1);
