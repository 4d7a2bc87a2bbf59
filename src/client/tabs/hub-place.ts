// The SharedWorker of a page's origin, as a tab sees it: asked to be the hub, and done without where it cannot or does not answer.
import type { Environment } from '../environment.js';
import { VERSION } from '../version.js';
import type { TabsPlatform } from './platform.js';
import type { FromWorker, HubWorkerSettings, ToWorker } from './hub-worker.js';

/** How long a worker may take to be there before a tab stands for the hub itself, ms. */
const READY_MS = 3_000;

/** As much of a `SharedWorker` as is used. */
export interface WorkerLink {
  onreport: ((report: FromWorker) => void) | null;
  /** Its script could not be had, or is forbidden here. */
  onfailure: (() => void) | null;
  post(task: ToWorker): void;
  close(): void;
}

export class HubPlace {
  readonly #environment: Environment;
  readonly #platform: TabsPlatform;
  /** Null where there is no worker. @throws where the browser forbids it */
  readonly #open: () => WorkerLink | null;
  #link: WorkerLink | null = null;
  #isRefused = false;
  readonly #waiting = new Map<string, ((stands: boolean) => void)[]>();
  #watching: { lock: string; end: AbortController } | null = null;

  constructor(open: () => WorkerLink | null, platform: TabsPlatform, environment: Environment) {
    this.#open = open;
    this.#platform = platform;
    this.#environment = environment;
  }

  /** Null where there is no worker, else whether it stands for the lock of the session. */
  stand(settings: HubWorkerSettings): Promise<boolean> | null {
    const link = this.#isRefused ? null : this.#linked();
    if (link === null) return null;
    return new Promise((resolve) => {
      const cancel = this.#environment.after(READY_MS, () => {
        // Dead, or slow to be loaded. A new one may be had when it is asked again.
        this.#close();
      });
      const waiting = this.#waiting.get(settings.name) ?? [];
      this.#waiting.set(settings.name, waiting);
      waiting.push((stands) => {
        cancel();
        resolve(stands);
      });
      link.post(['stand', VERSION, settings]);
    });
  }

  #linked(): WorkerLink | null {
    if (this.#link !== null) return this.#link;
    try {
      this.#link = this.#open();
    } catch {
      // As where it is of another origin.
    }
    if (this.#link === null) {
      this.#isRefused = true;
      return null;
    }
    this.#link.onreport = (report) => {
      if (report[0] === 'refuses') this.#refuse();
      else {
        this.#watch(report[2]);
        this.#settle(report[1], true);
      }
    };
    this.#link.onfailure = () => {
      this.#refuse();
    };
    return this.#link;
  }

  /** No event tells that a worker died. */
  #watch(lock: string): void {
    if (this.#watching?.lock === lock) return;
    this.#watching?.end.abort();
    const watching = { lock, end: new AbortController() };
    this.#watching = watching;
    this.#platform.hold(lock, { signal: watching.end.signal }).then(
      (release) => {
        release();
        if (this.#watching === watching) this.#close();
      },
      () => {},
    );
  }

  /** It will say nothing else while this page lives. */
  #refuse(): void {
    this.#isRefused = true;
    this.#close();
  }

  #close(): void {
    const link = this.#link;
    this.#link = null;
    this.#watching?.end.abort();
    this.#watching = null;
    if (link !== null) {
      link.onreport = link.onfailure = null;
      link.close();
    }
    for (const name of [...this.#waiting.keys()]) this.#settle(name, false);
  }

  #settle(name: string, stands: boolean): void {
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const tell of waiting) tell(stands);
  }
}

/** The browser's; null where it has none, as Chrome for Android. @throws where it is of another origin */
export function workerLink(url: string | URL | true): WorkerLink | null {
  if (typeof SharedWorker !== 'function') return null;
  // Bundlers know it by this form. A worker belongs to its URL and this name: another version of the SDK has another one.
  const worker =
    url === true
      ? new SharedWorker(new URL('./tabs-worker.js', import.meta.url), { name: `signalbox ${VERSION}` })
      : new SharedWorker(url, { name: `signalbox ${VERSION}` });
  const { port } = worker;
  const link: WorkerLink = {
    onreport: null,
    onfailure: null,
    post: (task) => {
      port.postMessage(task);
    },
    close: () => {
      port.close();
    },
  };
  worker.onerror = (event) => {
    event.preventDefault();
    link.onfailure?.();
  };
  port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    link.onreport?.(data);
  };
  return link;
}
