// A connection that never leaves the worker: on one side what the SDK takes for a WebSocket, on the other what a session takes for a client.
import type { WebSocketClass, WebSocketLike } from '../client/index.js';
import { CODES } from '../protocol/codes.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { type Connection, type ConnectionHandlers, wholeFrame } from '../session/connection.js';

/** Address of connections that plugins make. */
export const PLUGIN_ADDRESS = 'plugin';

/** Has the gateway take a connection in. */
export type Accept = (connection: Connection) => ConnectionHandlers;

export function memorySocketClass(accept: Accept): WebSocketClass {
  // A constructor that returns an object makes that one.
  const open = function (): WebSocketLike {
    return new MemorySocket(accept);
  };
  return open as unknown as WebSocketClass;
}

class MemorySocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly bufferedAmount = 0;
  private readonly handlers: ConnectionHandlers;
  private readonly steps: (() => void)[] = [];
  private isWalking = false;
  private isClosed = false;

  constructor(accept: Accept) {
    let queuedBytes = 0;
    this.handlers = accept({
      codec: msgpackCodec,
      address: PLUGIN_ADDRESS,
      get queuedBytes() {
        return queuedBytes;
      },
      send: (wire) => {
        const frame = wholeFrame(wire);
        queuedBytes += frame.length;
        return this.later(() => {
          queuedBytes -= frame.length;
          // A copy, which `slice` of a Buffer is not.
          this.onmessage?.({ data: typeof frame === 'string' ? frame : new Uint8Array(frame) });
        });
      },
      // What is in memory already cannot be read more slowly.
      pause: () => undefined,
      close: (code) => {
        this.close(CODES[code].close);
      },
      terminate: () => {
        this.close(1006);
      },
    });
    this.later(() => this.onopen?.({}));
  }

  /** From the SDK, which may use the bytes again. */
  send(data: string | Uint8Array): void {
    const copy = data.slice();
    this.later(() => {
      this.handlers.frame(copy);
    });
  }

  close(number = 1000): void {
    this.later(() => {
      this.isClosed = true;
      this.handlers.closed(number);
      this.onclose?.({ code: number });
    });
  }

  /** Never at once: neither side expects the other in the middle of its own work. False once it is closed. */
  private later(step: () => void): boolean {
    if (this.isClosed) return false;
    this.steps.push(step);
    if (!this.isWalking) {
      this.isWalking = true;
      setImmediate(() => {
        this.walk();
      });
    }
    return true;
  }

  private walk(): void {
    this.isWalking = false;
    for (const step of this.steps.splice(0)) if (!this.isClosed) step();
  }
}
