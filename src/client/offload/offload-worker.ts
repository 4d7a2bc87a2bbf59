// The file that a thread is made of where a page may have no `blob:` worker: dist/browser/offload-worker.js, served by the application.
import { threadBody, type ThreadTask } from './thread-body.js';

/** What a classic worker has, beside what pages have too. */
declare function importScripts(...urls: string[]): void;
declare const self: {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ThreadTask>) => void) | null;
};

threadBody({
  post: (answer, transfer) => {
    self.postMessage(answer, transfer);
  },
  listen: (take) => {
    self.onmessage = ({ data }) => {
      take(data);
    };
  },
  load: (url) => {
    importScripts(url);
  },
});
