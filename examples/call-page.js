// The page of call.mjs: own camera and microphone, a tile for everybody, the call. With a bundler `signalbox/client` is the package; here call.html maps it.
import { Client } from 'signalbox/client';
import { openDevices, own, screen, Sending, stopSharing, trackOf, watchDevices } from './call-devices.js';
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

/** While there is one: its client, room and mesh, who this page is in it, and what it sends. */
let call = null;

watchDevices({
  changed: tell,
  toldDevices(text, canRetry = false) {
    $('notice').textContent = text;
    $('retry').hidden = !canRetry;
    if (call !== null) sayForNow(text);
  },
  toldScreen: sayForNow,
});

/** What the others shall know of this end beside its media. */
const about = () => ({
  name: $('name').value.trim(),
  muted: !trackOf('audio')?.enabled,
  dark: screen === null && !trackOf('video')?.enabled,
  shares: screen !== null,
});

/** Shows how this end is, and tells everybody. */
function tell() {
  const camera = trackOf('video');
  // With a stream of nothing the page would not count as loaded.
  $('preview').srcObject = camera ? own : null;
  $('preview').parentElement.classList.toggle('dark', camera === undefined);
  if (call === null) return;
  call.sending.update(call.mesh);
  describe(call.id, about());
  show(call.id, screen ?? own);
  fit();
  showNews();
  // While the gateway is away it waits, and everything is told again when it is back.
  call.room.publish('about', about(), { self: false }).catch(() => {});
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
  const sending = new Sending();
  const mesh = await room.mesh({ limitMembers: MEMBERS, streams: sending.streams, signal });
  call = { client, room, mesh, id: client.id, sending };
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

$('name').value = sessionStorage.name ?? '';
// Before all this was here, joining would only have sent the form.
$('join').disabled = false;
say('');
void openDevices();
