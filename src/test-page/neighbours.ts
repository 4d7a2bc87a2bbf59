// The other pages that are open now: who they are, and what they want of this one.
import type { Client, Room } from '../client/index.js';
import { isName } from '../protocol/ids.js';
import { TEST_BROWSERS, TEST_NETWORKS, TEST_PLATFORMS } from '../protocol/test-report.js';
import type { TestBrowser, TestNetwork, TestPlatform } from '../protocol/test-report.js';
import { field } from './candidate-pair.js';

/** What a page tells others of itself. */
export interface About {
  browser: TestBrowser;
  platform: TestPlatform;
  network: TestNetwork;
  hasWebRTC: boolean;
  /** Tag of the public address. */
  tag: string;
}

export interface Neighbour {
  id: string;
  /** Null until it has answered. */
  about: About | null;
}

/** Pages that are kept in mind; a test page is no stadium. */
const NEIGHBOURS_LIMIT = 100;
/** The most that the gateway tells at once. */
const MEMBERS_LIMIT = 1_000;
const ABOUT_TIMEOUT_MS = 5_000;
const ABOUT = 'connection-test-about';

export class Neighbours {
  readonly #client: Client;
  readonly #room: Room;
  readonly #found = new Map<string, Neighbour>();
  readonly #onChange: () => void;
  /** For each reading of the members that is under way: who came meanwhile. */
  readonly #readings = new Set<Set<string>>();

  constructor(client: Client, room: string, about: () => About, onChange: () => void) {
    this.#client = client;
    this.#onChange = onChange;
    client.onRequest(ABOUT, () => ({ ...about() }));
    this.#room = client.room(room);
    this.#room.onPresence(({ joined, left }) => {
      for (const id of left) this.#found.delete(id);
      for (const id of joined) {
        for (const came of this.#readings) came.add(id);
        this.#enter(id);
      }
      onChange();
    });
    // Nobody tells who left while this page was cut off; a gateway that was started anew never knew them.
    client.on('state', (state) => {
      if (state === 'connected') this.join().catch(() => undefined);
    });
  }

  get list(): Neighbour[] {
    return [...this.#found.values()];
  }

  get(id: string): Neighbour | undefined {
    return this.#found.get(id);
  }

  /** Also again: reads who is there. */
  async join(): Promise<void> {
    await this.#room.join();
    await this.#read();
  }

  /** Whether the page answers now; presence takes some seconds to see that one is gone. */
  async isThere(id: string): Promise<boolean> {
    return (await this.#ask(id)) !== null;
  }

  /** Those who have not answered yet: a page in the background is slow. */
  async askAgain(): Promise<void> {
    await Promise.all(
      this.list.filter(({ about }) => about === null).map((neighbour) => this.#learn(neighbour)),
    );
  }

  async #read(): Promise<void> {
    const before = [...this.#found.keys()];
    const came = new Set<string>();
    this.#readings.add(came);
    try {
      const { members, cursor } = await this.#room.members({ limit: MEMBERS_LIMIT });
      const here = new Set<string>(members.map(({ client }) => client));
      // Of more than a page of them, nobody knows who is missing.
      const missing = cursor === null ? before.filter((id) => !here.has(id) && !came.has(id)) : [];
      for (const id of missing) this.#found.delete(id);
      for (const id of here) this.#enter(id);
    } finally {
      this.#readings.delete(came);
    }
    this.#onChange();
  }

  #enter(id: string): void {
    if (id === this.#client.id || this.#found.has(id) || this.#found.size >= NEIGHBOURS_LIMIT) return;
    const neighbour: Neighbour = { id, about: null };
    this.#found.set(id, neighbour);
    void this.#learn(neighbour);
  }

  async #learn(neighbour: Neighbour): Promise<void> {
    neighbour.about = await this.#ask(neighbour.id);
    this.#onChange();
  }

  async #ask(id: string): Promise<About | null> {
    try {
      return parseAbout(await this.#client.request(id, ABOUT, null, { timeoutMs: ABOUT_TIMEOUT_MS }));
    } catch {
      return null;
    }
  }
}

/** Another page wrote it. Null for what is none. */
export function parseAbout(value: unknown): About | null {
  const browser = TEST_BROWSERS.find((known) => known === field(value, 'browser'));
  const platform = TEST_PLATFORMS.find((known) => known === field(value, 'platform'));
  const network = TEST_NETWORKS.find((known) => known === field(value, 'network'));
  const [hasWebRTC, tag] = [field(value, 'hasWebRTC'), field(value, 'tag')];
  if (browser === undefined || platform === undefined || network === undefined) return null;
  if (typeof hasWebRTC !== 'boolean' || typeof tag !== 'string' || tag.length > 64) return null;
  return { browser, platform, network, hasWebRTC, tag };
}

/** The last characters of an id: enough for people to tell the devices in a room apart. */
export function shortName(id: string): string {
  return isName(id) ? id.slice(-4) : '';
}
