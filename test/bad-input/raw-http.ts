// The HTTP transports without the SDK: each request a connection of its own, so that it may reach any worker.
import { type IncomingMessage, request } from 'node:http';
import { until } from '../gateway-process.js';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export interface Ask {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

function begin(port: number, { method = 'GET', path, headers = {}, body }: Ask): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, resolve);
    asked.on('error', reject);
    asked.end(body);
  });
}

export async function askHttp(port: number, ask: Ask): Promise<Answer> {
  const response = await begin(port, ask);
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** Frames in a numbered POST, to the gateway on any port. */
export function post(port: number, id: string, number: number, frames: unknown[]): Promise<Answer> {
  return askHttp(port, {
    method: 'POST',
    path: '/v1/frames',
    headers: {
      'Content-Type': 'application/x-ndjson',
      'Signalbox-Connection': id,
      'Signalbox-Number': String(number),
    },
    body: frames.map((frame) => JSON.stringify(frame)).join('\n'),
  });
}

/** An event stream as it comes. */
export class RawStream {
  /** Everything that was received. */
  text = '';
  ended = false;

  private constructor(readonly response: IncomingMessage) {
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (this.text += chunk));
    response.on('error', () => undefined);
    response.on('close', () => (this.ended = true));
  }

  static async open(port: number, headers: Record<string, string> = {}, query = ''): Promise<RawStream> {
    return new RawStream(await begin(port, { path: `/v1/events${query}`, headers }));
  }

  /** The id of the connection. */
  async id(): Promise<string> {
    return until(() => /^event: open\ndata: (\S+)$/m.exec(this.text)?.[1]);
  }

  /** Frames so far. */
  get frames(): unknown[][] {
    return [...this.text.matchAll(/^data: (\[.*\])$/gm)].map(
      ([, json = '']) => JSON.parse(json) as unknown[],
    );
  }

  /** The number that the stream ended with. */
  async close(): Promise<number> {
    const close = await until(() => /^event: close\ndata: \{"close":(\d+)/m.exec(this.text)?.[1]);
    await until(() => this.ended);
    return Number(close);
  }

  destroy(): void {
    this.response.destroy();
  }
}
