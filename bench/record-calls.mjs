// node bench/record-calls.mjs: records the signals of one real call of each system in bench/recordings/call.json, for scenario call-rate.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { call, CallPages, hangUp } from './call-pages.mjs';
import { RECORDED } from './peers/recorded-calls.mjs';
import { ServerProcess } from './server-process.mjs';

/** Signals of a call go on after its channel is open. */
const SETTLE_MS = 1_000;

/** In a page: keeps what goes over its WebSocket, in order; bytes as base64. */
const LISTEN = `{
  const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const note = (isOut, data) => window.heard.push({ isOut, data: typeof data === 'string' ? data : base64(data.buffer ?? data) });
  window.heard = [];
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(...options) {
      super(...options);
      this.addEventListener('message', ({ data }) => note(false, data));
    }
    send(data) {
      note(true, typeof data === 'string' ? data : data.slice());
      super.send(data);
    }
  };
}`;

async function record(pages, { system, page, optionsOf, signalOf }) {
  const server = await ServerProcess.start(system(pages.origin));
  try {
    const pair = await pages.pair(page, optionsOf(server.ports[0]), LISTEN);
    const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    // The first one loads code.
    await call(...pair);
    await settle();
    await hangUp(pair);
    await settle();
    for (const end of pair) await end.page.evaluate('void (heard.length = 0)');
    await call(...pair);
    await settle();
    const sides = [];
    for (const [side, end] of pair.entries()) {
      let received = 0;
      for (const { isOut, data } of await end.page.evaluate('heard')) {
        const signal = signalOf(data, isOut);
        if (signal === null) continue;
        if (isOut) sides.push({ side, after: received, ...signal });
        else received++;
      }
    }
    return sides;
  } finally {
    await server.stop();
  }
}

const pages = await CallPages.open();
try {
  const recordings = {};
  for (const [name, how] of Object.entries(RECORDED)) recordings[name] = await record(pages, how);
  const file = fileURLToPath(new URL('recordings/call.json', import.meta.url));
  writeFileSync(file, `${JSON.stringify(recordings, null, 2)}\n`);
  for (const [name, signals] of Object.entries(recordings)) console.log(name, signals.length, 'signals');
} finally {
  await pages.close();
}
process.exit(0);
