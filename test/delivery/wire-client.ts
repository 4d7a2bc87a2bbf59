// A client in JSON frames with nothing done for it: what the gateway does about delivery shows as it is.
import { WebSocket } from 'ws';
import { EventStreamSocket } from '../../src/client/event-stream-socket.js';
import { PollSocket } from '../../src/client/poll-socket.js';
import { TcpSocket } from '../../src/client/tcp-socket.js';
import type { WebSocketClass, WebSocketLike } from '../../src/client/websocket-class.js';
import { JSON_SUBPROTOCOL } from '../../src/protocol/subprotocol.js';
import { type GatewayProcess, tokenOf, until } from '../gateway-process.js';

export type WireFrame = [type: number, ...fields: unknown[]];
type Cursor = [room: string | null, id: string | null];
interface Info {
  session: string;
  resumeKey: string;
  resumed: boolean;
  rooms: string[];
  inbox: string | null;
  kept: string | null;
}

/** Frame numbers as docs/protocol.md gives them out. */
const T = { ok: 5, error: 6, goaway: 8, message: 17, requested: 20, response: 23, roomMessage: 36 };

/** What carries its frames. */
export const SOCKETS = {
  websocket: WebSocket,
  sse: EventStreamSocket,
  poll: PollSocket,
  tcp: TcpSocket,
} as const satisfies Record<string, WebSocketClass>;
export type SocketName = keyof typeof SOCKETS;

export class WireClient {
  readonly frames: WireFrame[] = [];
  closed: number | null = null;
  private lastRef = 0;

  private constructor(
    private readonly socket: WebSocketLike,
    readonly info: Info,
  ) {}

  static async connect(
    gateway: Pick<GatewayProcess, 'url' | 'tcpUrl'>,
    name: string,
    resume: { from: WireClient; cursors?: Cursor[] } | null = null,
    transport: SocketName = 'websocket',
  ): Promise<WireClient> {
    const url = transport === 'tcp' ? gateway.tcpUrl : `${gateway.url}/v1/connect`;
    const socket: WebSocketLike = new SOCKETS[transport](url, [JSON_SUBPROTOCOL]);
    const early: WireFrame[] = [];
    let client: WireClient | null = null;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data)) as WireFrame;
      if (frame[0] === 2) socket.send('[3]');
      else (client?.frames ?? early).push(frame);
    };
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => {
        resolve();
      };
      socket.onclose = ({ code }) => {
        reject(new Error(`closed with ${code}`));
      };
    });
    const session = resume === null ? null : resume.from.info;
    const resuming = session === null ? null : [session.session, session.resumeKey, resume?.cursors ?? []];
    socket.send(JSON.stringify([0, 1, tokenOf(name), resuming, 'wire-test']));
    const welcome = await until(() => early.find(([type]) => type === 1));
    client = new WireClient(socket, welcome[1] as Info);
    client.frames.push(...early.splice(0).filter(([type]) => type !== 1));
    const connected = client;
    socket.onclose = ({ code }) => {
      connected.closed = code;
    };
    return client;
  }

  /** Sends a frame without a ref. */
  write(...frame: WireFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Sends a frame as this text. */
  writeText(text: string): void {
    this.socket.send(text);
  }

  /** Sends a call; resolves with the `ok` result, or the `error` as `[code, expected]`. */
  async call(type: number, ...rest: unknown[]): Promise<unknown> {
    const ref = ++this.lastRef;
    this.write(type, ref, ...rest);
    const answer = await until(() =>
      this.frames.find(([kind, to]) => (kind === T.ok || kind === T.error) && to === ref),
    );
    return answer[0] === T.ok ? answer[2] : [answer[2], answer[4] ?? null];
  }

  send(to: string, seq: number | null, event: string, options: object = {}): Promise<unknown> {
    return this.call(16, seq, options, to, event, 'json', event);
  }

  publish(room: string, seq: number | null, event: string, options: object = {}): Promise<unknown> {
    return this.call(35, seq, options, room, event, 'json', event);
  }

  join(room: string, since: number | string | null = null): Promise<unknown> {
    return this.call(32, room, since);
  }

  /** What it heard, in order: events of messages, and what is missing between them. */
  get heard(): string[] {
    return this.frames.flatMap((frame) => {
      if (frame[0] === T.message) return [String(frame[5])];
      if (frame[0] === T.roomMessage) return [String(frame[6])];
      return frame[0] === 29 ? [`gap ${String(frame[2])} ${String(frame[3])}`] : [];
    });
  }

  /** The id of a message that it heard. */
  idOf(event: string): string {
    const frame = this.frames.find(
      (one) => (one[0] === T.message && one[5] === event) || (one[0] === T.roomMessage && one[6] === event),
    );
    return String(frame?.[1]);
  }

  /** Waits until it heard so many things. */
  async hears(count: number): Promise<string[]> {
    await until(() => this.heard.length >= count);
    return this.heard;
  }

  /** The connection goes without a word. */
  async cut(): Promise<void> {
    if (this.socket.terminate === undefined) this.socket.close();
    else this.socket.terminate();
    await until(() => this.closed !== null);
  }

  /** The session is over. */
  close(): void {
    this.write(9);
  }
}
