// The page of call.mjs: own camera and microphone, a tile for everybody, the call. With a bundler `signalbox/client` is the package; here call.html maps it.
import { Client } from 'signalbox/client';
import { clearTiles, describe, dropTile, nameOf, tileOf } from './call-tiles.js';

const { gateway } = document.documentElement.dataset;
const MEMBERS = 6;
/** How long the gateway may take to let somebody in, ms. */
const PATIENCE_MS = 15_000;
/** Lines of the picture that each of so many others gets. Everybody sends it once to everybody: the encoders and the uplink have to do them all. */
const LINES = [720, 720, 480, 360, 360, 240];
const UPLINK_BITS_PER_SECOND = 2_500_000;
/** How long news of others stays, ms. */
const PASSING_MS = 8_000;
const FULL = `The call is full: ${MEMBERS} people are in it.`;

const $ = (id) => document.getElementById(id);
let atDoor = '';
let passing = '';
let timer;
/** One sentence at the door, until there is another. */
function say(text) {
  atDoor = text;
  sayForNow('');
}
/** Beside what is said already, for a while. */
function sayForNow(text) {
  passing = text;
  clearTimeout(timer);
  if (text !== '') timer = setTimeout(sayForNow, PASSING_MS, '');
  showNews();
}
function showNews() {
  const text = [passing, call === null ? atDoor : situation()].filter(Boolean).join(' ');
  // Said again it would be read out again.
  for (const line of document.querySelectorAll('.status'))
    if (line.textContent !== text) line.textContent = text;
}
/** What stays to be said in the call, first what the user can do something about. */
function situation() {
  const { client, mesh } = call;
  if (isRefused) return 'Tap to see and hear the others.';
  if (client.state !== 'connected')
    return 'The gateway is away. The call goes on; nobody can join until it is back.';
  const unreached = [...ways]
    .filter(([, way]) => way === 'none')
    .map(([member]) => nameOf(member) || 'somebody');
  if (unreached.length > 0) {
    const hasRelay = client.iceServers.some(({ urls }) => /turns?:/.test(String(urls)));
    const help = hasRelay
      ? 'The TURN server did not help either.'
      : 'A TURN server would help: call.mjs says in its first lines how.';
    return `No way to ${unreached.join(' and ')} was found: a firewall or router between you lets no call through. ${help}`;
  }
  return mesh.members.length > 0 ? '' : 'You are alone here. Open this page in another tab for the next one.';
}

// ── this end ───────────────────────────────────────────────────────────────

const own = new MediaStream();
const trackOf = (kind) => own.getTracks().find((track) => track.kind === kind);
/** The stream of the screen, while it is shared. */
let screen = null;
/** While there is one: its client, room and mesh, who this page is in it, the stream that it sends, and by kind the track that is now sent. */
let call = null;

/** Of each kind what the others shall get. */
const toSend = () => [trackOf('audio'), screen?.getVideoTracks()[0] ?? trackOf('video')].filter(Boolean);

/**
 * Sends it. The first track of a kind is added; each one after it, a screen or a camera that was plugged in again, takes its place, which
 * nobody has to negotiate. So a place stays where its device has gone, and those who come later get what is in it then.
 */
function send() {
  const { mesh, stream, sent } = call;
  for (const track of toSend()) {
    const before = sent.get(track.kind);
    sent.set(track.kind, track);
    if (before === undefined) {
      stream.addTrack(track);
      mesh.addStream(stream);
    } else if (before !== track) mesh.replaceTrack(before, track);
  }
}

const DEVICES = {
  video: {
    name: 'camera',
    wanted: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: 'user' },
  },
  audio: { name: 'microphone', wanted: true },
};

/** Asks for what is not there yet. A page without a camera may still be heard, one without both may watch. */
async function openDevices() {
  const missing = () => Object.keys(DEVICES).filter((kind) => trackOf(kind) === undefined);
  const names = () =>
    missing()
      .map((kind) => DEVICES[kind].name)
      .join(' and ');
  if (navigator.mediaDevices === undefined)
    return tellMedia(`Browsers give your ${names()} only to pages over https, or of this machine itself.`);
  tellMedia(`Allow your ${names()} where the browser asks.`);
  const kinds = missing();
  // Browsers may leave out what a page may not use, and say no word.
  let fault = { name: 'NotAllowedError' };
  for (const some of kinds.length > 1 ? [kinds, ...kinds.map((kind) => [kind])] : [kinds]) {
    const wanted = Object.fromEntries(some.map((kind) => [kind, DEVICES[kind].wanted]));
    try {
      (await navigator.mediaDevices.getUserMedia(wanted)).getTracks().forEach(addTrack);
      break;
    } catch (error) {
      if (some === kinds) fault = error;
    }
  }
  const isMissing = missing().length > 0;
  tellMedia(isMissing ? `${whyNot(fault, names())} You can also take part without.` : '', isMissing);
  tell();
}

