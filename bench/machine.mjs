// What /proc says: CPU time, waiting time and memory of processes, their children, and who owns which connection.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** /proc/stat counts in ticks of this length on every Linux that Node runs on (USER_HZ is 100). */
const TICK_MICROS = 10_000;

function statOf(pid) {
  // The second field is the name in parentheses and may hold spaces.
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** The process and all its living descendants. */
export function processTree(root) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(statOf(name)[1]));
    } catch {
      // It ended between the listing and the reading.
    }
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) {
    for (const [pid, parent] of parents) if (parent === tree[i]) tree.push(pid);
  }
  return tree;
}

/** CPU time of these processes so far, user and system, all their living threads, µs: from the scheduler, which counts nanoseconds. */
export function cpuMicros(pids) {
  let nanos = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return nanos / 1000;
}

/** CPU time of everything on the machine so far, and what a hypervisor took of it, µs. */
export function machineCpuMicros() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_MICROS;
}

/** How long the main thread of a process has been running, and runnable but without a core, ms. */
export function mainThread(pid) {
  const [ran, waited] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
  return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6 };
}

/** Memory of these processes, each shared page counted once by its share (Pss), KiB. */
export function pssKib(pids) {
  return pids.reduce((sum, pid) => {
    const line = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return sum + Number(line?.[1] ?? 0);
  }, 0);
}

/** For each client's port, the server process that holds the other end of its connection to one of the server's ports. */
export function ownersOfPorts(serverPorts, pids) {
  const inodes = new Map();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const row of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const [, local, remote, , , , , , , inode] = row.trim().split(/\s+/);
      if (!local || !serverPorts.includes(portIn(local)) || inode === '0') continue;
      inodes.set(`socket:[${inode}]`, portIn(remote));
    }
  }
  const owners = new Map();
  for (const pid of pids) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        const port = inodes.get(readlinkSync(`/proc/${pid}/fd/${fd}`));
        // A primary that has not yet closed its copy comes first in the tree: the worker, later, wins.
        if (port) owners.set(port, pid);
      } catch {
        // Closed in between.
      }
    }
  }
  return owners;
}

function portIn(address) {
  return parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
}

/** One line on the machine, and how busy it was before: a shared machine shows in the numbers. */
export function describeMachine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  const load = loadavg()[0].toFixed(1);
  return `${cpus().length} × ${model}, ${memory} GiB, Linux ${release()}, Node ${process.version}, load before ${load}`;
}
