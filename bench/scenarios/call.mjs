// Scenario call: how long from "call bob" to an open data channel, in a real browser, and what does the signaling of it cost?
import { call, CallPages, closePair, hangUp, missingChromium } from '../call-pages.mjs';
import { bareWsJson } from '../peers/bare-ws.mjs';
import { peerServer } from '../peers/peer-server.mjs';
import { sdkOptions, signalbox } from '../peers/signalbox.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { SignalingProxy } from '../signaling-proxy.mjs';
import { median } from '../statistics.mjs';
import { fixed, times } from '../table.mjs';

/** Of the second half of the rows: what each signal takes longer each way, ms. */
const DELAY_MS = 100;
/** Calls before those that count. */
const WARM_CALLS = 2;
/** Most pairs of fresh pages that call once. */
const FIRST_CALLS = 10;
/** After a page has connected, until somebody calls, ms. */
const READY_MS = 1_000;
/** After a call, for what is on its way still; with the delay twice on top. */
const SETTLE_MS = 250;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The callee has left a standing offer with the gateway: an option of it. */
const STANDING = 'signalbox with standing offers';

/** As many processes as PeerServer has. With two workers each signal goes through both: connections are dealt in turn. */
const ONE_WORKER = 'signalbox with one worker';

/** Until the callee has left its next one, which is counted with the call that took the last one. */
const NEXT_OFFER_MS = 1_800;

const ofGateway = (name, origin, { workers = 2, page = {}, restMs } = {}) => ({
  name,
  page: 'signalbox',
  system: signalbox(workers, name, { settings: { ORIGINS: origin } }),
  connect: (port) => (id) => ({ url: `ws://127.0.0.1:${port}`, ...sdkOptions(id), ...page }),
  restMs,
});

/** In the order of the rows. */
const systems = (origin) => [
  {
    name: 'simple-peer',
    page: 'simple-peer',
    system: bareWsJson,
    connect: (port) => (id) => ({ url: `ws://127.0.0.1:${port}`, id }),
  },
  {
    name: 'peerjs',
    page: 'peerjs',
    system: peerServer,
    connect: (port) => (id) => ({ port, id }),
  },
  ofGateway('signalbox', origin),
  ofGateway(STANDING, origin, { page: { standing: true }, restMs: NEXT_OFFER_MS }),
];
const oneWorker = (origin) => ofGateway(ONE_WORKER, origin, { workers: 1 });
const NAMES = ['simple-peer', 'peerjs', 'signalbox', STANDING];
const ON_LOOPBACK = [...NAMES, ONE_WORKER];
const delayed = (name) => `${name}, ${DELAY_MS} ms`;
/** Of two pages that take calls and have connected a second ago: neither has called, or was called, before. */
const first = (name) => `${name}, first call`;

/** One call: its time, and what went over the wire for it until both sides were quiet. */
async function measureCall({ pair, proxy, delayMs, restMs = 0 }, turn) {
  const [from, to] = turn % 2 === 0 ? pair : [...pair].reverse();
  const before = proxy.counts;
  const millis = await call(from, to);
  await wait(SETTLE_MS + 2 * delayMs);
  await wait(restMs);
  const after = proxy.counts;
  await hangUp(pair);
  await wait(SETTLE_MS + 2 * delayMs);
  return { millis, messages: after.messages - before.messages, bytes: after.bytes - before.bytes };
}

async function measureFirstCall(pages, { page, optionsOf }, turn) {
  const pair = await pages.pair(page, optionsOf, [`bench-c${turn}`, `bench-d${turn}`]);
  try {
    await wait(READY_MS);
    return await call(...pair);
  } finally {
    await closePair(pair);
  }
}

function summed({ measured, faults }) {
  const of = (key) => measured.map((result) => result[key]);
  const sorted = of('millis').sort((a, b) => a - b);
  return {
    medianMs: median(sorted),
    p90Ms: sorted[Math.floor(sorted.length * 0.9)] ?? Number.NaN,
    messagesPerCall: median(of('messages')),
    bytesPerCall: median(of('bytes')),
    faults,
  };
}

/** Of the first of a page only the time counts, and of few no more than the median: its signaling is that of any call. */
function summedFirst({ first: { measured, faults } }) {
  return { medianMs: summed({ measured, faults }).medianMs, faults };
}

