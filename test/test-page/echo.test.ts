// Pings and bandwidth over a way whose clock the test holds.
import { describe, expect, test } from '@jest/globals';
import { measureBandwidth, measurePings, type Pipe, PING_COUNT } from '../../src/test-page/echo.js';

/** A way that takes `delayMs` and lets `bytesPerMs` through; time passes only in it. */
class Way implements Pipe {
  time = 0;
  sent = 0;
  most = 0;
  private underway = 0;
  private receive: (bytes: Uint8Array) => void = () => {};
  private free = 0;

  constructor(
    private readonly delayMs: number,
    private readonly bytesPerMs = Infinity,
    private readonly isLost: (sent: number) => boolean = () => false,
  ) {}

  readonly now = (): number => this.time;

  send(bytes: Uint8Array): void {
    this.sent++;
    if (this.isLost(this.sent)) return;
    this.underway += bytes.length;
    this.most = Math.max(this.most, this.underway);
    this.free = Math.max(this.free, this.time) + bytes.length / this.bytesPerMs;
    const at = this.free + this.delayMs;
    setImmediate(() => {
      this.time = Math.max(this.time, at);
      this.underway -= bytes.length;
      this.receive(bytes);
    });
  }

  listen(receive: (bytes: Uint8Array) => void): () => void {
    this.receive = receive;
    return () => {
      this.receive = () => {};
    };
  }
}
const options = (way: Way) => ({ now: way.now, pause: () => Promise.resolve() });

describe('pings', () => {
  test('are the round trips but for the first', async () => {
    const way = new Way(12.5);
    expect(await measurePings(way, options(way))).toEqual(new Array(PING_COUNT).fill(12.5));
    expect(way.sent).toBe(PING_COUNT + 1);
  });

  test('reject when the page gives up', async () => {
    const way = new Way(1, Infinity, (sent) => sent === 4);
    const controller = new AbortController();
    const pings = measurePings(way, { ...options(way), signal: controller.signal });
    setTimeout(() => controller.abort(new Error('closed')), 20);
    await expect(pings).rejects.toThrow('closed');
  });

  test('reject when the way refuses', async () => {
    const way = new Way(1);
    way.send = () => {
      throw new Error('not open');
    };
    await expect(measurePings(way, options(way))).rejects.toThrow('not open');
  });
});

describe('bandwidth', () => {
  test('is what the way lets through, the time of a ping taken off', async () => {
    // 100 bytes a millisecond are 800 kb/s.
    const way = new Way(20, 100);
    expect(await measureBandwidth(way, 1 << 20, 20, options(way))).toBeCloseTo(800, 0);
    // The first round took 655 ms: more is not needed.
    expect(way.sent).toBe(8);
  });

  test('tries more where the way is fast, and never has more on the way than its window', async () => {
    const way = new Way(1, 10_000);
    expect(await measureBandwidth(way, 1 << 20, 1, options(way))).toBeGreaterThan(60_000);
    expect(way.sent).toBe((64 + 256 + 1024) / 8);
    expect(way.most).toBeLessThanOrEqual(192 * 1024);
  });

  test('is that of the round before when a larger one does not come back', async () => {
    const way = new Way(1, 1000, (sent) => sent > 20);
    const controller = new AbortController();
    const measured = measureBandwidth(way, 1 << 20, 1, { ...options(way), signal: controller.signal });
    setTimeout(() => controller.abort(new Error('closed')), 50);
    expect(await measured).toBeCloseTo(8000, -1);
  });
});
