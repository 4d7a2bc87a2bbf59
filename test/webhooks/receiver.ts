// An application that is told by webhooks: a real HTTP server that checks each signature and keeps what it has taken.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { signatureOf } from '../../src/plugins/signed-post.js';

export const HOOK_SECRET = 'hook-secret-for-tests-0123456789abcdef';

export interface ToldEvent {
  id: string;
  seq: number;
  type: string;
  client?: string;
  session?: string;
  room?: string;
  atMs: number;
  sinceMs?: number;
  lostAtMs?: number | null;
}

export interface Receiver {
  readonly url: string;
  /** Every POST, taken or not. */
  readonly posts: { queue: string; events: ToldEvent[] }[];
  /** Of POSTs that were answered with 2xx, in the order in which they came. */
  readonly taken: ToldEvent[];
  readonly wrong: number;
  /** How it answers: null for as it should. */
  answer: ((response: ServerResponse) => void) | null;
  /** Nobody listens from now on. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Events taken of one type, or of all. */
  ofType(type?: string): ToldEvent[];
}

export async function startReceiver(secret = HOOK_SECRET): Promise<Receiver> {
  const posts: Receiver['posts'] = [];
  const taken: ToldEvent[] = [];
  let wrong = 0;
  let server: Server;
  let port = 0;
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { 'x-signalbox-timestamp': timestamp = '', 'x-signalbox-signature': signature } = request.headers;
    const isNow = Math.abs(Number(timestamp) - Date.now() / 1000) < 60;
    if (!isNow || signature !== signatureOf(secret, String(timestamp), body)) {
      wrong++;
      response.writeHead(401).end();
      return;
    }
    const post = JSON.parse(body) as { queue: string; events: ToldEvent[] };
    posts.push(post);
    if (receiver.answer !== null) {
      receiver.answer(response);
      return;
    }
    taken.push(...post.events);
    response.writeHead(204).end();
  };
  const up = async (): Promise<void> => {
    server = createServer((request, response) => {
      receive(request, response).catch(() => undefined);
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as { port: number });
  };
  const receiver: Receiver = {
    get url() {
      return `http://127.0.0.1:${String(port)}/hook`;
    },
    posts,
    taken,
    get wrong() {
      return wrong;
    },
    answer: null,
    up,
    down: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    ofType: (type) => taken.filter((event) => type === undefined || event.type === type),
  };
  await up();
  return receiver;
}

/** What PLUGINS says for it. */
export function webhooksTo(receiver: Receiver, options: object = {}): string {
  const all = { url: receiver.url, secret: HOOK_SECRET, debounceMs: 0, ...options };
  return JSON.stringify([{ module: 'webhooks', options: all }]);
}
