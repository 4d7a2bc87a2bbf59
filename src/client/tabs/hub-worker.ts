// What a SharedWorker does for the tabs of its origin: it stands for the lock of each session that one of them names, before they do.
import type { Environment } from '../environment.js';
import { VERSION } from '../version.js';
import type { Transport, WebSocketClass } from '../websocket-class.js';
import { Candidate } from './candidate.js';
import type { TabsPlatform } from './platform.js';

/** Of the tab that asked first. */
export interface HubWorkerSettings {
  readonly name: string;
  readonly url: string;
  readonly agent: string;
  readonly acceptTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly offlineQueueLimitBytes: number;
  readonly transports: readonly Transport[] | undefined;
}

export type ToWorker = [kind: 'stand', version: string, settings: HubWorkerSettings];
export type FromWorker =
  /** It is the hub of that session, or stands before whoever stands from now on; `lock` is free when it is gone, or has ended that. */
  | [kind: 'stands', name: string, lock: string]
  /** It is of another version of the SDK, or may hold no locks. */
  | [kind: 'refuses'];

export interface HubWorkerPort {
  /** Null where the browser lacks something of it here. */
  readonly platform: TabsPlatform | null;
  readonly environment: Environment;
  /** The class for each next connection of a session. */
  socketClass(transports: readonly Transport[] | undefined): () => WebSocketClass;
}

export class HubWorker {
  readonly #port: HubWorkerPort;
  readonly #id = crypto.randomUUID();
  /** By the name of the session; with what resolves when its own lock is held. */
  readonly #candidates = new Map<string, Promise<Candidate>>();

  constructor(port: HubWorkerPort) {
    this.#port = port;
  }

  async take([, version, settings]: ToWorker): Promise<FromWorker> {
    const { platform } = this.#port;
    if (version !== VERSION || platform === null) return ['refuses'];
    const { name } = settings;
    try {
      (await this.#candidateOf(platform, settings)).stand();
      // Its answer shows that the browser has the request for the lock.
      await platform.held();
      return ['stands', name, this.#lockFor(name)];
    } catch {
      // As where storage is blocked.
      this.#candidates.delete(name);
      return ['refuses'];
    }
  }

  async #candidateOf(platform: TabsPlatform, settings: HubWorkerSettings): Promise<Candidate> {
    const { name } = settings;
    for (;;) {
      const made = this.#candidates.get(name) ?? this.#make(platform, settings);
      this.#candidates.set(name, made);
      const candidate = await made;
      // It may have been the hub, and ended meanwhile.
      if (this.#candidates.get(name) === made) return candidate;
    }
  }

  /** By it tabs know that the worker lives, and the hub which of the browser's places it is in. */
  #lockFor(name: string): string {
    return `${name} worker ${this.#id}`;
  }

  async #make(platform: TabsPlatform, settings: HubWorkerSettings): Promise<Candidate> {
    const { name, transports, ...others } = settings;
    const { environment } = this.#port;
    const homeLock = this.#lockFor(name);
    const release = await platform.hold(homeLock);
    const candidate = new Candidate(
      {
        ...others,
        name,
        platform,
        environment,
        socketClass: this.#port.socketClass(transports),
        // No tab has its notes here.
        home: { id: '', keep: () => {} },
        homeLock,
      },
      () => {
        this.#candidates.delete(name);
        release();
      },
    );
    return candidate;
  }
}
