// Round trips and bandwidth of a way that brings back whatever is sent on it.
import { pause, within } from './waiting.js';

export interface Pipe {
  send(bytes: Uint8Array<ArrayBuffer>): unknown;
  /** One listener at a time; the returned function takes it away. */
  listen(receive: (bytes: Uint8Array) => void): () => void;
}

export interface EchoOptions {
  /** Monotonic, ms. */
  now?: () => number;
  pause?: (ms: number) => Promise<void>;
  signal?: AbortSignal;
}

export const PING_COUNT = 20;
const PING_BYTES = 16;
/** Between two pings: none shall wait behind the one before. */
const PING_PAUSE_MS = 30;
const PING_TIMEOUT_MS = 5_000;
const CHUNK_BYTES = 8 * 1024;
/** On the way at a time: less than what a gateway drops for a slow reader. */
const WINDOW_BYTES = 192 * 1024;
/** A round that took so long says enough; what is faster is tried with more. */
const ENOUGH_MS = 400;
const BULK_TIMEOUT_MS = 15_000;

/** Round trips in ms. The first is not counted: it loads code and wakes radios. Rejects where none comes back. */
export async function measurePings(pipe: Pipe, options: EchoOptions = {}): Promise<number[]> {
  const { now = () => performance.now(), signal } = options;
  const times: number[] = [];
  for (let number = 0; number <= PING_COUNT; number++) {
    const bytes = new Uint8Array(PING_BYTES);
    bytes[0] = number;
    let stop = (): void => undefined;
    const back = new Promise<void>((resolve) => {
      stop = pipe.listen((answer) => {
        if (answer.length === PING_BYTES && answer[0] === number) resolve();
      });
    });
    try {
      const started = now();
      await within(Promise.all([back, pipe.send(bytes)]), PING_TIMEOUT_MS, signal);
      if (number > 0) times.push(now() - started);
    } finally {
      stop();
    }
    await (options.pause ?? pause)(PING_PAUSE_MS);
  }
  return times;
}

/**
 * kb/s of the slower direction: of the largest round that came back whole, without the time that a ping takes.
 * @param largestBytes of a round; how much a test may cost
 * @param pingMs of the same way
 */
export async function measureBandwidth(
  pipe: Pipe,
  largestBytes: number,
  pingMs: number,
  options: EchoOptions = {},
): Promise<number> {
  const { now = () => performance.now() } = options;
  let kbps = 0;
  for (let bytes = 64 * 1024; bytes <= largestBytes; bytes *= 4) {
    const started = now();
    try {
      await sendBulk(pipe, bytes, options.signal);
    } catch (error) {
      // A slow way may not bring the larger round back in time; the one before it counts.
      if (kbps > 0) return kbps;
      throw error;
    }
    const tookMs = now() - started;
    kbps = (bytes * 8) / Math.max(tookMs - pingMs, tookMs / 2, 0.1);
    if (tookMs >= ENOUGH_MS) break;
  }
  return kbps;
}

function sendBulk(pipe: Pipe, bytes: number, signal: AbortSignal | undefined): Promise<void> {
  let [sent, back] = [0, 0];
  let stop = (): void => undefined;
  const done = new Promise<void>((resolve, reject) => {
    const send = (): void => {
      while (sent < bytes && sent - back < WINDOW_BYTES) {
        sent += CHUNK_BYTES;
        Promise.resolve(pipe.send(noise())).catch(reject);
      }
    };
    stop = pipe.listen((chunk) => {
      if (chunk.length !== CHUNK_BYTES) return;
      back += chunk.length;
      if (back >= bytes) resolve();
      else send();
    });
    send();
  });
  return within(done, BULK_TIMEOUT_MS, signal).finally(stop);
}

/** Nothing on the way shall make it smaller. */
function noise(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(CHUNK_BYTES));
}

/** The pipe of a data channel whose other end sends everything back. */
export function channelPipe(channel: RTCDataChannel): Pipe {
  channel.binaryType = 'arraybuffer';
  return {
    send: (bytes) => {
      channel.send(bytes);
    },
    listen: (receive) => {
      const take = ({ data }: MessageEvent): void => {
        if (data instanceof ArrayBuffer) receive(new Uint8Array(data));
      };
      channel.addEventListener('message', take);
      return () => {
        channel.removeEventListener('message', take);
      };
    },
  };
}

/** The other end of such a channel. */
export function echo(channel: RTCDataChannel): void {
  channel.binaryType = 'arraybuffer';
  channel.addEventListener('message', ({ data }: MessageEvent) => {
    if (data instanceof ArrayBuffer && channel.readyState === 'open') channel.send(data);
  });
}
