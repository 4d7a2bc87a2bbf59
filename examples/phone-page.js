// The page of phone.mjs: who is online, the bell, the call. With a bundler `signalbox/client` is the package; here phone.html maps it.
import { Client } from 'signalbox/client';
import {
  closeDevices,
  openDevices,
  own,
  screen,
  Sending,
  stopSharing,
  trackOf,
  watchDevices,
} from './call-devices.js';
import { Line } from './phone-line.js';

const { gateway } = document.documentElement.dataset;
/** How long the gateway may take to let somebody in, ms. */
const PATIENCE_MS = 15_000;
const { title } = document;

const $ = (id) => document.getElementById(id);
/** What there is to say of this page's call and gateway, and of its devices: one sentence each, until there is another. */
const news = { call: '', devices: '' };
function say(text, of = 'call') {
  news[of] = text;
  const sentences = [news.devices, news.call].filter(Boolean).join(' ');
  // Said again it would be read out again.
  for (const place of document.querySelectorAll('.status'))
    if (place.textContent !== sentences) place.textContent = sentences;
}
function face(place, who) {
  const span = place.querySelector('.face span');
  span.textContent = [...who][0].toUpperCase();
  span.style.setProperty(
    '--hue',
    [...who].reduce((sum, letter) => sum + 47 * letter.codePointAt(0), 0) % 360,
  );
}

/** While this page is online. */
let client = null;
let line = null;
/** While a call is on: its peer, what it is sent, since when it is connected. */
let talk = null;

// ── who is online ──────────────────────────────────────────────────────────

const online = new Set();
function showPeople() {
  const others = [...online].filter((who) => who !== client.id).sort();
  $('people').replaceChildren(
    ...others.map((who) => {
      const [item, name, button] = ['li', 'b', 'button'].map((tag) => document.createElement(tag));
      item.innerHTML = '<div class="face"><span></span></div>';
      face(item, who);
      name.textContent = who;
      button.textContent = 'Call';
      button.ariaLabel = `Call ${who}`;
      button.addEventListener('click', () => line.ring(who));
      item.append(name, button);
      return item;
    }),
  );
  $('nobody').hidden = others.length > 0;
}

// ── the line ───────────────────────────────────────────────────────────────

const ENDS = {
  declined: (who) => `${who} declined.`,
  busy: (who) => `${who} is in another call.`,
  unanswered: (who) => `${who} does not answer.`,
  absent: (who) => `${who} is not online any more.`,
  missed: (who) => `You missed a call from ${who}.`,
  elsewhere: () => 'Another page of yours has dealt with the call.',
  'hung up': (who) => `${who} has hung up.`,
  ended: () => '',
};

function lineChanged(call, why, before) {
  const stage = call?.stage ?? 'idle';
  for (const [id, stages] of Object.entries({ book: 'idle', ringing: 'calling ringing', call: 'talking' }))
    $(id).hidden = !stages.split(' ').includes(stage);
  document.title = stage === 'ringing' ? `☎ ${call.who} is calling` : title;
  bell(stage === 'ringing');
  if (call === null) {
    say([sentenceOf(why, before.who), howLong()].filter(Boolean).join(' '));
    hangUp();
  } else {
    face($('ringing'), call.who);
    $('caller').textContent = stage === 'ringing' ? `${call.who} is calling` : `Calling ${call.who}…`;
    $('take').hidden = stage !== 'ringing';
    $('decline').textContent = stage === 'ringing' ? 'Decline' : 'Cancel';
    say(stage === 'talking' ? 'Connecting…' : '');
    if (stage !== 'ringing') void openForCall();
    if (stage === 'talking') void connect(call);
  }
}

function sentenceOf(why, who) {
  if (why in ENDS) return ENDS[why](who);
  if (why.code === 'timeout') return `The connection to ${who} is lost.`;
  return `That did not work: ${why.message}`;
}

function howLong() {
  if (talk === null || talk.since === null) return '';
  const seconds = Math.round((performance.now() - talk.since) / 1000);
  return `The call took ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}.`;
}

/** Two notes every two seconds: the user has clicked on this page, so it may be heard. */
let bellTimer = null;
function bell(rings) {
  clearInterval(bellTimer);
  if (!rings) return;
  const context = (bell.context ??= new AudioContext());
  const strike = () => {
    for (const [i, frequency] of [880, 660].entries()) {
      const [note, volume] = [context.createOscillator(), context.createGain()];
      const at = context.currentTime + i * 0.25;
      note.frequency.value = frequency;
      volume.gain.setValueAtTime(0.1, at);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.24);
      note.connect(volume).connect(context.destination);
      note.start(at);
      note.stop(at + 0.25);
    }
  };
  strike();
  bellTimer = setInterval(strike, 2_000);
}

// ── the call ───────────────────────────────────────────────────────────────

