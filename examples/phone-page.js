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
/** How long news of devices stay, ms. */
const PASSING_MS = 8_000;
/** How long the other side may take to answer once the call is taken, ms. */
const ANSWER_MS = 15_000;
const { title } = document;

const $ = (id) => document.getElementById(id);
/** What there is to say, one sentence of each kind, until there is another. */
const news = { devices: '', screen: '', sound: '', call: '', gateway: '' };
function say(text, of = 'call') {
  news[of] = text;
  const sentences = Object.values(news).filter(Boolean).join(' ');
  // Said again it would be read out again.
  for (const place of document.querySelectorAll('.status'))
    if (place.textContent !== sentences) place.textContent = sentences;
}
/** For a while: it would cover the picture. */
function sayForNow(text, of) {
  clearTimeout(sayForNow[of]);
  if (text !== '') sayForNow[of] = setTimeout(say, PASSING_MS, '', of);
  say(text, of);
}
function face(place, who) {
  const span = place.querySelector('.face span');
  span.textContent = [...who][0].toUpperCase();
  span.style.setProperty(
    '--hue',
    [...who].reduce((sum, letter) => sum + 47 * letter.codePointAt(0), 0) % 360,
  );
}

/** While this page goes, or is, online. */
let client = null;
let line = null;
let isOnline = false;
/** While a call is on: its peer, what it is sent, since when it is connected. */
let talk = null;

// ── who is online ──────────────────────────────────────────────────────────

