// Two clients that reach nobody but the relay meet there: deploy/turnserver.conf with the lines that docker-compose.yml adds, in a
// real coturn whose own address is denied to everybody else, as that of a container is. Needs root.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Machines, makeMachines } from '../faults/namespaces.js';
import { TurnClient } from '../turn-client.js';
import { startTurnServer, type TurnProcess } from '../turn-server.js';

const SECRET = 'a-secret-of-coturn-for-tests';
const OLD_SECRET = 'the-secret-that-was-before-it';
const PUBLIC = '203.0.113.7';
const COMPOSE = new URL('../../docker-compose.yml', import.meta.url);
const CONFIGURATION = fileURLToPath(new URL('../../deploy/turnserver.conf', import.meta.url));

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stdout.write('No relay to relay is tried: machines of its own need root.\n');
const onMachines = isRoot ? describe : describe.skip;

/** What the service `turn` runs, as the shell gets it. */
function scriptOfCompose(): string {
  const lines = readFileSync(COMPOSE, 'utf8').split('\n');
  const begin = lines.indexOf('      - |', lines.indexOf('  turn:')) + 1;
  const end = lines.findIndex((line, i) => i > begin && !line.startsWith('        '));
  return lines
    .slice(begin, end)
    .map((line) => line.slice(8))
    .join('\n')
    .replaceAll('$$', '$');
}

interface Container {
  externalIp?: string;
  /** What `hostname -i` says. */
  addresses: string;
  oldSecrets?: string;
}

