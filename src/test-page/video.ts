// A moving picture without a camera: nobody is asked for a permission, and nobody is seen.

const WIDTH = 320;
const HEIGHT = 240;
const FRAMES_PER_SECOND = 15;
const SQUARES = 40;

export interface Picture {
  stream: MediaStream;
  stop(): void;
}

/** Null where a canvas gives no video. */
export function movingPicture(): Picture | null {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  if (context === null || !('captureStream' in canvas)) return null;
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  // Squares by chance, so that there is something to encode.
  const draw = (): void => {
    for (let i = 0; i < SQUARES; i++) {
      context.fillStyle = `hsl(${String(Math.random() * 360)} 70% 50%)`;
      context.fillRect(Math.random() * WIDTH, Math.random() * HEIGHT, 40, 40);
    }
  };
  draw();
  const stream = canvas.captureStream(FRAMES_PER_SECOND);
  const timer = setInterval(draw, 1000 / FRAMES_PER_SECOND);
  return {
    stream,
    stop: () => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
    },
  };
}

export interface Sent {
  bytes: number;
  /** By the receiver's reports; null before the first. */
  rttMs: number | null;
  /** Another one with each report, whatever it says. */
  report: number;
}

/** What statistics say of the video that is sent. */
export function sentVideo(stats: ReadonlyMap<string, unknown>): Sent {
  const sent: Sent = { bytes: 0, rttMs: null, report: 0 };
  for (const report of stats.values()) {
    if (typeof report !== 'object' || report === null) continue;
    const value = (name: string): unknown => Reflect.get(report, name);
    const [bytes, rtt] = [value('bytesSent'), value('roundTripTime')];
    if (value('type') === 'outbound-rtp' && typeof bytes === 'number') sent.bytes += bytes;
    if (value('type') === 'remote-inbound-rtp' && typeof rtt === 'number') {
      sent.rttMs = rtt * 1000;
      const count = value('roundTripTimeMeasurements') ?? value('timestamp');
      sent.report = typeof count === 'number' ? count : 0;
    }
  }
  return sent;
}
