// Machines on one machine: network namespaces on a bridge, whose links can be cut in both directions or in one. Needs root.
import { spawnSync } from 'node:child_process';

/** Where the row's own processes and its clients are: outside of all machines. */
export interface Machines {
  readonly outsideAddress: string;
  addressOf(machine: string): string;
  /** What comes before a command so that it runs on that machine. */
  wrap(machine: string): readonly string[];
  /** Drops everything between two machines, or only what `b` sends to `a`. */
  partition(a: string, b: string, direction?: 'both' | 'to a'): void;
  heal(): void;
  /**
   * Drops a share of what `from` sends to a machine, where it arrives: a sender would be told of what its own firewall drops, and TCP
   * sends that again at once.
   */
  lose(machine: string, from: string, share: number): void;
  /** What a machine sends and what it gets, each at most so many bits per second behind a queue of 400 ms; null: no limit. */
  limitRate(machine: string, bitsPerSecond: number | null): void;
  /** Takes the machine's cable out, or puts it back. */
  link(machine: string, state: 'up' | 'down'): void;
  /** Kills what still runs on the machines, and takes them away. Idempotent. */
  close(): void;
}

/** All that this suite makes begins so, with the pid of the run behind it. */
const PREFIX = 'sbx';
const OUTSIDE = 'outside';

/**
 * `names` are words of a few letters.
 * @throws Error in one line where namespaces cannot be made
 */
export function makeMachines(names: readonly string[]): Machines {
  requireRoot();
  sweepLeftovers();
  const network = freeNetwork();
  const id = `${PREFIX}${process.pid}`;
  // The bridge has a namespace too: this machine's own firewall (Docker's drops what is forwarded) has no say there.
  const hub = `${id}-hub`;
  const cable = `${id}out`;
  const nsOf = (name: string): string => `${id}-${name}`;
  const addresses = new Map(names.map((name, i) => [name, `${network}.${i + 10}`]));
  addresses.set(OUTSIDE, `${network}.1`);
  let isOpen = true;

  const machines: Machines = {
    outsideAddress: `${network}.1`,
    addressOf: (machine) => addresses.get(machine) ?? fail(`there is no machine ${machine}`),
    wrap: (machine) => ['ip', 'netns', 'exec', nsOf(machine)],
    partition: (a, b, direction = 'both') => {
      // The outside has no rules of its own, so that this machine's firewall stays as it is.
      if (a === OUTSIDE) fail('the outside cannot be the first of a partition');
      const other = machines.addressOf(b);
      ip('netns', 'exec', nsOf(a), 'iptables', '-w', '-A', 'INPUT', '-s', other, '-j', 'DROP');
      if (direction === 'both')
        ip('netns', 'exec', nsOf(a), 'iptables', '-w', '-A', 'OUTPUT', '-d', other, '-j', 'DROP');
    },
    heal: () => {
      for (const name of names) ip('netns', 'exec', nsOf(name), 'iptables', '-w', '-F');
    },
    lose: (machine, from, share) => {
      const source = machines.addressOf(from);
      const chance = ['-m', 'statistic', '--mode', 'random', '--probability', String(share)];
      const own = ['netns', 'exec', nsOf(machine), 'iptables', '-w', '-A', 'INPUT'];
      if (share > 0) ip(...own, '-s', source, ...chance, '-j', 'DROP');
    },
    limitRate: (machine, bitsPerSecond) => {
      for (const [ns, device] of [
        [nsOf(machine), 'eth0'],
        [hub, `to-${machine}`],
      ] as const)
        setRate(ns, device, bitsPerSecond);
    },
    link: (machine, state) => ip('-n', nsOf(machine), 'link', 'set', 'eth0', state),
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      process.off('exit', machines.close);
      spawnSync('ip', ['link', 'del', cable]);
      for (const name of names) removeNamespace(nsOf(name));
      removeNamespace(hub);
    },
  };

  process.once('exit', machines.close);
  try {
    ip('netns', 'add', hub);
    ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', hub, 'link', 'set', 'bridge', 'up');
    ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'outside', 'netns', hub);
    plug(hub, 'outside');
    ip('addr', 'add', `${network}.1/24`, 'dev', cable);
    ip('link', 'set', cable, 'up');
    for (const name of names) addMachine(hub, name, nsOf(name), machines.addressOf(name));
    return machines;
  } catch (error) {
    machines.close();
    throw error;
  }
}

function addMachine(hub: string, name: string, ns: string, address: string): void {
  ip('netns', 'add', ns);
  ip('-n', ns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `to-${name}`, 'netns', hub);
  plug(hub, `to-${name}`);
  ip('-n', ns, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  ip('-n', ns, 'link', 'set', 'eth0', 'up');
  ip('-n', ns, 'link', 'set', 'lo', 'up');
}

function setRate(ns: string, device: string, bitsPerSecond: number | null): void {
  const tc = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync('tc', ['-n', ns, 'qdisc', ...args], { encoding: 'utf8' });
  tc('del', 'dev', device, 'root');
  if (bitsPerSecond === null) return;
  const { status, stderr, error } = tc(
    ...[
      'add',
      'dev',
      device,
      'root',
      'tbf',
      'rate',
      `${bitsPerSecond}bit`,
      'burst',
      '5kb',
      'latency',
      '400ms',
    ],
  );
  if (status !== 0) fail(`tc: ${error?.message ?? String(stderr).trim()}`);
}

function plug(hub: string, link: string): void {
  ip('-n', hub, 'link', 'set', 'dev', link, 'master', 'bridge');
  ip('-n', hub, 'link', 'set', 'dev', link, 'up');
}

function removeNamespace(ns: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', ns], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  spawnSync('ip', ['netns', 'del', ns]);
}

/** What a run that was killed -9 could not take away. */
function sweepLeftovers(): void {
  const isDead = (name: string): boolean => {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)`).exec(name)?.[1]);
    if (Number.isNaN(pid)) return false;
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };
  const namespaces = ip('netns', 'list').split('\n');
  for (const line of namespaces) {
    const [name = ''] = line.split(' ');
    if (isDead(name)) removeNamespace(name);
  }
  for (const line of ip('-o', 'link', 'show', 'type', 'veth').split('\n')) {
    const [name = ''] = (line.split(': ')[1] ?? '').split('@');
    if (isDead(name)) spawnSync('ip', ['link', 'del', name]);
  }
}

/** Of 198.18.0.0/15, which is for tests of networks (RFC 2544); several runs may share this machine. */
function freeNetwork(): string {
  const taken = ip('-o', 'addr', 'show');
  for (let third = 0; third < 256; third++) {
    const network = `198.18.${third}`;
    if (!taken.includes(` ${network}.1/`)) return network;
  }
  return fail('every network of 198.18.0.0/16 is taken');
}

function requireRoot(): void {
  if (process.getuid?.() !== 0) fail('network namespaces need root: run this as root, on Linux');
}

function ip(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (error !== undefined) return fail(`ip cannot be run (package iproute2): ${error.message}`);
  if (stderr.includes('exec of "iptables" failed')) return fail('iptables is not there (package iptables)');
  return status === 0 ? stdout : fail(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

function fail(text: string): never {
  throw new Error(text);
}