const online = new Set();
function showPeople() {
  const others = [...online].filter((who) => who !== client?.id).sort();
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

/** Shows where the user is. */
function show() {
  const stage = line?.call?.stage ?? 'idle';
  $('door').hidden = isOnline || stage !== 'idle';
  $('book').hidden = !isOnline || stage !== 'idle';
  $('ringing').hidden = stage !== 'calling' && stage !== 'ringing';
  $('call').hidden = stage !== 'taking' && stage !== 'talking';
}

function lineChanged(call, why, before) {
  show();
  const rings = call?.stage === 'ringing';
  document.title = rings ? `☎ ${call.who} is calling` : title;
  bell(rings);
  if (call === null) {
    say([sentenceOf(why, before.who), howLong()].filter(Boolean).join(' '));
    return hangUp();
  }
  const { stage, who } = call;
  for (const place of [$('ringing'), $('theirs')]) face(place, who);
  $('theirs').querySelector('b').textContent = who;
  // Its first word of itself comes after the call is settled.
  if (stage !== 'talking') describe({ dark: true });
  say(stage === 'taking' || stage === 'talking' ? 'Connecting…' : '');
  if (stage === 'calling' || stage === 'ringing') {
    $('ringing').role = rings ? 'alertdialog' : 'dialog';
    $('caller').textContent = rings ? `${who} is calling` : `Calling ${who}…`;
    $('caller').focus();
    $('take').hidden = !rings;
    $('decline').textContent = rings ? 'Decline' : 'Cancel';
  }
  // Once for each call, and not before it is wanted.
  if (stage === 'calling' || stage === 'taking') void openDevices();
  if (stage === 'talking') void connect(call);
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

/** Two notes every two seconds. */
let bellTimer = null;
function bell(rings) {
  clearInterval(bellTimer);
  if (!rings) return;
  const { context } = bell;
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

/** Both sides do this when the call is settled. Its id keeps it apart from the one before. */
async function connect({ id, who }) {
  let peer;
  try {
    peer = await client.peer(who, {}, { name: `call ${id}` });
  } catch (error) {
    return line?.ended(id, error);
  }
  if (line?.call?.id !== id) return peer.close();
  talk = { id, who, peer, sending: new Sending(), since: null };
  peer.on('stream', (stream) => play($('theirs').querySelector('video'), stream));
  peer.on('state', (state) => {
    if (talk?.peer !== peer) return;
    if (state === 'connected') talk.since ??= performance.now();
    line.isLost = state !== 'connected' && talk.since !== null;
    if (state === 'connected') say('');
    else if (line.isLost) say('Reconnecting…');
    else if (state === 'failed')
      say(
        `No way to ${who} was found yet: a firewall or router between you may let no call through. A TURN server would help.`,
      );
  });
  peer.on('close', (why) => line?.ended(id, why === 'remote' ? 'hung up' : why));
  // Without camera and microphone on both sides there would be nothing to connect for.
  peer.connect({ timeoutMs: ANSWER_MS }).catch(() => {
    if (peer.state === 'new') line?.ended(id, 'absent');
  });
  for (const stream of talk.sending.streams) peer.addStream(stream).catch(() => {});
  devicesChanged();
}

function play(video, stream) {
  video.srcObject = stream;
  video.play().catch(({ name }) => {
    if (name !== 'NotAllowedError') return;
    // An iPhone of somebody who only watches wants a gesture.
    say('Tap to see and hear the other side.', 'sound');
    addEventListener('pointerup', () => say('', 'sound') ?? video.play().catch(() => {}), { once: true });
  });
}

/** How the other side says it is: taken for what it is, whatever it has sent. */
function describe({ muted, dark }) {
  for (const [state, is] of Object.entries({ muted, dark })) $('theirs').classList.toggle(state, is === true);
}

function devicesChanged() {
  if (talk === null) return;
  const { id, who, peer, sending } = talk;
  sending.update(peer);
  const shown = screen ?? (trackOf('video')?.enabled ? own : null);
  const about = { muted: !trackOf('audio')?.enabled, dark: shown === null };
  // A picture that is black and silence say the same, but not that it is meant so.
  client.send(who, 'phone.about', { id, ...about }).catch(() => {});
  $('mine').classList.toggle('dark', about.dark);
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
  for (const video of document.querySelectorAll('video')) video.srcObject = null;
  for (const kind of ['screen', 'sound']) say('', kind);
}

watchDevices({
  changed: devicesChanged,
  toldDevices: (text) => sayForNow(text, 'devices'),
  toldScreen: (text) => sayForNow(text, 'screen'),
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
  const text = await response.text();
  if (client !== null) token = text;
  return text;
}

async function goOnline(signal) {
  const room = client.room('phones');
  line = new Line(client, lineChanged);
  client.onMessage('phone.about', (said, { client: who }) => {
    const { call } = line ?? {};
    if (call?.stage === 'talking' && call.who === who && call.id === said?.id) describe(said);
  });
  client.on('error', (error) => console.warn(error));
  client.on('state', (state, { code, retryInMs }) => {
    if (state === 'closed') goOffline(`The gateway has ended the session (${code}).`);
    else if (retryInMs !== null) say('The gateway does not answer. Trying again…', 'gateway');
    else if (state === 'connected') {
      say('', 'gateway');
      if (isOnline) listPeople(room).catch(() => {});
    }
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
  await listPeople(room, signal);
  isOnline = true;
  $('you').textContent = client.id;
  say(line.call === null ? '' : news.call);
  show();
}

/** Presence tells of changes; this is who was there before them. */
async function listPeople(room, signal) {
  online.clear();
  for (let cursor = null; ;) {
    const page = await room.members({ cursor, signal });
    for (const { client } of page.members) online.add(client);
    if ((cursor = page.cursor) === null) break;
  }
  showPeople();
}

function goOffline(sentence) {
  if (client === null) return;
  line.close();
  const gone = client;
  client = line = null;
  isOnline = false;
  token = '';
  online.clear();
  show();
  say('', 'gateway');
  say(sentence);
  void gone.close();
}

$('door').addEventListener('submit', async (event) => {
  event.preventDefault();
  sessionStorage.user = $('name').value.trim();
  $('enter').disabled = true;
  // Some browsers let a page be heard only where this begins with a gesture.
  bell.context ??= new AudioContext();
  void bell.context.resume();
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
