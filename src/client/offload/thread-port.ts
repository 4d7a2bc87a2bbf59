// A thread as the pool sees it, and how browsers make one.
import { threadBody, type ThreadAnswer, type ThreadTask } from './thread-body.js';

export interface ThreadEvents {
  onAnswer(answer: ThreadAnswer): void;
  /** It died, or cannot be trusted any more; called at most once, and not after `end()`. */
  onGone(error: unknown): void;
}

export interface ThreadPort {
  /** @throws DataCloneError */
  post(task: ThreadTask, transfer: Transferable[]): void;
  /** Whether something waits for it: what waits for nothing must not hold a process. */
  hold(isAwaited: boolean): void;
  end(): void;
}

/** Makes a thread, of a file where `url` is given. @throws where the platform forbids it */
export type SpawnThread = (url: string | null, events: ThreadEvents) => ThreadPort;

const IN_BROWSERS = `{
  post: (answer, transfer) => postMessage(answer, transfer),
  listen: (take) => (onmessage = ({ data }) => void take(data)),
  load: (url) => importScripts(url),
}`;

/** The whole program of a thread in a browser; also what the served file `offload-worker.js` holds. */
export function browserThreadText(): string {
  return `(${threadBody.toString()})(${IN_BROWSERS})`;
}

export const spawnInBrowser: SpawnThread = (url, events) => {
  const made =
    url === null ? URL.createObjectURL(new Blob([browserThreadText()], { type: 'text/javascript' })) : null;
  const worker = new Worker(made ?? String(url));
  const revoke = (): void => {
    if (made !== null) URL.revokeObjectURL(made);
  };
  const end = (): void => {
    worker.onmessage = worker.onerror = worker.onmessageerror = null;
    worker.terminate();
    revoke();
  };
  const gone = (error: unknown): void => {
    end();
    events.onGone(error);
  };
  worker.onmessage = ({ data }: MessageEvent<ThreadAnswer>) => {
    revoke();
    events.onAnswer(data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    gone(new Error(event.message || 'The worker could not be started.'));
  };
  worker.onmessageerror = () => gone(new Error('An answer could not be read.'));
  return { post: (task, transfer) => worker.postMessage(task, transfer), hold: () => {}, end };
};
