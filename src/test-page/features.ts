// What a browser has of what calls are made of, and what it means where something is missing.
import { field } from './candidate-pair.js';

export interface Feature {
  id: string;
  name: string;
  /** What is lost without it. */
  without: string;
  /** Calls cannot be without it, or only lack a comfort. */
  isNeeded: boolean;
  isThere: (scope: object) => boolean;
}

const has =
  (...path: string[]) =>
  (scope: object): boolean =>
    path.reduce<unknown>((value, name) => memberOf(value, name), scope) !== undefined;

/** Constructors have members too. */
function memberOf(value: unknown, name: string): unknown {
  const isHolder = (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (!isHolder) return undefined;
  // A prototype's getters throw where there is no instance: that they are there is enough.
  return name in value
    ? (Object.getOwnPropertyDescriptor(value, name)?.value ?? valueOf(value, name))
    : undefined;
}

function valueOf(value: object, name: string): unknown {
  try {
    return Reflect.get(value, name) ?? undefined;
  } catch {
    return true;
  }
}

export const FEATURES: readonly Feature[] = [
  {
    id: 'secure',
    name: 'Secure page (https)',
    without: 'No camera, microphone or screen: browsers give them to secure pages only.',
    isNeeded: true,
    isThere: (scope) => memberOf(scope, 'isSecureContext') === true,
  },
  {
    id: 'webrtc',
    name: 'WebRTC',
    without: 'No calls at all; messages and files go through the gateway.',
    isNeeded: true,
    isThere: has('RTCPeerConnection'),
  },
  {
    id: 'channel',
    name: 'Data channels',
    without: 'No direct way for files and game state; they go through the gateway.',
    isNeeded: true,
    isThere: has('RTCPeerConnection', 'prototype', 'createDataChannel'),
  },
  {
    id: 'camera',
    name: 'Camera and microphone',
    without: 'This side can watch and listen, but is not seen and not heard.',
    isNeeded: true,
    isThere: has('navigator', 'mediaDevices', 'getUserMedia'),
  },
  {
    id: 'codecs',
    name: 'VP8 and H.264 video',
    without: 'With some phones and room systems there is no codec in common: sound only.',
    isNeeded: false,
    isThere: hasBothCodecs,
  },
  {
    id: 'replace',
    name: 'Change of camera in a call',
    without: 'Camera to screen and back takes a new negotiation, a visible pause.',
    isNeeded: false,
    isThere: has('RTCRtpSender', 'prototype', 'replaceTrack'),
  },
  {
    id: 'screen',
    name: 'Screen sharing',
    without: 'This side can watch a shared screen, but share none. So it is on phones.',
    isNeeded: false,
    isThere: has('navigator', 'mediaDevices', 'getDisplayMedia'),
  },
  {
    id: 'websocket',
    name: 'WebSocket',
    without: 'The gateway is reached by plain requests: everything works, more slowly.',
    isNeeded: false,
    isThere: has('WebSocket'),
  },
  {
    id: 'stream',
    name: 'Streams in requests',
    without: 'Where a WebSocket is blocked, polls are the only way left.',
    isNeeded: false,
    isThere: has('ReadableStream'),
  },
  {
    id: 'capture',
    name: 'Video from a canvas',
    without: 'No virtual backgrounds by canvas, and no video test on this page.',
    isNeeded: false,
    isThere: has('HTMLCanvasElement', 'prototype', 'captureStream'),
  },
  {
    id: 'transform',
    name: 'Encryption end to end of media',
    without: 'Media are encrypted on each hop, but not past a media server.',
    isNeeded: false,
    isThere: (scope) =>
      has('RTCRtpScriptTransform')(scope) || has('RTCRtpSender', 'prototype', 'createEncodedStreams')(scope),
  },
  {
    id: 'sink',
    name: 'Choice of the speaker',
    without: 'Sound goes where the system sends it.',
    isNeeded: false,
    isThere: has('HTMLMediaElement', 'prototype', 'setSinkId'),
  },
  {
    id: 'wake',
    name: 'Keeping the screen on',
    without: 'The screen goes dark in a call, and some phones end it then.',
    isNeeded: false,
    isThere: has('navigator', 'wakeLock'),
  },
  {
    id: 'recorder',
    name: 'Recording',
    without: 'A call cannot be recorded in the page.',
    isNeeded: false,
    isThere: has('MediaRecorder'),
  },
  {
    id: 'speech',
    name: 'Speech to text',
    without: 'No captions by the browser.',
    isNeeded: false,
    isThere: (scope) => has('SpeechRecognition')(scope) || has('webkitSpeechRecognition')(scope),
  },
  {
    id: 'network',
    name: 'Type of the network',
    without: 'This page cannot tell Wi-Fi from cellular; results count as “network not told”.',
    isNeeded: false,
    isThere: has('navigator', 'connection', 'type'),
  },
];

function hasBothCodecs(scope: object): boolean {
  const sender = memberOf(scope, 'RTCRtpSender');
  const ask = memberOf(sender, 'getCapabilities');
  if (typeof ask !== 'function') return false;
  const codecs = field(Reflect.apply(ask, sender, ['video']), 'codecs');
  const types = Array.isArray(codecs)
    ? codecs.map((codec) => String(field(codec, 'mimeType')).toLowerCase())
    : [];
  return types.includes('video/vp8') && types.includes('video/h264');
}

/** Ids of what is missing. */
export function missingFeatures(scope: object): string[] {
  return FEATURES.filter((feature) => !feature.isThere(scope)).map(({ id }) => id);
}
