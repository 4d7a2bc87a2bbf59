// The body of a request, read whole: bounded in bytes, also where it does not say its length, and in time.
import type { IncomingMessage } from 'node:http';

/** `too_big` and `timeout` leave the rest unread; `cut`: the client went away. */
export type BodyFault = 'too_big' | 'timeout' | 'cut';

export interface BodyLimits {
  limitBytes: number;
  timeoutMs: number;
}

export function readBody(
  request: IncomingMessage,
  { limitBytes, timeoutMs }: BodyLimits,
): Promise<Buffer | BodyFault> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.resolve('too_big');
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (result: Buffer | BodyFault): void => {
      clearTimeout(timer);
      request.off('data', read);
      if (typeof result === 'string') request.pause();
      resolve(result);
    };
    const timer = setTimeout(() => {
      end('timeout');
    }, timeoutMs);
    const read = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limitBytes) end('too_big');
      else chunks.push(chunk);
    };
    request.on('data', read);
    request.once('end', () => {
      end(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    request.once('error', () => {
      end('cut');
    });
    request.once('close', () => {
      end('cut');
    });
  });
}
