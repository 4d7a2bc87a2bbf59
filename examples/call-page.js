// The page of call.mjs: own camera and microphone, a tile for everybody, the call. With a bundler `signalbox/client` is the package; here call.html maps it.
import { Client } from 'signalbox/client';

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
let passing;
/** One sentence to the user, at the door or in the call. */
function say(text, ms = 0) {
  clearTimeout(passing);
  if (ms > 0) passing = setTimeout(say, ms, '');
  for (const line of document.querySelectorAll('.status')) line.textContent = text;
}

// ── this end ───────────────────────────────────────────────────────────────

const own = new MediaStream();
const trackOf = (kind) => own.getTracks().find((track) => track.kind === kind);
/** While it is shared: its stream, and the camera's track that it stands in for. */
let screen = null;
/** While there is one: its client, room and mesh, and who this page is in it. */
let call = null;

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
  if (own.getTracks().length > 0) call?.mesh.addStream(own);
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
  if (call !== null) say(text);
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
  $('preview').srcObject = own;
  $('preview').parentElement.classList.toggle('dark', camera === undefined);
  if (call === null) return;
  describe(call.id, about());
  play(call.id, [screen?.stream ?? own]);
  fit();
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

// ── tiles ──────────────────────────────────────────────────────────────────

const tiles = new Map();
/** What the others said of themselves, perhaps before they had a tile. */
const abouts = new Map();

function tileOf(member) {
  let tile = tiles.get(member);
  if (tile !== undefined) return tile;
  tile = $('tile').content.cloneNode(true).firstElementChild;
  tile.dataset.member = member;
  tile.style.setProperty('--hue', parseInt(member.slice(-4), 16) % 360 || 0);
  const video = tile.querySelector('video');
  const enlarge = () => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    // On an iPhone only the video itself can fill the screen.
    else if (tile.requestFullscreen) void tile.requestFullscreen();
    else video.webkitEnterFullscreen?.();
  };
  tile.addEventListener('dblclick', enlarge);
  tile.querySelector('button').addEventListener('click', enlarge);
  tiles.set(member, tile);
  $('tiles').append(tile);
  describe(member, abouts.get(member));
  return tile;
}

function dropTile(member) {
  tiles.get(member)?.remove();
  tiles.delete(member);
  arrange();
}

/** A shared screen gets most of the place; else as many columns as make the tiles largest. */
function arrange() {
  const shared = [...tiles].find(([member, tile]) => member !== call?.id && tile.matches('.shares'))?.[1];
  for (const tile of tiles.values()) tile.classList.toggle('large', tile === shared);
  $('tiles').classList.toggle('stage', shared !== undefined);
  const { clientWidth, clientHeight } = $('tiles');
  const rows = (columns) => Math.ceil(tiles.size / columns);
  const size = (columns) => Math.min(clientWidth / columns / 16, clientHeight / rows(columns) / 11);
  let best = 1;
  for (let columns = 2; columns <= tiles.size; columns++) if (size(columns) > size(best)) best = columns;
  $('tiles').style.setProperty('--columns', best);
  $('tiles').style.setProperty('--rows', rows(best));
  $('tiles').style.setProperty('--others', tiles.size - 1);
}
addEventListener('resize', arrange);

/** What another page says of itself: taken for what it is, whatever was sent. */
function describe(member, said) {
  const { name = '', muted, dark, shares } = said ?? { dark: true };
  const tile = tileOf(member);
  const text = String(name).slice(0, 40);
  tile.querySelector('b').textContent = member === call?.id ? `${text} (you)` : text;
  tile.querySelector('.face span').textContent = [...text][0]?.toUpperCase() ?? '…';
  for (const [state, is] of Object.entries({ muted, dark, shares }))
    tile.classList.toggle(state, is === true);
  arrange();
}

