// Where a process's time went, from the CPU profile that it left: shares of parts of the program, by the code that was running.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('profiles/', import.meta.url));

const START = 'start: modules loaded';

/** The first that matches counts; `name` is that of a function without a file: V8's own, or the kernel's door. */
const PARTS = [
  { part: 'idle', name: /^\(idle\)$/ },
  { part: 'writing to sockets (system calls)', name: /^(writev|writeBuffer|write\w+String)$/ },
  { part: 'reading from sockets, event loop, kernel', name: /^\(program\)$/ },
  { part: 'garbage collection', name: /^\(garbage collector\)$/ },
  { part: 'protocol: frames decoded and encoded', name: /^RegExp: / },
  { part: 'Node: streams, sockets, timers', name: /^(utf8|latin1|ascii)(Write|Slice)/ },
  { part: START, url: /^node:internal\/(modules|bootstrap)|^node:(fs|path|internal\/url)/ },
  { part: START, name: /^(internalModuleStat|openFileHandle|compileFunction\w*)$/ },
  { part: 'ws: frames in', url: /node_modules\/ws\/lib\/(receiver|buffer-util|validation)/ },
  { part: 'ws: the rest', url: /node_modules\/ws\// },
  { part: 'Node: streams, sockets, timers', url: /^node:/ },
  { part: 'protocol: frames decoded and encoded', url: /\/protocol\// },
  { part: 'session: limits, permissions, records', url: /\/session\// },
  { part: 'relay: route, delivery, links', url: /\/relay\// },
  { part: 'transport: frames out, flush', url: /\/transport\// },
  { part: 'worker: life of a connection, verbs', url: /\/worker\// },
];

function partOf({ url, functionName }) {
  const found = PARTS.find((each) =>
    each.url === undefined ? url === '' && each.name.test(functionName) : each.url.test(url),
  );
  return found?.part ?? 'other';
}

/** Part → µs of its own code. @param profile as V8 writes it: nodes, samples, timeDeltas */
export function timeByPart({ nodes, samples, timeDeltas }) {
  const parts = new Map(nodes.map((node) => [node.id, partOf(node.callFrame)]));
  const times = new Map();
  // A delta is the time before its sample.
  for (const [index, id] of samples.entries()) {
    const part = parts.get(id);
    times.set(part, (times.get(part) ?? 0) + Math.max(0, timeDeltas[index]));
  }
  return times;
}

/** Names of the profiles that are there. */
export function profileFiles() {
  mkdirSync(FOLDER, { recursive: true });
  return readdirSync(FOLDER).filter((name) => name.endsWith('.cpuprofile'));
}

const read = (name) => timeByPart(JSON.parse(readFileSync(join(FOLDER, name), 'utf8')));

/** Parts by their share of the time in which the processes neither idled nor started, the largest first. @param times of one process or of several */
export function shares(times) {
  const sums = new Map();
  for (const [part, time] of times.flatMap((each) => [...each])) sums.set(part, (sums.get(part) ?? 0) + time);
  // Neither is a message's: a process starts once.
  for (const part of ['idle', START]) sums.delete(part);
  const busy = [...sums.values()].reduce((sum, time) => sum + time, 0);
  const parts = [...sums].sort((a, b) => b[1] - a[1]).map(([part, time]) => ({ part, share: time / busy }));
  return { busySeconds: busy / 1e6, parts };
}

export const sharesOf = (names) => shares(names.map(read));

const BAR = 40;

/** @param micros what the whole is worth: then each part is given in µs, too */
export function profileTable(title, { busySeconds, parts }, micros) {
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const bar = (share) => '█'.repeat(Math.round((share / parts[0].share) * BAR));
  const rows = parts.map(({ part, share }) => [
    part,
    percent(share),
    ...(micros === undefined ? [] : [(share * micros).toFixed(2)]),
    bar(share),
  ]);
  const head = [
    title,
    'share',
    ...(micros === undefined ? [] : ['µs/message']),
    `of ${busySeconds.toFixed(1)} busy s`,
  ];
  return { head, rows, left: [0, head.length - 1] };
}
