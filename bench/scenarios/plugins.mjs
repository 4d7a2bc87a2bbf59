// Scenario plugins: what an empty middleware costs the way of a volatile message.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exchangeInTurn } from '../exchange.mjs';
import { atMost } from '../goals.mjs';
import { Load } from '../load.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { barChart } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, times } from '../table.mjs';

const NONE = 'no plugin';
const EMPTY = 'empty middleware';
/** What a gateway with a plugin is: the text of its module. */
const PLUGINS = {
  [NONE]: null,
  [EMPTY]: '{ frameIn: () => undefined }',
  'in, and decides': '{ decides: true, frameIn: () => undefined }',
  'in and out': '{ frameIn: () => undefined, frameOut: () => true }',
};
const NAMES = Object.keys(PLUGINS);

/** All gateways stand at once, and take turns: a few percent are less than two runs differ by. */
async function run({ load }) {
  const directory = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
  const servers = [];
  const generators = new Load(1);
  try {
    const sides = [];
    for (const [at, name] of NAMES.entries()) {
      const module = join(directory, `plugin${at}.mjs`);
      if (PLUGINS[name] !== null) writeFileSync(module, `export default () => (${PLUGINS[name]});\n`);
      const settings = PLUGINS[name] === null ? {} : { PLUGINS: JSON.stringify([module]) };
      const server = await ServerProcess.start(signalbox(1, 'signalbox', { settings }));
      servers.push(server);
      const end = { url: `ws://127.0.0.1:${server.ports[0]}` };
      const side = `plugin${at}`;
      const { pairs } = load;
      await generators.askOne(0, { type: 'exchangeConnect', side, pairs, asker: end, answerer: end });
      sides.push({ server, side, verb: 'send', pairs });
    }
    const { slices, messages: count, payload } = load;
    return await exchangeInTurn(generators, sides, { slices, count, window: 16, payload });
  } finally {
    await generators.stop();
    for (const server of servers) await server.stop();
    rmSync(directory, { recursive: true });
  }
}

export const plugins = {
  name: 'plugins',
  defaults: { slices: 8, messages: 2000, pairs: 4, payload: 64 },
  cases: (load) => [{ label: 'plugins', load, parts: NAMES }],
  run,
  describe: (r) => `${r.cpuMicrosPerMessage.toFixed(2)} µs of the server's CPU each`,
  columns: [
    { head: 'CPU µs/message', text: fixed('cpuMicrosPerMessage', 2) },
    { head: NONE, text: times('cpuMicrosPerMessage', NONE) },
    { head: 'messages/s', text: fixed('messagesPerSecond', 0) },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    atMost({
      what: 'a plugin with an empty middleware',
      key: 'cpuMicrosPerMessage',
      label: EMPTY,
      baseline: NONE,
      most: 1.03,
      unit: 'µs/message',
      digits: 2,
    }),
  ],
  plot: (rows) =>
    barChart({
      title: 'CPU time of the server per relayed message',
      subtitle: 'volatile messages of 64 bytes through one worker, with a plugin in each gateway but one',
      unit: 'µs',
      rows: rows.map(({ label, figures }) => ({
        label,
        value: figures.cpuMicrosPerMessage,
        ours: label !== NONE,
      })),
    }),
};