/** The tracks of all streams of a member in one stream of its tile: who shares a screen beside a microphone sends two. */
function play(member, streams) {
  const video = tileOf(member).querySelector('video');
  const stream = (video.srcObject ??= new MediaStream());
  const tracks = [...streams].flatMap((one) => one.getTracks());
  // Of two pictures the later one: the screen.
  const picture = tracks.findLast(({ kind }) => kind === 'video');
  const wanted = tracks.filter((track) => track.kind === 'audio' || track === picture);
  for (const track of stream.getTracks()) if (!wanted.includes(track)) stream.removeTrack(track);
  for (const track of wanted) stream.addTrack(track);
  video.play().catch(() => {});
}

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
    abouts.set(from.client, said);
    if (tiles.has(from.client)) describe(from.client, said);
  });
  await client.connect({ signal });
  const sent = own.getTracks();
  const mesh = await room.mesh({ limitMembers: MEMBERS, streams: sent.length > 0 ? [own] : [], signal });
  call = { client, room, mesh, id: client.id };
  mesh.on('join', (member) => {
    describe(member.id, abouts.get(member.id));
    const { peer } = member.peer;
    peer.addEventListener('signalingstatechange', () => peer.signalingState === 'stable' && call && fit());
    tell();
    say('');
  });
  mesh.on('stream', (stream, member) => {
    const look = () => play(member.id, member.streams);
    for (const change of ['addtrack', 'removetrack']) stream.addEventListener(change, look);
    look();
  });
  mesh.on('streamEnded', (_stream, member) => play(member.id, member.streams));
  mesh.on('state', (state, { id }) => {
    tileOf(id).dataset.state = state;
    const isLost = state === 'disconnected' || state === 'failed';
    const trouble = state === 'connected' ? '' : isLost ? 'reconnecting…' : 'connecting…';
    tileOf(id).querySelector('.trouble').textContent = trouble;
  });
  mesh.on('leave', ({ id }) => {
    dropTile(id);
    if (call !== null) fit();
  });
  mesh.on('limit', () => say(`Somebody else wants to join. ${FULL}`, PASSING_MS));
  mesh.on('error', (error, member) => console.warn(member ?? 'call', error));
  mesh.on('close', ({ code }) => {
    if (code === 'limit') end('You were away for long, and others took your place: the call is full.');
    else if (code === 'replaced') end('You joined in another tab or window: this one has left the call.');
    else end('The call has ended here.');
  });
  $('door').hidden = true;
  $('call').hidden = false;
  const video = tileOf(call.id).querySelector('video');
  video.muted = true;
  video.classList.add('mirrored');
  // Permitted meanwhile.
  if (own.getTracks().length > sent.length) mesh.addStream(own);
  say(mesh.members.length > 0 ? '' : 'You are the first. Open this page in another tab for the next one.');
  tell();
}

function stateChanged(client, state, code, retryInMs) {
  if (call?.client !== client) {
    if (retryInMs !== null) say('The gateway does not answer. Trying again…');
  } else if (state === 'connected') {
    say('');
    tell();
  } else if (state === 'closed') end(`The gateway has ended the call (${code}).`);
  else say('The gateway is away. The call goes on; nobody can join until it is back.');
}

/** Back to the door. */
function end(sentence) {
  if (call === null) return;
  const { client, mesh } = call;
  call = null;
  stopSharing();
  for (const member of [...tiles.keys()]) dropTile(member);
  abouts.clear();
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
    return say(error.name === 'NotAllowedError' ? 'The screen is not shared.' : error.message, PASSING_MS);
  }
  const [track] = stream.getVideoTracks();
  if (call === null) return track.stop();
  track.contentHint = 'detail';
  track.addEventListener('ended', stopSharing);
  // In the camera's place nothing is negotiated; who has none sends one stream more.
  screen = { stream, track, camera: trackOf('video') };
  if (screen.camera) call.mesh.replaceTrack(screen.camera, track);
  else call.mesh.addStream(stream);
  tell();
});
function stopSharing() {
  if (screen === null) return;
  const { stream, track, camera } = screen;
  screen = null;
  track.stop();
  if (camera) call?.mesh.replaceTrack(track, camera);
  else call?.mesh.removeStream(stream);
  tell();
}

$('name').value = sessionStorage.name ?? '';
// Before all this was here, joining would only have sent the form.
$('join').disabled = false;
say('');
void openDevices();
