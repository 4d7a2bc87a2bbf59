// Camera, microphone and screen of this end, with the buttons for them: what the pages of call.mjs and phone.mjs have in common.
const $ = (id) => document.getElementById(id);

/** Camera and microphone, as far as they are there. */
export const own = new MediaStream();
export const trackOf = (kind) => own.getTracks().find((track) => track.kind === kind);
/** The stream of the screen, while it is shared. */
export let screen = null;

let changed = () => {};
let toldDevices = () => {};
let toldScreen = () => {};
/**
 * @param watcher `changed()` where this end is another one than before, `toldDevices(sentence, canRetry)` what there is to say about camera and
 * microphone until the next one, `toldScreen(sentence)` why the screen is not shared, until it is
 */
export function watchDevices(watcher) {
  ({ changed, toldDevices, toldScreen } = watcher);
}

// ── what is sent ───────────────────────────────────────────────────────────

/** Of each kind what the others shall get. */
const toSend = () => [trackOf('audio'), screen?.getVideoTracks()[0] ?? trackOf('video')].filter(Boolean);

/** What goes to the other side of a peer, or to all sides of a mesh. */
export class Sending {
  #stream = new MediaStream(toSend());
  #sent = new Map(this.#stream.getTracks().map((track) => [track.kind, track]));

  /** For who is called with it. */
  get streams() {
    return this.#sent.size > 0 ? [this.#stream] : [];
  }

  /**
   * Sends what this end has by now. The first track of a kind is added; each one after it, a screen or a camera that was plugged in again,
   * takes its place, which nobody has to negotiate. So a place stays where its device has gone, and those who come later get what is in it then.
   */
  update(target) {
    for (const track of toSend()) {
      const before = this.#sent.get(track.kind);
      this.#sent.set(track.kind, track);
      if (before === track) continue;
      if (before === undefined) this.#stream.addTrack(track);
      const done = before === undefined ? target.addStream(this.#stream) : target.replaceTrack(before, track);
      // Over meanwhile, which the page hears by the event.
      done?.catch(() => {});
    }
  }
}

// ── camera and microphone ──────────────────────────────────────────────────

const DEVICES = {
  video: {
    name: 'camera',
    wanted: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: 'user' },
  },
  audio: { name: 'microphone', wanted: true },
};

/** What is asked for just now, and whether it is still wanted when the user has answered. */
let opening = null;
let round = 0;

/** Asks for what is not there yet. A page without a camera may still be heard, one without both may watch. */
export function openDevices() {
  if (opening === null) {
    const asked = ask(round).finally(() => {
      if (opening === asked) opening = null;
    });
    opening = asked;
  }
  return opening;
}

async function ask(asked) {
  const missing = () => Object.keys(DEVICES).filter((kind) => trackOf(kind) === undefined);
  const names = () =>
    missing()
      .map((kind) => DEVICES[kind].name)
      .join(' and ');
  const kinds = missing();
  if (kinds.length === 0) return;
  if (navigator.mediaDevices === undefined)
    return toldDevices(`Browsers give your ${names()} only to pages over https, or of this machine itself.`);
  toldDevices(`Allow your ${names()} where the browser asks.`);
  // Browsers may leave out what a page may not use, and say no word.
  let fault = { name: 'NotAllowedError' };
  for (const some of kinds.length > 1 ? [kinds, ...kinds.map((kind) => [kind])] : [kinds]) {
    const wanted = Object.fromEntries(some.map((kind) => [kind, DEVICES[kind].wanted]));
    try {
      const tracks = (await navigator.mediaDevices.getUserMedia(wanted)).getTracks();
      if (asked !== round) return tracks.forEach((track) => track.stop());
      tracks.forEach(addTrack);
      break;
    } catch (error) {
      if (asked !== round) return;
      if (some === kinds) fault = error;
    }
  }
  const isMissing = missing().length > 0;
  toldDevices(isMissing ? `${whyNot(fault, names())} You can also take part without.` : '', isMissing);
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

/** When nobody is in a call the light of the camera goes out. */
export function closeDevices() {
  round++;
  opening = null;
  for (const track of own.getTracks()) {
    track.stop();
    own.removeTrack(track);
  }
  toldDevices('');
  tell();
}

// ── the screen ─────────────────────────────────────────────────────────────

/** Which share is the last one that was wanted, so that what the dialogue gives after the call is dropped. */
let share = 0;

async function shareScreen() {
  const asked = ++share;
  let stream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
  } catch (error) {
    return toldScreen(error.name === 'NotAllowedError' ? 'The screen is not shared.' : error.message);
  }
  const [track] = stream.getVideoTracks();
  if (asked !== share) return track.stop();
  track.contentHint = 'detail';
  track.addEventListener('ended', stopSharing);
  screen = stream;
  toldScreen('');
  tell();
}

export function stopSharing() {
  share++;
  if (screen === null) return;
  screen.getTracks().forEach((track) => track.stop());
  screen = null;
  tell();
}

// ── the buttons ────────────────────────────────────────────────────────────

/** Shows how this end is, on its buttons and to the page. */
function tell() {
  showButtons();
  changed();
}

function showButtons() {
  const [microphone, camera] = [trackOf('audio'), trackOf('video')];
  label('mute', microphone ? (microphone.enabled ? 'Mute' : 'Unmute') : 'No microphone', microphone?.enabled);
  label('camera', camera ? (camera.enabled ? 'Camera off' : 'Camera on') : 'No camera', camera?.enabled);
  label('share', screen ? 'Stop sharing' : 'Share screen', screen === null);
}

function label(id, text, isOn = false) {
  $(id).title = $(id).ariaLabel = $(id).querySelector('span').textContent = text;
  $(id).classList.toggle('off', !isOn);
}

for (const [button, kind] of Object.entries({ mute: 'audio', camera: 'video' }))
  $(button).addEventListener('click', () => {
    const track = trackOf(kind);
    if (track === undefined) return openDevices();
    track.enabled = !track.enabled;
    tell();
  });
// Phones have no such thing.
$('share').hidden = navigator.mediaDevices?.getDisplayMedia === undefined;
$('share').addEventListener('click', () => (screen === null ? shareScreen() : stopSharing()));
showButtons();
