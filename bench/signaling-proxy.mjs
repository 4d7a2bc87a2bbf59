// A way to a signaling server that takes time, and counts what goes over it: WebSocket messages and their bytes, headers included.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const END_OF_HEADERS = Buffer.from('\r\n\r\n');
/** Opcodes below this one carry data; the others are pings, pongs and closes. */
const FIRST_CONTROL_OPCODE = 8;

/** Counts the frames of one direction, however the bytes are cut. */
export class FrameCounter {
  messages = 0;
  bytes = 0;
  #rest = Buffer.alloc(0);
  #isUpgraded = false;
  /** Bytes of a payload that are still to come. */
  #skip = 0;

  take(chunk) {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    if (!this.#isUpgraded) {
      const end = bytes.indexOf(END_OF_HEADERS);
      if (end === -1) return void (this.#rest = bytes);
      this.#isUpgraded = true;
      bytes = bytes.subarray(end + END_OF_HEADERS.length);
    }
    for (;;) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      bytes = bytes.subarray(skipped);
      const header = headerOf(bytes);
      if (this.#skip > 0 || header === null) break;
      if (header.opcode < FIRST_CONTROL_OPCODE) {
        // A message in several frames is one.
        if (header.isFinal) this.messages++;
        this.bytes += header.length + header.payload;
      }
      bytes = bytes.subarray(header.length);
      this.#skip = header.payload;
    }
    this.#rest = bytes;
  }
}

/** RFC 6455 §5.2; null where it is not whole. */
function headerOf(bytes) {
  if (bytes.length < 2) return null;
  const short = bytes[1] & 0x7f;
  const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
  const length = 2 + extended + (bytes[1] & 0x80 ? 4 : 0);
  if (bytes.length < length) return null;
  const payload =
    extended === 8 ? Number(bytes.readBigUInt64BE(2)) : extended === 2 ? bytes.readUInt16BE(2) : short;
  return { isFinal: (bytes[0] & 0x80) !== 0, opcode: bytes[0] & 0x0f, length, payload };
}

export class SignalingProxy {
  #server;
  #target;
  #delayMs;
  #counters = [];
  #sockets = new Set();

  static async start(target, delayMs) {
    const proxy = new SignalingProxy(target, delayMs);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  constructor(target, delayMs) {
    this.#target = target;
    this.#delayMs = delayMs;
    this.#server = createServer((near) => this.#join(near)).listen(0, '127.0.0.1');
  }

  get port() {
    return this.#server.address().port;
  }

  /** What went over all its connections, both ways, since it began. */
  get counts() {
    const sum = (key) => this.#counters.reduce((all, counter) => all + counter[key], 0);
    return { messages: sum('messages'), bytes: sum('bytes') };
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near) {
    const far = connect(this.#target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      const counter = new FrameCounter();
      this.#counters.push(counter);
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => to.destroy());
      from.on('close', () => this.#later(() => to.destroy()));
      from.on('data', (chunk) => {
        counter.take(chunk);
        this.#later(() => to.destroyed || to.write(chunk));
      });
    }
  }

  #later(run) {
    if (this.#delayMs === 0) run();
    else setTimeout(run, this.#delayMs);
  }
}
