// Runs in the pages of the network fuzz: one client each, which calls or is called, and says what came when.
/* global window, document, performance */
const state = {};

const video = () => {
  const canvas = document.createElement('canvas');
  canvas.width = 320;
  canvas.height = 240;
  const context = canvas.getContext('2d');
  let frame = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${(frame += 40)} 90% 50%)`;
    context.fillRect(0, 0, 320, 240);
  }, 66);
  return canvas.captureStream(15);
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const watch = (peer, role) => {
  state.peer = peer;
  state.log = [];
  const note = (what) => state.log.push(`${role} ${Math.round(performance.now() - state.begunAt)} ${what}`);
  peer.on('state', (name) => note(name));
  peer.on('error', (error) => note(`${error.kind} ${error.code ?? ''} ${error.text}`));
  peer.on('close', (reason) => note(`closed: ${reason.code ?? reason}`));
  peer.peer.addEventListener('iceconnectionstatechange', () => note(`ice ${peer.peer.iceConnectionState}`));
  peer.peer.addEventListener('signalingstatechange', () => note(`signaling ${peer.peer.signalingState}`));
  peer.peer.addEventListener('icegatheringstatechange', () =>
    note(`gathering ${peer.peer.iceGatheringState}`),
  );
};

/** Resolves when it is connected; null where that takes longer than `limitMs`. */
window.signIn = async (url, token, limitMs) => {
  const { Client } = await import('/client.js');
  const client = (state.client = new Client(url, { token }));
  state.begunAt = performance.now();
  const ms = await Promise.race([
    client.connect().then(() => performance.now() - state.begunAt),
    pause(limitMs).then(() => null),
  ]);
  return ms;
};

/** While the network is good: what the SDK loads when it is first used is not part of a call. */
window.prepare = async (url, token) => {
  await window.signIn(url, token, 20_000);
  (await state.client.onPeer(() => {}))();
  state.client.close();
};

/** Takes calls: sends back what comes by a channel, and its own picture where one comes. */
window.answer = (content) =>
  state.client
    .onPeer(
      (peer) => {
        watch(peer, 'called');
        peer.on('datachannel', (channel) =>
          channel.addEventListener('message', ({ data }) => channel.send(data)),
        );
        if (content === 'video') peer.addStream(video(), { timeoutMs: 120_000 }).catch(() => {});
      },
      { iceTransportPolicy: 'relay' },
    )
    .then(() => true);

const framesOf = async (peer) => {
  let frames = 0;
  for (const report of (await peer.peer.getStats()).values())
    if (report.type === 'inbound-rtp') frames += report.framesDecoded ?? 0;
  return frames;
};

/** Resolves with what it took until the first answer came back; null where that takes longer than `limitMs`. */
window.call = async (to, content, limitMs) => {
  state.begunAt = performance.now();
  state.answeredAt = 0;
  state.peer = null;
  state.log = [];
  try {
    const peer = await state.client.peer(to, { iceTransportPolicy: 'relay' });
    watch(peer, 'calls');
    if (content === 'video') {
      peer.addStream(video(), { timeoutMs: limitMs }).catch(() => {});
      while ((await framesOf(peer)) === 0) {
        if (performance.now() - state.begunAt > limitMs) return null;
        await pause(50);
      }
      return performance.now() - state.begunAt;
    }
    const channel = await peer.createDataChannel('fuzz', {}, { timeoutMs: limitMs });
    const ms = performance.now() - state.begunAt;
    channel.addEventListener('message', ({ data }) => (state.answeredAt = Number(data)));
    const ask = () => {
      if (channel.readyState !== 'open') return;
      if (channel.bufferedAmount < 10_000) channel.send(String(performance.now()));
      setTimeout(ask, 100);
    };
    ask();
    return ms;
  } catch (error) {
    state.log.push(`call: ${error.code ?? error}`);
    return null;
  }
};

/** Whether nothing comes any more, for `ms` from now on: no answer, and no picture. */
window.isSilent = async (content, ms) => {
  // What was on its way, or decoded late.
  await pause(ms / 4);
  const heard = async () => (content === 'video' ? await framesOf(state.peer) : state.answeredAt);
  const before = await heard();
  await pause(ms / 2);
  return (await heard()) === before;
};

/** From now on: what it takes until what is sent now is answered, or pictures come again; null where that takes longer than `limitMs`. */
window.recover = async (content, limitMs) => {
  const begunAt = performance.now();
  const isVideo = content === 'video';
  // More than what was on its way.
  const frames = isVideo ? (await framesOf(state.peer)) + 10 : 0;
  while (isVideo ? (await framesOf(state.peer)) < frames : state.answeredAt < begunAt) {
    if (performance.now() - begunAt > limitMs) return null;
    await pause(20);
  }
  return performance.now() - begunAt;
};

/** What became of it; ends the peer. */
window.hangUp = () => {
  const { peer, log = [] } = state;
  const said = { counts: peer?.counts ?? null, state: peer?.state ?? null, log };
  peer?.close();
  return said;
};

window.signOut = () => state.client?.close();
