// The application that a deciding plugin asks: it takes a while, forbids one client everything, and can hang, be gone, and come back.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';

/** So long each question is under way, ms: at any moment there are some whose answer is missing. */
const ANSWER_MS = 30;

export interface Question {
  type: string;
  client: string;
}

export class Application {
  asked = 0;
  answered = 0;
  #server: Server;
  #port = 0;
  readonly #hanging = new Set<ServerResponse>();
  #hangs = false;

  private constructor(readonly forbidden: string) {
    this.#server = this.#make();
  }

  /** @param forbidden the client that may do nothing but connect */
  static async start(forbidden: string): Promise<Application> {
    const application = new Application(forbidden);
    await application.#listen(0);
    return application;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Questions that hang, or whose answer is on its way. */
  get open(): number {
    return this.asked - this.answered;
  }

  /** From now on questions are taken and not answered. */
  hang(): void {
    this.#hangs = true;
  }

  /** Answers again; what hung is cut. */
  wake(): void {
    this.#hangs = false;
    for (const response of this.#hanging) response.destroy();
    this.#hanging.clear();
  }

  /** As if it were killed: every connection is cut, and nobody listens. */
  async kill(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Again, at the same port. */
  async restart(): Promise<void> {
    this.#server = this.#make();
    await this.#listen(this.#port);
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.kill();
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  #make(): Server {
    return createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { type, client } = JSON.parse(body) as Question;
    this.asked++;
    response.on('close', () => this.answered++);
    if (this.#hangs) {
      this.#hanging.add(response);
      return;
    }
    const allow = type === 'connect' || client !== this.forbidden;
    setTimeout(() => response.end(JSON.stringify({ allow })), ANSWER_MS);
  }
}
