// The program of the SharedWorker that has the connection of all tabs: dist/browser/tabs-worker.js, of the page's own origin.
import { REAL_ENVIRONMENT } from '../environment.js';
import { Ways } from '../remembered-ways.js';
import { HubWorker, type ToWorker } from './hub-worker.js';
import { browserPlatform } from './platform.js';

declare const self: { onconnect: ((event: MessageEvent) => void) | null };

const worker = new HubWorker({
  platform: browserPlatform(),
  environment: REAL_ENVIRONMENT,
  socketClass: (transports) => {
    const ways = new Ways(transports, WebSocket);
    return () => ways.choose();
  },
});

self.onconnect = ({ ports: [port] }) => {
  if (port === undefined) return;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    void worker.take(data).then((report) => {
      port.postMessage(report);
    });
  };
};
