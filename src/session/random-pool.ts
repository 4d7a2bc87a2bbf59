// Random bytes for ids and keys: the operating system is asked for many at once, since each question costs 20 µs.
import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;

export class RandomPool {
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private at = POOL_BYTES;

  /** `count` fresh random bytes in base64url; each byte of the pool is used once and then wiped. */
  text(count: number): string {
    if (this.at + count > POOL_BYTES) {
      randomFillSync(this.pool);
      this.at = 0;
    }
    const text = this.pool.toString('base64url', this.at, this.at + count);
    this.pool.fill(0, this.at, this.at + count);
    this.at += count;
    return text;
  }
}