function addTrack(track) {
  if (trackOf(track.kind) !== undefined) return track.stop();
  own.addTrack(track);
  // Unplugged, or no longer permitted.
  track.addEventListener('ended', () => {
    own.removeTrack(track);
    tell();
  });
}

function whyNot({ name, message }, devices) {
  if (name === 'NotAllowedError')
    return `This page may not use your ${devices}. Allow it next to the page’s address, then try again.`;
  if (name === 'NotFoundError') return `There is no ${devices}.`;
  if (name === 'NotReadableError') return `Another program uses your ${devices}.`;
  return `Without ${devices}: ${message}.`;
}

function tellMedia(text, canRetry = false) {
  $('notice').textContent = text;
  $('retry').hidden = !canRetry;
  if (call !== null) sayForNow(text);
}

/** What the others shall know of this end beside its media. */
const about = () => ({
  name: $('name').value.trim(),
  muted: !trackOf('audio')?.enabled,
  dark: screen === null && !trackOf('video')?.enabled,
  shares: screen !== null,
});

/** Shows how this end is, and tells everybody. */
function tell() {
  const [microphone, camera] = [trackOf('audio'), trackOf('video')];
  label('mute', microphone ? (microphone.enabled ? 'Mute' : 'Unmute') : 'No microphone', microphone?.enabled);
  label('camera', camera ? (camera.enabled ? 'Camera off' : 'Camera on') : 'No camera', camera?.enabled);
  label('share', screen ? 'Stop sharing' : 'Share screen', screen === null);
  // With a stream of nothing the page would not count as loaded.
  $('preview').srcObject = camera ? own : null;
  $('preview').parentElement.classList.toggle('dark', camera === undefined);
  if (call === null) return;
  send();
  describe(call.id, about());
  show(call.id, screen ?? own);
  fit();
  showNews();
  // While the gateway is away it waits, and everything is told again when it is back.
  call.room.publish('about', about(), { self: false }).catch(() => {});
}

function label(id, text, isOn = false) {
  $(id).title = $(id).ariaLabel = $(id).querySelector('span').textContent = text;
  $(id).classList.toggle('off', !isOn);
}

/** A smaller picture the more there are; a shared screen keeps its lines, or nobody could read it. */
function fit() {
  const members = call.mesh.members;
  const { width = 0, height = 0 } = trackOf('video')?.getSettings() ?? {};
  const scale = Math.max(1, Math.min(width, height) / LINES[members.length]);
  for (const sender of members.flatMap(({ peer }) => peer.peer.getSenders())) {
    if (sender.track?.kind !== 'video') continue;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) {
      encoding.scaleResolutionDownBy = screen === null ? scale : 1;
      encoding.maxBitrate = Math.round(UPLINK_BITS_PER_SECOND / members.length);
    }
    // Refused in the middle of a negotiation, and done again after it.
    sender.setParameters(parameters).catch(() => {});
  }
}

// ── what the others send ───────────────────────────────────────────────────

function show(member, stream) {
  const video = tileOf(member).querySelector('video');
  if (video.srcObject === stream) return;
  video.srcObject = stream;
  play(video);
}

/** Whether a way to a member was ever `found`, or `none`. */
const ways = new Map();

/** Whether the browser wants a gesture before it plays what others send: an iPhone of somebody who only watches. */
let isRefused = false;
function play(video) {
  video.play().catch(({ name }) => {
    if (name !== 'NotAllowedError') return;
    isRefused = true;
    showNews();
  });
}
// The end of a touch counts as a gesture, its beginning does not.
for (const gesture of ['pointerup', 'keydown'])
  addEventListener(gesture, () => {
    if (!isRefused) return;
    isRefused = false;
    for (const video of document.querySelectorAll('#tiles video')) play(video);
    showNews();
  });

// ── the call ───────────────────────────────────────────────────────────────

/** With the last token this page stays the guest that it is. */
let token = '';
async function renewToken() {
  const response = await fetch('token', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`No token: ${response.status}`);
  return (token = await response.text());
}