/** Runs docker-compose.yml's script in a folder that has what it uses; its coturn prints the configuration instead. */
function configurationOf({ externalIp = '', addresses, oldSecrets }: Container): {
  status: number | null;
  text: string;
} {
  const root = mkdtempSync(join(tmpdir(), 'signalbox-compose-'));
  try {
    for (const name of ['bin', 'tmp', 'secrets']) mkdirSync(join(root, name));
    const program = (name: string, text: string): void => {
      writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(root, 'bin', name), 0o755);
    };
    program('hostname', `test "$*" = -i && echo '${addresses}'`);
    program('turnserver', `cat '${root}/tmp/turnserver.conf'`);
    writeFileSync(join(root, 'secrets/secret'), `${SECRET}\n`);
    if (oldSecrets !== undefined) writeFileSync(join(root, 'secrets/secret-before'), oldSecrets);
    const script = scriptOfCompose()
      .replaceAll('/tmp/', `${root}/tmp/`)
      .replaceAll('/etc/signalbox/turnserver.conf', CONFIGURATION)
      .replaceAll('/var/lib/signalbox-turn/', `${root}/secrets/`);
    const { status, stdout, stderr } = spawnSync('sh', ['-ec', script], {
      encoding: 'utf8',
      env: {
        PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}`,
        TURN_RELAY_PORTS: '49160-49199',
        TURN_EXTERNAL_IP: externalIp,
      },
    });
    return { status, text: status === 0 ? stdout : stderr };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The lines that are not of deploy/turnserver.conf. */
function addedLines(container: Container): string[] {
  const { status, text } = configurationOf(container);
  expect([status, text.startsWith(readFileSync(CONFIGURATION, 'utf8'))]).toEqual([0, true]);
  return text.slice(readFileSync(CONFIGURATION, 'utf8').length).trim().split('\n');
}

describe('the lines that docker-compose.yml adds', () => {
  const common = [`static-auth-secret=${SECRET}`, 'min-port=49160', 'max-port=49199'];

  test('map the public address to the first IPv4 address of the container', () => {
    expect(addedLines({ externalIp: PUBLIC, addresses: 'fd00::5 172.20.0.5 172.21.0.5' })).toEqual([
      ...common,
      `external-ip=${PUBLIC}/172.20.0.5`,
    ]);
  });

  test('allow the own address alone where there is no public one', () => {
    expect(addedLines({ addresses: '172.20.0.5 ' })).toEqual([...common, 'allowed-peer-ip=172.20.0.5']);
  });

  test('have the secrets before, each on its line', () => {
    const [first, ...rest] = addedLines({
      addresses: '172.20.0.5',
      oldSecrets: `${OLD_SECRET}\n\nolder still`,
    });
    expect([first, ...rest.slice(0, 2)]).toEqual([
      `static-auth-secret=${SECRET}`,
      `static-auth-secret=${OLD_SECRET}`,
      'static-auth-secret=older still',
    ]);
  });

  test('are not written where the container knows no address of its own', () => {
    const { status, text } = configurationOf({ addresses: 'fd00::5' });
    expect(status).not.toBe(0);
    expect(text).toContain('no IPv4 address');
  });
});

onMachines('a relay to a relay of the same server', () => {
  let machines: Machines;
  let own: string;
  let server: TurnProcess | null = null;
  const clients: TurnClient[] = [];

  beforeAll(() => {
    machines = makeMachines(['turn', 'peer']);
    // Of 198.18.0.0/15, which the configuration denies like 172.16.0.0/12.
    own = machines.addressOf('turn');
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server?.stop();
    server = null;
  });
  afterAll(() => {
    machines.close();
  });

  /** Two clients with an allocation each. */
  async function start(configuration: string): Promise<[TurnClient, TurnClient]> {
    server = await startTurnServer([], configuration, { address: own, wrap: machines.wrap('turn') });
    const pair = [
      await TurnClient.connect(server.port, SECRET, own),
      await TurnClient.connect(server.port, SECRET, own),
    ] as const;
    clients.push(...pair);
    for (const client of pair) expect(await client.allocate()).toBe(0);
    return [...pair];
  }

  /** STUN error code of the permission; with it data goes both ways. */
  async function meet(alice: TurnClient, bob: TurnClient): Promise<number> {
    const [toBob, toAlice] = [bob.relayed, alice.relayed];
    if (toBob === null || toAlice === null) throw new Error('no relayed address');
    const code = await alice.permit(toBob.address);
    if (code !== 0) return code;
    expect(await bob.permit(toAlice.address)).toBe(0);
    const heard = bob.receive();
    alice.send(toBob, 'from relay to relay');
    expect(await heard).toEqual({ from: toAlice, text: 'from relay to relay' });
    const answer = alice.receive();
    bob.send(toAlice, 'and back');
    expect(await answer).toEqual({ from: toBob, text: 'and back' });
    return 0;
  }

  /** What the own address being allowed must not open. */
  async function expectNothingElse(client: TurnClient): Promise<void> {
    const others = [
      machines.addressOf('peer'),
      machines.outsideAddress,
      '127.0.0.1',
      '172.17.0.1',
      '10.0.0.1',
    ];
    const codes: number[] = [];
    for (const address of others) codes.push(await client.permit(address));
    expect(codes).toEqual(others.map(() => 403));
  }

  test('is refused where only the public address is told, for which it is denied like its neighbours', async () => {
    const { text } = configurationOf({ externalIp: PUBLIC, addresses: own });
    const [alice, bob] = await start(text.replace(`${PUBLIC}/${own}`, PUBLIC));
    expect(bob.relayed?.address).toBe(PUBLIC);
    expect(await meet(alice, bob)).toBe(403);
  });

  test('goes through under docker-compose with a public address', async () => {
    const [alice, bob] = await start(configurationOf({ externalIp: PUBLIC, addresses: own }).text);
    expect(bob.relayed?.address).toBe(PUBLIC);
    expect(await meet(alice, bob)).toBe(0);
    await expectNothingElse(alice);
  });

  test('goes through under docker-compose without a public address', async () => {
    const [alice, bob] = await start(configurationOf({ addresses: own }).text);
    expect(bob.relayed?.address).toBe(own);
    expect(await meet(alice, bob)).toBe(0);
    await expectNothingElse(alice);
  });

  test('takes credentials of the secret before', async () => {
    const { text } = configurationOf({ externalIp: PUBLIC, addresses: own, oldSecrets: OLD_SECRET });
    await start(text);
    const late = await TurnClient.connect(server?.port ?? 0, OLD_SECRET, own);
    clients.push(late);
    expect(await late.allocate()).toBe(0);
  });
});
