// POSTs to an application that prove who sends them: HMAC-SHA-256 over the time and the body, with a secret that both know.
import { createHmac } from 'node:crypto';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Target } from '../hook-target.js';

/** Connections to one application from one worker; further POSTs wait for one. */
const CONNECTIONS_LIMIT = 64;
/** Of an answer. */
const ANSWER_LIMIT_BYTES = 64 * 1024;

/** `v1=` and the HMAC of `<timestamp>.<body>` in hex, as the header `X-Signalbox-Signature` has it. */
export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

/** What an application said to a POST whose answer nobody reads. */
export interface Receipt {
  status: number;
  /** Its `Retry-After`, where that is a number of seconds; else null. */
  retryAfterS: number | null;
}

export class SignedPoster {
  private readonly agent: HttpAgent;
  private readonly url: URL;

  constructor(private readonly target: Target) {
    const options = { keepAlive: true, maxSockets: CONNECTIONS_LIMIT };
    this.url = new URL(target.url);
    this.agent = this.url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Resolves with status and text of any answer; rejects where there is none in time. Redirects are not followed. */
  async post(value: object, timeoutMs: number): Promise<{ status: number; text: string }> {
    const response = await this.send(JSON.stringify(value), timeoutMs);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ANSWER_LIMIT_BYTES) throw new Error('the answer is too long');
      chunks.push(chunk);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
  }

  /** Resolves as soon as the status is there, whatever comes behind it. */
  async tell(body: string, timeoutMs: number): Promise<Receipt> {
    const response = await this.send(body, timeoutMs);
    let bytes = 0;
    response.on('error', () => undefined);
    // Read, so that the connection can be used again; but not without end.
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > ANSWER_LIMIT_BYTES) response.destroy();
    });
    const retryAfter = response.headers['retry-after'] ?? '';
    return {
      status: response.statusCode ?? 0,
      retryAfterS: /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) : null,
    };
  }

  close(): void {
    this.agent.destroy();
  }

  private send(body: string, timeoutMs: number): Promise<IncomingMessage> {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const send = this.url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(this.url, {
        method: 'POST',
        agent: this.agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'X-Signalbox-Timestamp': timestamp,
          'X-Signalbox-Signature': signatureOf(this.target.secret, timestamp, body),
        },
      });
      // Stays: what goes wrong behind the head of the answer is told to its reader.
      request.on('error', reject);
      request.on('response', resolve);
      request.end(body);
    });
  }
}