/** Both sides do this, as soon as they know of each other that they want the call. Its id keeps it apart from the one before. */
async function connect({ id, who }) {
  const [theirs, mine] = [$('theirs'), $('mine').querySelector('video')];
  face(theirs, who);
  theirs.querySelector('b').textContent = who;
  mine.srcObject = null;
  let peer;
  try {
    peer = await client.peer(who, {}, { name: id });
  } catch (error) {
    return line?.ended(id, error);
  }
  if (line?.call?.id !== id) return peer.close();
  talk = { peer, sending: new Sending(), since: null };
  peer.on('stream', (stream) => {
    const video = theirs.querySelector('video');
    video.srcObject = stream;
    video.play().catch(() => {});
  });
  peer.on('state', (state) => {
    if (state === 'connected' && talk?.peer === peer) talk.since ??= performance.now();
    if (state === 'connected') say('');
    else if (state === 'disconnected') say('Reconnecting…');
    else if (state === 'failed' && talk?.since === null)
      say(
        `No way to ${who} was found yet: a firewall or router between you may let no call through. A TURN server would help.`,
      );
  });
  peer.on('close', (why) => line?.ended(id, why === 'remote' ? 'hung up' : why));
  // Without camera and microphone on both sides there would be nothing to connect for.
  peer.connect().catch(() => {});
  for (const stream of talk.sending.streams) peer.addStream(stream).catch(() => {});
  devicesChanged();
}

async function openForCall() {
  await openDevices();
  // Over before the user has said yes.
  if (!line?.call) closeDevices();
}

function devicesChanged() {
  if (talk === null) return;
  talk.sending.update(talk.peer);
  const shown = screen ?? (trackOf('video')?.enabled ? own : null);
  $('mine').classList.toggle('dark', shown === null);
  $('mine').classList.toggle('shares', screen !== null);
  const video = $('mine').querySelector('video');
  if (video.srcObject !== shown) video.srcObject = shown;
}

function hangUp() {
  const ended = talk;
  talk = null;
  ended?.peer.close();
  stopSharing();
  closeDevices();
  $('theirs').querySelector('video').srcObject = null;
}

watchDevices({
  changed: devicesChanged,
  toldDevices: (text) => say(text, 'devices'),
  toldScreen: (text) => say(text, 'devices'),
});

// ── online and offline ─────────────────────────────────────────────────────

/** With the last token this page stays who it is. */
let token = '';
async function renewToken() {
  const response = await fetch(`token?name=${encodeURIComponent($('name').value.trim())}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`No token: ${response.status}`);
  return (token = await response.text());
}

async function goOnline(signal) {
  const room = client.room('phones');
  line = new Line(client, lineChanged);
  client.on('error', (error) => console.warn(error));
  let isListed = false;
  client.on('state', (state, { code, retryInMs }) => {
    if (state === 'connected' && isListed) listPeople(room).catch(() => {});
    else if (state === 'closed') goOffline(`The gateway has ended the session (${code}).`);
    else if (retryInMs !== null && line?.call === null) say('The gateway does not answer. Trying again…');
  });
  room.onPresence(({ joined, left }) => {
    for (const who of joined) online.add(who);
    for (const who of left) {
      online.delete(who);
      line?.gone(who);
    }
    showPeople();
  });
  await client.connect({ signal });
  await room.join({ signal });
  await listPeople(room);
  isListed = true;
  $('you').textContent = client.id;
  $('door').hidden = true;
  $('book').hidden = false;
}

/** Presence tells of changes; this is who was there before them. */
async function listPeople(room) {
  online.clear();
  for (let cursor = null; ;) {
    const page = await room.members({ cursor });
    for (const { client } of page.members) online.add(client);
    if ((cursor = page.cursor) === null) break;
  }
  if (line?.call === null) say('');
  showPeople();
}

function goOffline(sentence) {
  if (client === null) return;
  line?.hangUp();
  const gone = client;
  client = line = null;
  token = '';
  online.clear();
  $('book').hidden = true;
  $('door').hidden = false;
  say(sentence);
  void gone.close();
}

$('door').addEventListener('submit', async (event) => {
  event.preventDefault();
  sessionStorage.user = $('name').value.trim();
  $('enter').disabled = true;
  say('One moment…');
  client = new Client(gateway, { token: renewToken });
  try {
    await goOnline(AbortSignal.timeout(PATIENCE_MS));
  } catch (error) {
    goOffline(
      error.code === 'aborted'
        ? 'The gateway does not answer. Look at your network, then try again.'
        : `That did not work: ${error.message}`,
    );
  }
  $('enter').disabled = false;
});
$('take').addEventListener('click', () => line.take());
$('decline').addEventListener('click', () =>
  line.call.stage === 'ringing' ? line.decline() : line.hangUp(),
);
$('hang-up').addEventListener('click', () => line.hangUp());
addEventListener('pagehide', () => goOffline(''));

$('name').value = sessionStorage.user ?? '';
// Before all this was here, going online would only have sent the form.
$('enter').disabled = false;
say('');