async function join(client) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const room = client.room('call');
  client.on('error', (error) => console.warn(error));
  client.on('state', (state, { code, retryInMs }) => stateChanged(client, state, code, retryInMs));
  room.onMessage('about', (said, from) => {
    describe(from.client, said);
    if (call !== null) showNews();
  });
  room.onPresence(({ left }) => {
    for (const member of left) ways.delete(member);
    if (call !== null) showNews();
  });
  await client.connect({ signal });
  const stream = new MediaStream(toSend());
  const sent = new Map(stream.getTracks().map((track) => [track.kind, track]));
  const mesh = await room.mesh({ limitMembers: MEMBERS, streams: sent.size > 0 ? [stream] : [], signal });
  call = { client, room, mesh, id: client.id, stream, sent };
  mesh.on('join', (member) => {
    tileOf(member.id);
    const { peer } = member.peer;
    peer.addEventListener('signalingstatechange', () => peer.signalingState === 'stable' && call && fit());
    tell();
  });
  mesh.on('stream', (stream, { id }) => show(id, stream));
  mesh.on('state', (state, { id }) => {
    tileOf(id).dataset.state = state;
    if (state === 'connected') ways.set(id, 'found');
    else if (state === 'failed' && !ways.has(id)) ways.set(id, 'none');
    const trouble = { none: 'no way found', found: 'reconnecting…' }[ways.get(id)] ?? 'connecting…';
    tileOf(id).querySelector('.trouble').textContent = state === 'connected' ? '' : trouble;
    if (call !== null) showNews();
  });
  mesh.on('leave', ({ id }) => {
    dropTile(id);
    if (call === null) return;
    fit();
    showNews();
  });
  mesh.on('limit', () => sayForNow(`Somebody else wants to join. ${FULL}`));
  mesh.on('error', (error, member) => console.warn(member ?? 'call', error));
  mesh.on('close', ({ code }) => {
    if (code === 'limit') end('You were away for long, and others took your place: the call is full.');
    else if (code === 'replaced') end('You joined in another tab or window: this one has left the call.');
    else end('The call has ended here.');
  });
  $('door').hidden = true;
  $('call').hidden = false;
  const tile = tileOf(call.id);
  tile.classList.add('own');
  tile.querySelector('video').muted = true;
  tell();
}

function stateChanged(client, state, code, retryInMs) {
  if (call?.client !== client) {
    if (retryInMs !== null) say('The gateway does not answer. Trying again…');
  } else if (state === 'connected') tell();
  else if (state === 'closed') end(`The gateway has ended the call (${code}).`);
  else showNews();
}

/** Back to the door. */
function end(sentence) {
  if (call === null) return;
  const { client, mesh } = call;
  call = null;
  stopSharing();
  clearTiles();
  ways.clear();
  isRefused = false;
  $('call').hidden = true;
  $('door').hidden = false;
  say(sentence);
  // The session, too: the others shall not wait for it to come back.
  void mesh.leave().finally(() => client.close());
}

$('door').addEventListener('submit', async (event) => {
  event.preventDefault();
  sessionStorage.name = $('name').value.trim();
  $('join').disabled = true;
  say('Joining…');
  const client = new Client(gateway, { token: renewToken });
  try {
    await join(client);
  } catch (error) {
    if (error.code === 'limit') say(FULL);
    else if (error.code === 'aborted')
      say('The gateway does not answer. Look at your network, then try again.');
    else say(`That did not work: ${error.message}`);
    void client.close();
  }
  $('join').disabled = false;
});
// A page that is loaded again shall not find its own place taken.
addEventListener('pagehide', () => end('You left the call.'));
$('leave').addEventListener('click', () => end('You left the call.'));
$('retry').addEventListener('click', openDevices);

for (const [button, kind] of Object.entries({ mute: 'audio', camera: 'video' }))
  $(button).addEventListener('click', () => {
    const track = trackOf(kind);
    if (track === undefined) return openDevices();
    track.enabled = !track.enabled;
    tell();
  });

// Phones have no such thing.
$('share').hidden = navigator.mediaDevices?.getDisplayMedia === undefined;
$('share').addEventListener('click', async () => {
  if (screen !== null) return stopSharing();
  let stream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
  } catch (error) {
    return sayForNow(error.name === 'NotAllowedError' ? 'The screen is not shared.' : error.message);
  }
  const [track] = stream.getVideoTracks();
  if (call === null) return track.stop();
  track.contentHint = 'detail';
  track.addEventListener('ended', stopSharing);
  screen = stream;
  tell();
});
function stopSharing() {
  if (screen === null) return;
  screen.getTracks().forEach((track) => track.stop());
  screen = null;
  tell();
}

$('name').value = sessionStorage.name ?? '';
// Before all this was here, joining would only have sent the form.
$('join').disabled = false;
say('');
void openDevices();
