// Runs in the pages of the ladder's tests: one sends random bytes and counts, the other takes them; either cuts the path that they go by.
/* global window, client, seeded, until, crypto, RTCPeerConnection, bytesOf, shaOf, cutNow */

/** Every connection and every channel that the page ever had, to be cut under the SDK's feet. */
const connections = (window.connections = []);
const channels = (window.channels = []);
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    connections.push(this);
    this.addEventListener('datachannel', ({ channel }) => channels.push(channel));
  }
  createDataChannel(...options) {
    const channel = super.createDataChannel(...options);
    channels.push(channel);
    return channel;
  }
};

window.bytesOf = (seed, length) => {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = seed | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
};

window.shaOf = async (bytes) => {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
};

/** What carries the stream now is gone: this side's connection to the gateway, or the channel, or all of WebRTC. */
window.cutNow = async (stream, how, cutGateway) => {
  const { path } = stream;
  if (path === 'gateway') await cutGateway();
  else if (how === 'channel') channels.findLast(({ label }) => label.startsWith('~stream')).close();
  else connections.at(-1).close();
  return path;
};

/** Takes one stream, and cuts at those of the offsets that are its own. */
window.takeBytes = (name, length, cuts, gatewayCutUrl) => {
  client.onStream(name, async (stream) => {
    const all = new Uint8Array(length);
    const cut = [];
    let at = 0;
    const reader = stream.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      all.set(value, at);
      at += value.length;
      while (cuts.length > 0 && cuts[0].offset <= at)
        cut.push(await cutNow(stream, cuts.shift().how, () => fetch(gatewayCutUrl, { mode: 'no-cors' })));
    }
    return { at, sha: await shaOf(all), carried: stream.carried, cut };
  });
};

/** A stream whose bytes go in parts, each when the test says so. */
window.beginBytes = async (name, length, seed, rtcConfiguration) => {
  const bytes = bytesOf(seed, length);
  const startedAt = performance.now();
  const stream = (window.sending = await client.openStream('bob', name, { via: 'best', rtcConfiguration }));
  const writer = stream.writable.getWriter();
  let at = 0;
  window.sendPart = async (count) => {
    for (const end = at + count; at < end;) {
      const to = Math.min(at + 50_000, end);
      await writer.write(bytes.subarray(at, to));
      at = to;
    }
  };
  window.endBytes = async () => {
    await writer.close();
    const there = await stream.reply;
    await stream.closed;
    const ms = Math.round(performance.now() - startedAt);
    return { sha: await shaOf(bytes), there, carried: stream.carried, cut: [], changes: 0, ms };
  };
};

/**
 * Sends that many bytes. Before each offset of `holds` it waits for a path beside the gateway, as far as one comes within 10 s, so that
 * there is one to cut.
 */
window.sendBytes = async (name, { length, seed, holds, cuts, gatewayCutUrl, rtcConfiguration }) => {
  const bytes = bytesOf(seed, length);
  const random = seeded(seed);
  const stream = (window.sending = await client.openStream('bob', name, { via: 'best', rtcConfiguration }));
  const writer = stream.writable.getWriter();
  const cut = [];
  const changes = [stream.path];
  const startedAt = performance.now();
  const watching = setInterval(() => stream.path === changes.at(-1) || changes.push(stream.path), 1);
  try {
    for (let at = 0; at < length;) {
      if (holds.length > 0 && holds[0] <= at) {
        holds.shift();
        await until(() => stream.path !== 'gateway', 10_000).catch(() => {});
      }
      const to = Math.min(at + 1 + Math.floor(random() * 200_000), length, cuts[0]?.offset ?? Infinity);
      await writer.write(bytes.subarray(at, to));
      at = to;
      while (cuts.length > 0 && cuts[0].offset <= at)
        cut.push(await cutNow(stream, cuts.shift().how, () => fetch(gatewayCutUrl, { mode: 'no-cors' })));
    }
    await writer.close();
    const there = await stream.reply;
    await stream.closed;
    const ms = Math.round(performance.now() - startedAt);
    return { sha: await shaOf(bytes), there, carried: stream.carried, cut, changes: changes.length - 1, ms };
  } finally {
    clearInterval(watching);
  }
};