/** All systems with and without delay, one call of each in turn. */
async function measureCalls({ load: { calls } }) {
  const closers = [];
  try {
    const pages = await CallPages.open();
    closers.push(() => pages.close());
    const ways = [];
    const { origin } = pages;
    for (const [delayMs, measured] of [
      [0, [...systems(origin), oneWorker(origin)]],
      [DELAY_MS, systems(origin)],
    ])
      for (const { name, page, system, connect, restMs } of measured) {
        const server = await ServerProcess.start(system);
        closers.push(() => server.stop());
        const proxy = await SignalingProxy.start(server.ports[0], delayMs);
        closers.push(() => proxy.close());
        const optionsOf = connect(proxy.port);
        ways.push({
          name,
          page,
          optionsOf,
          pair: await pages.pair(page, optionsOf),
          proxy,
          delayMs,
          restMs,
          measured: [],
          faults: [],
          first: { measured: [], faults: [] },
        });
      }
    const attempt = async ({ measured, faults }, turn, run) => {
      try {
        const result = await run();
        if (turn >= 0) measured.push(result);
      } catch (error) {
        faults.push(`call ${turn}: ${error.message.split('\n')[0]}`);
      }
    };
    for (let turn = -WARM_CALLS; turn < calls; turn++)
      for (const way of ways)
        await attempt(way, turn, async () => {
          try {
            return await measureCall(way, turn);
          } catch (error) {
            await hangUp(way.pair);
            throw error;
          }
        });
    const direct = ways.filter(({ name, delayMs }) => delayMs === 0 && name !== ONE_WORKER);
    for (let turn = 0; turn < Math.min(FIRST_CALLS, calls); turn++)
      for (const way of direct)
        await attempt(way.first, turn, async () => ({ millis: await measureFirstCall(pages, way, turn) }));
    return [...ways.map(summed), ...direct.map(summedFirst)];
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

const better = (key, suffix) => (get) =>
  Math.min(...['simple-peer', 'peerjs'].map((name) => get(suffix(name), key)));
const same = (name) => name;

function fasterThanOthers(what, suffix, most, name = 'signalbox') {
  return {
    what,
    label: suffix(name),
    against: 'the better of simple-peer and PeerJS',
    most,
    unit: 'ms',
    digits: 0,
    ours: (get) => get(suffix(name), 'medianMs'),
    theirs: better('medianMs', suffix),
  };
}

export const calls = {
  name: 'call',
  defaults: { calls: 30 },
  cases: (load) => [
    {
      label: 'calls',
      system: { name: 'calls', missing: missingChromium },
      load,
      parts: [...ON_LOOPBACK, ...NAMES.map(delayed), ...NAMES.map(first)],
      rounds: 1,
    },
  ],
  run: measureCalls,
  describe: (r) =>
    `${r.medianMs.toFixed(0)} ms` +
    ('bytesPerCall' in r
      ? `, ${r.messagesPerCall.toFixed(0)} messages and ${r.bytesPerCall.toFixed(0)} bytes a call`
      : ''),
  columns: [
    { head: 'ms to an open channel', text: fixed('medianMs', 0) },
    { head: 'p90', text: fixed('p90Ms', 0) },
    { head: 'PeerJS', text: times('medianMs', (label) => label.replace(/^[^,]+/, 'peerjs')) },
    { head: 'messages', text: fixed('messagesPerCall', 0) },
    { head: 'bytes', text: fixed('bytesPerCall', 0) },
    { head: 'PeerJS', text: times('bytesPerCall', (label) => label.replace(/^[^,]+/, 'peerjs')) },
  ],
  goals: [
    fasterThanOthers('call, loopback', same, 1),
    fasterThanOthers('the same with one worker', same, 1, ONE_WORKER),
    fasterThanOthers(`call, ${DELAY_MS} ms of signaling delay each way`, delayed, 0.8),
    fasterThanOthers(`the same to who leaves a standing offer (an option of its)`, delayed, 0.8, STANDING),
    {
      what: 'signaling of a call',
      label: 'signalbox',
      against: 'peerjs',
      most: 0.4,
      unit: 'bytes',
      digits: 0,
      ours: (get) => get('signalbox', 'bytesPerCall'),
      theirs: (get) => get('peerjs', 'bytesPerCall'),
    },
  ],
  plot: (rows) =>
    groupedBars({
      title: 'Time from a call to an open data channel',
      subtitle: `Chromium, median; on loopback, with ${DELAY_MS} ms of signaling delay each way, and the first of a page`,
      unit: 'ms',
      groups: [
        { name: 'loopback', labels: ON_LOOPBACK },
        { name: `${DELAY_MS} ms`, labels: NAMES.map(delayed) },
        { name: 'first call', labels: NAMES.map(first) },
      ].map(({ name, labels }) => ({
        name,
        rows: rows
          .filter(({ label }) => labels.includes(label))
          .map(({ label, figures }) => ({
            label,
            value: figures.medianMs,
            ours: label.startsWith('signalbox'),
          })),
      })),
    }),
};
