// Bytes that flow from one client to another, or to all in a room: over streams, published, or through a bare ws pipe.
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { binaryDriver } from '../peers/bare-ws.mjs';
import { clientOf } from '../peers/sdk.mjs';
import { streamOptions } from '../peers/signalbox.mjs';

const EVENT = 'bench';
/** Unsent bytes of a bare ws that its writer lets wait, as the buffer of the SDK's streams. */
const UNSENT_LIMIT_BYTES = 1024 * 1024;
/** So long all readers of a room may take to accept a stream; the gateway, which is measured meanwhile, has nothing to do for most of it. */
const GATHER_MS = 3_000;

/** One end: connects, reads what comes, writes to others. All that it has read is counted. */
class PipeEnd {
  read = 0;
  #socket;

  async connect({ port, id }) {
    this.#socket = new WebSocket(binaryDriver.open(port, id).url, { perMessageDeflate: false });
    this.#socket.on('message', (bytes) => (this.read += bytes.length - 1 - bytes[0]));
    await once(this.#socket, 'open');
  }

  async write({ to, chunks, bytes }) {
    const message = binaryDriver.write(to, Buffer.alloc(bytes));
    for (let i = 0; i < chunks; i++) {
      await new Promise((resolve) => {
        this.#socket.send(message, resolve);
        if (this.#socket.bufferedAmount < UNSENT_LIMIT_BYTES) resolve();
      });
    }
  }

  close() {
    this.#socket.terminate();
  }
}

class SdkEnd {
  read = 0;
  #client;

  async connect({ build, port, id, room }) {
    const Client = await clientOf(build);
    this.#client = new Client(`ws://127.0.0.1:${port}`, {
      ...streamOptions(id),
      compressAboveBytes: Infinity,
    });
    this.#client.onStream(EVENT, async ({ readable }) => {
      for await (const chunk of readable) this.read += chunk.length;
    });
    await this.#client.connect();
    if (room === undefined) return;
    this.#client.room(room).onMessage(EVENT, (chunk) => (this.read += chunk.length));
    await this.#client.room(room).join();
  }

  /** `published`: as messages. @param everyMs between two chunks */
  async write({ to, room, published, chunks, bytes, everyMs = 0, readers }) {
    const chunk = new Uint8Array(bytes);
    const pace = () => everyMs && new Promise((resolve) => setTimeout(resolve, everyMs));
    if (published) {
      for (let i = 0; i < chunks; i++) {
        await this.#client.room(room).publish(EVENT, chunk, { volatile: true });
        await pace();
      }
      return;
    }
    const stream =
      room === undefined
        ? await this.#client.openStream(to, EVENT)
        : await this.#client.room(room).openStream(EVENT, { timeoutMs: GATHER_MS });
    if (readers !== undefined && stream.readers !== readers)
      throw new Error(`${stream.readers} of ${readers} readers accepted`);
    const writer = stream.writable.getWriter();
    for (let i = 0; i < chunks; i++) {
      await writer.write(chunk);
      await pace();
    }
    await writer.close();
    await stream.reply;
  }

  close() {
    return this.#client.close();
  }
}

const ENDS = { pipe: PipeEnd, sdk: SdkEnd };

export class Flows {
  #ends = new Map();

  /** One after another: workers take connections in turn. */
  async connect({ kind, build, port, ids, room }) {
    for (const id of ids) {
      const end = new ENDS[kind]();
      await end.connect({ build, port, id, room });
      this.#ends.set(id, end);
    }
  }

  write({ from, ...what }) {
    return this.#ends.get(from).write(what);
  }

  /** Until each of them has read so many bytes more than when it was asked last. */
  async read({ ids, bytes, limitMs }) {
    const since = performance.now();
    const left = () => ids.reduce((sum, id) => sum + Math.max(0, bytes - this.#ends.get(id).read), 0);
    while (left() > 0 && performance.now() - since < limitMs)
      await new Promise((resolve) => setTimeout(resolve, 2));
    const missing = left();
    for (const id of ids) this.#ends.get(id).read = 0;
    return missing;
  }
}
