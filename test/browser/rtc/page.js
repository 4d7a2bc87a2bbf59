// Runs in the pages of the specifications: ends of peers by name, media without a camera, and one side of a random schedule.
/* global window, document, navigator, MediaStream, client, clientErrors, seeded, loopbacks, audio, video, echo, until, remoteKinds, received, schedules */
const ends = (window.ends = new Map());

/** Numbers from a seed, the same in every browser. */
window.seeded = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

/** Signals that `delayed` lost so far. */
window.lostSignals = 0;

/**
 * A mechanism whose signals take a random time each way, in order; of those that are not sent surely it loses that share. Candidates
 * take that much longer, ms.
 */
window.delayed = (mechanism, [min, max], random, loss = 0, candidatesMs = 0) => ({
  connect(info, receiver) {
    const later = () => {
      const queue = [];
      let at = 0;
      return (run, more = 0) => {
        at = Math.max(at, performance.now() + min + random() * (max - min) + more);
        queue.push(run);
        setTimeout(() => queue.shift()(), at - performance.now());
      };
    };
    const [out, back] = [later(), later()];
    let isClosed = false;
    const line = mechanism.connect(info, {
      onSignal: (...signal) => back(() => isClosed || receiver.onSignal(...signal)),
      onResync: () => receiver.onResync(),
      onDropped: (seq) => receiver.onDropped(seq),
      onFailed: (error) => receiver.onFailed(error),
      onEnded: () => receiver.onEnded(),
    });
    return {
      isReliable: line.isReliable,
      hasSureWay: line.hasSureWay,
      ready: line.ready,
      send: (...signal) => {
        const more = signal[0].type === 'candidate' ? candidatesMs : 0;
        if (signal[2] || random() >= loss) out(() => line.send(...signal), more);
        else window.lostSignals++;
      },
      close: () => {
        isClosed = true;
        out(() => line.close());
      },
    };
  },
});

window.connectClient = async (url, token, options) => {
  const { Client } = await import('/client.js');
  const { GatewaySignaling } = await import('/rtc.js');
  window.client = new Client(url, { token, ...options });
  window.clientErrors = [];
  client.on('error', (error) => clientErrors.push(String(error.code ?? error)));
  await client.connect();
  window.gatewaySignaling = new GatewaySignaling(client);
  return client.sessionId;
};

window.makeLoopback = async (key, options, seed) => {
  const { LoopbackSignaling } = await import('/rtc.js');
  const random = seeded(seed);
  const after = (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  };
  window.loopbacks ??= new Map();
  loopbacks.set(key, new LoopbackSignaling(options, { now: Date.now, random, after }));
};

/** A clock and timers that run so many times as fast. */
window.hasty = (times) => ({
  now: () => performance.now() * times,
  random: Math.random,
  after: (ms, run) => {
    const timer = setTimeout(run, ms / times);
    return () => clearTimeout(timer);
  },
});

/** What tells a page of another network in Chromium and on phones; Firefox on a desktop has none. */
if (navigator.connection === undefined)
  Object.defineProperty(navigator, 'connection', { value: new EventTarget() });

/** An end with everything that it heard of. */
window.makeEnd = async (key, localId, remoteId, mechanism, options = {}, configuration = {}) => {
  const { RTCSignalingPeer } = await import('/rtc.js');
  const signaling = typeof mechanism === 'string' ? loopbacks.get(mechanism) : mechanism;
  const peer = new RTCSignalingPeer(localId, remoteId, configuration, { ...options, signaling });
  const end = {
    peer,
    mechanism: signaling,
    channels: new Map(),
    streams: new Map(),
    states: [],
    errors: [],
    closes: [],
    keep: {},
    pending: new Set(),
  };
  peer.on('datachannel', (channel) => {
    end.channels.set(channel.label, channel);
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('message', ({ data }) => channel.send(data));
  });
  peer.on('stream', (stream) => end.streams.set(stream.id, stream));
  peer.on('state', (state) => end.states.push(state));
  peer.on('error', (error) => end.errors.push(`${error.kind} ${error.code ?? ''} ${error.text}`));
  peer.on('close', (reason) => end.closes.push(reason.code ?? reason));
  ends.set(key, end);
};

window.dropEnd = (key) => {
  ends.get(key)?.peer.close();
  ends.delete(key);
};

