// POSTs to an application that prove who sends them: HMAC-SHA-256 over the time and the body, with a secret that both know.
import { createHmac } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** Connections to one application from one worker; further POSTs wait for one. */
const CONNECTIONS_LIMIT = 64;
/** Of an answer. */
const ANSWER_LIMIT_BYTES = 64 * 1024;

export interface Target {
  url: URL;
  secret: string;
}

/** Shorter ones are guessed from one request that was overheard. */
const SECRET_MIN_CHARACTERS = 32;

/** @throws TypeError that says which option is wrong */
export function targetOf({ url, secret }: { url?: unknown; secret?: unknown }): Target {
  if (typeof url !== 'string' || !/^https?:$/.test(protocolOf(url)))
    throw new TypeError('options.url must be an address with http: or https:');
  if (typeof secret !== 'string' || secret.length < SECRET_MIN_CHARACTERS)
    throw new TypeError(`options.secret must have ${String(SECRET_MIN_CHARACTERS)} characters or more`);
  return { url: new URL(url), secret };
}

function protocolOf(url: string): string {
  try {
    return new URL(url).protocol;
  } catch {
    return '';
  }
}

/** `v1=` and the HMAC of `<timestamp>.<body>` in hex, as the header `X-Signalbox-Signature` has it. */
export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

export class SignedPoster {
  private readonly agent: HttpAgent;

  constructor(private readonly target: Target) {
    const options = { keepAlive: true, maxSockets: CONNECTIONS_LIMIT };
    this.agent = target.url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Resolves with status and text of any answer; rejects where there is none in time. Redirects are not followed. */
  post(value: object, timeoutMs: number): Promise<{ status: number; text: string }> {
    const { url, secret } = this.target;
    const body = JSON.stringify(value);
    const timestamp = String(Math.floor(Date.now() / 1000));
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(url, {
        method: 'POST',
        agent: this.agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'X-Signalbox-Timestamp': timestamp,
          'X-Signalbox-Signature': signatureOf(secret, timestamp, body),
        },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_LIMIT_BYTES) request.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      request.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