window.until = async (probe, ms = 20_000) => {
  for (const end = performance.now() + ms; ;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > end) throw new Error(`never: ${probe}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** What comes back over a channel whose other side sends everything back. */
window.echo = (channel, text) =>
  new Promise((resolve) => {
    channel.addEventListener('message', ({ data }) => resolve(data), { once: true });
    channel.send(text);
  });

const pictures = new Map();
/** A picture that is drawn here all the time: moving, or of one colour. */
window.video = (colour = null) => {
  if (!pictures.has(colour)) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 32;
    const context = canvas.getContext('2d');
    let frame = 0;
    setInterval(() => {
      context.fillStyle = colour ?? `hsl(${(frame += 40)} 90% 50%)`;
      context.fillRect(0, 0, 32, 32);
    }, 100);
    pictures.set(colour, canvas.captureStream(10).getVideoTracks()[0]);
  }
  return new MediaStream([pictures.get(colour).clone()]);
};

/** Waits until a stream's picture has most of this part: 0 red, 1 green, 2 blue. */
window.shows = async (stream, part) => {
  const element = document.createElement('video');
  element.muted = true;
  element.srcObject = stream;
  await element.play();
  const context = document.createElement('canvas').getContext('2d');
  await until(() => {
    context.drawImage(element, 0, 0, 1, 1);
    const parts = context.getImageData(0, 0, 1, 1).data.slice(0, 3);
    return parts.every((light, index) => (index === part ? light > 150 : light < 100));
  });
  element.srcObject = null;
};

let micTrack;
/** The browser's fake microphone. */
window.audio = async () => {
  micTrack ??= navigator.mediaDevices
    .getUserMedia({ audio: true })
    .then((stream) => stream.getAudioTracks()[0]);
  return new MediaStream([(await micTrack).clone()]);
};

/** Of the remote tracks that were agreed on. */
window.remoteKinds = (peer) =>
  liveReceivers(peer)
    .map(({ track }) => track.kind)
    .sort();

const liveReceivers = (peer) =>
  peer.peer
    .getTransceivers()
    .filter(
      ({ currentDirection, receiver }) =>
        /recv/.test(currentDirection ?? '') && receiver.track.readyState === 'live',
    )
    .map(({ receiver }) => receiver);

const packetsOf = async (receiver) => {
  let packets = 0;
  for (const report of (await receiver.getStats()).values())
    if (report.type === 'inbound-rtp') packets += report.packetsReceived;
  return packets;
};

/** Waits until these are the remote tracks that were agreed on, and more packets of each come. Returns them. */
window.received = async (peer, ...kinds) => {
  const before = new Map();
  const comesMore = async (receiver) => {
    const packets = await packetsOf(receiver);
    if (!before.has(receiver)) before.set(receiver, packets);
    return packets > before.get(receiver);
  };
  await until(async () => {
    if (remoteKinds(peer).join() !== kinds.sort().join()) return false;
    return (await Promise.all(liveReceivers(peer).map(comesMore))).every(Boolean);
  });
  return remoteKinds(peer);
};

/** Most packets that an earlier video has had where Firefox took those of another one for its own. */
const STRAY_PACKETS = 4;

/**
 * The receivers of videos that Firefox lost by itself, if that can be all that is missing: see firefox-early-video.test.ts. Each has an earlier
 * video before it that is received and quiet, or was given stray packets. That the other side sends them is to be asked there.
 */
const lostEarly = async (peer) => {
  const lost = [];
  if (!navigator.userAgent.includes('Firefox')) return lost;
  const live = liveReceivers(peer);
  let hasQuietVideo = false;
  for (const { receiver } of peer.peer.getTransceivers().sort((a, b) => a.mid - b.mid)) {
    if (receiver.track.kind !== 'video') continue;
    const packets = await packetsOf(receiver);
    if (hasQuietVideo && live.includes(receiver) && packets === 0) lost.push(receiver);
    hasQuietVideo ||= packets <= STRAY_PACKETS && (packets > 0 || live.includes(receiver));
  }
  return lost;
};

/** As `received` of all that was agreed on; returns how many videos of it Firefox lost. */
window.receivedButLost = async (peer) => {
  try {
    await received(peer, ...remoteKinds(peer));
    return 0;
  } catch (error) {
    const lost = await lostEarly(peer);
    if (lost.length === 0) throw error;
    const others = liveReceivers(peer).filter((receiver) => !lost.includes(receiver));
    const before = await Promise.all(others.map(packetsOf));
    await until(
      async () => (await Promise.all(others.map(packetsOf))).every((now, at) => now > before[at]),
      5_000,
    );
    return lost.length;
  }
};

/** Videos of this side that leave it. */
window.sentVideos = async (peer) => {
  let count = 0;
  for (const { sender, currentDirection } of peer.peer.getTransceivers()) {
    if (sender.track?.kind !== 'video' || !/send/.test(currentDirection ?? '')) continue;
    for (const report of (await sender.getStats()).values())
      if (report.type === 'outbound-rtp' && report.packetsSent > 20) count++;
  }
  return count;
};

/** One side's part of a schedule: operations that overlap each other and the other side's. */
window.playSide = async (key, seed, count, spreadMs) => {
  const { peer, pending } = ends.get(key);
  const random = seeded(seed);
  /** So that a hang says what hangs. */
  const track = (name, promise) => {
    pending.add(name);
    return promise.finally(() => pending.delete(name));
  };
  await audio();
  const streams = [];
  const running = [];
  const outcome = { opened: [], sent: { audio: 0, video: 0 }, failed: [], operations: [] };
  const fail = (operation) => (error) =>
    outcome.failed.push(`${operation}: ${error.code ?? error.message ?? error}`);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let step = 0; step < count; step++) {
    await pause(random() < 0.4 ? 0 : random() * spreadMs);
    const roll = random();
    if (roll < 0.4) {
      const label = `${key} ${step}`;
      outcome.operations.push('channel');
      running.push(
        track(`open ${label}`, peer.createDataChannel(label))
          .then(async (channel) => {
            const heard = await track(`echo ${label}`, echo(channel, label));
            if (heard !== label) throw new Error(`channel ${channel.id} ${label} heard ${heard}`);
            outcome.opened.push(label);
          })
          .catch(fail('channel')),
      );
    } else if (roll < 0.7) {
      const kind = random() < 0.5 ? 'audio' : 'video';
      const stream = kind === 'audio' ? await audio() : video();
      const entry = { stream, kind, isRemoved: false };
      streams.push(entry);
      outcome.operations.push(`add ${kind}`);
      running.push(
        track(`add ${step}`, peer.addStream(stream)).catch((error) =>
          entry.isRemoved && error.code === 'aborted' ? null : fail('add')(error),
        ),
      );
    } else if (roll < 0.82) {
      const entry = streams.find(({ isRemoved }) => !isRemoved);
      if (entry === undefined) continue;
      entry.isRemoved = true;
      outcome.operations.push(`remove ${entry.kind}`);
      running.push(track(`remove ${step}`, peer.removeStream(entry.stream)).catch(fail('remove')));
    } else if (roll < 0.92) {
      const entry = streams.find(({ isRemoved, kind }) => !isRemoved && kind === 'video');
      if (entry === undefined) continue;
      const [previous] = entry.stream.getTracks();
      const [next] = video().getTracks();
      outcome.operations.push('replace');
      running.push(
        track(`replace ${step}`, peer.replaceTrack(previous, next))
          .then(() => {
            entry.stream.removeTrack(previous);
            entry.stream.addTrack(next);
          })
          .catch(fail('replace')),
      );
    } else {
      outcome.operations.push('restart');
      peer.restartIce();
    }
  }
  await Promise.all(running);
  for (const { kind, isRemoved } of streams) if (!isRemoved) outcome.sent[kind]++;
  window.schedules ??= new Map();
  schedules.set(key, { streams });
  return outcome;
};

/** What this side ended with; `heard` are the channels that the other side made. */
window.sideResult = async (key) => {
  const { peer, channels, errors } = ends.get(key);
  await peer.agreed();
  const kinds = remoteKinds(peer);
  return {
    heard: [...channels.keys()].sort(),
    received: {
      audio: kinds.filter((kind) => kind === 'audio').length,
      video: kinds.filter((kind) => kind === 'video').length,
    },
    signalingState: peer.peer.signalingState,
    state: peer.state,
    counts: { ...peer.counts },
    errors: errors.filter((text) => !text.startsWith('ice')),
  };
};
