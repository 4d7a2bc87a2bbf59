// This client's place in a room of limited size: taken by joining, given back where several took the last one, and one for all of its pages.
import type { Environment } from '../environment.js';
import type { GatewayClient } from './gateway-signaling.js';

/** By this the page of a client that came last tells its other pages so; names that begin with `~` are the SDK's own. */
const CLAIM_EVENT = '~mesh';
/** After the place was given back, ms: any time up to this, doubled with each time. Who tries is in the room for two round trips. */
const GIVE_WAY_MS = 200;
/** Beyond it there are so many at once that they shall not be kept waiting. */
const TRIES_LIMIT = 6;
/** The largest page of members. */
const PAGE_MEMBERS = 1_000;

/** As much of a `Client` as a mesh needs. */
export interface MeshClient extends GatewayClient {
  readonly sessionId: string | null;
}

/** One page of who is in a room. */
export interface MeshMembersPage {
  members: { client: string; sessions: number }[];
  cursor: string | null;
  count: number;
}

/** What a mesh needs of its room. */
export interface MeshRoom {
  readonly name: string;
  readonly joined: boolean;
  join(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  leave(): Promise<void>;
  onPresence(handler: (change: { joined: string[]; left: string[] }) => void): () => void;
  members(options?: { limit?: number; signal?: AbortSignal | undefined }): Promise<MeshMembersPage>;
}

export interface PlacePort {
  readonly client: MeshClient;
  readonly room: MeshRoom;
  readonly limitMembers: number;
  readonly environment: Environment;
  /** Another page of this client took it, later. */
  onReplaced(): void;
}

export class MeshPlace {
  readonly #port: PlacePort;
  readonly #stop: () => void;
  /** The session that took it; one that came after it takes it anew. */
  #session: string | null = null;
  /** The claims of all pages come to each of them in one order: those before the own one are older. */
  #isClaimHeard = true;
  #isOwnJoin = false;
  #isClosed = false;
  /** Since it was last taken. */
  #tries = 0;

  constructor(port: PlacePort) {
    this.#port = port;
    this.#stop = port.client.onMessage(CLAIM_EVENT, (room, from) => {
      const { client } = port;
      if (room !== port.room.name || from.client !== client.id || this.#session === null) return;
      if (from.session === client.sessionId) this.#isClaimHeard = true;
      else if (this.#isClaimHeard) port.onReplaced();
    });
  }

  /** From then on the limit is for those who come. */
  get isTaken(): boolean {
    return this.#session !== null;
  }

  async join(signal: AbortSignal | undefined): Promise<void> {
    const { room } = this.#port;
    if (room.joined) return;
    this.#isOwnJoin = true;
    await room.join({ signal });
  }

  members(signal: AbortSignal | undefined): Promise<MeshMembersPage> {
    return this.#port.room.members({ limit: PAGE_MEMBERS, signal });
  }

  /** Takes it, where the room, which this client is in, has no more members than it may. Read after joining, it never misses who joined before. */
  take({ members, count }: MeshMembersPage): boolean {
    const { client, limitMembers } = this.#port;
    if (this.#session === client.sessionId) return true;
    if (count > limitMembers) return false;
    const own = members.find((one) => one.client === client.id);
    if (own === undefined) return true;
    this.#session = client.sessionId;
    this.#tries = 0;
    if (own.sessions > 1) this.#claim();
    return true;
  }

  /**
   * Several came at the same moment, perhaps, and each of them is refused for the others: so they go, wait for some time each, and look again.
   * Whether to try once more; not where somebody has it by then.
   */
  async givesWay(signal: AbortSignal | undefined): Promise<boolean> {
    const { client, room, environment, limitMembers } = this.#port;
    if (!this.#isOwnJoin || ++this.#tries >= TRIES_LIMIT) return false;
    await this.giveBack();
    const ms = GIVE_WAY_MS * 2 ** (this.#tries - 1) * environment.random();
    await new Promise<void>((resolve) => environment.after(ms, resolve));
    if (this.#isOver()) return false;
    const { members, count } = await this.members(signal);
    const isThere = members.some((one) => one.client === client.id);
    if (count - (isThere ? 1 : 0) >= limitMembers) return false;
    await room.join({ signal });
    if (this.#isOver()) await this.giveBack();
    return !this.#isOver();
  }

  /** Leaves the room where the mesh joined it. */
  async giveBack(): Promise<void> {
    const { room } = this.#port;
    if (this.#isOwnJoin && room.joined) await room.leave();
  }

  /** It is of no interest any more who takes it. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  /** Given up, perhaps while something was asked. */
  #isOver(): boolean {
    return this.#isClosed;
  }

  /** Where that is not permitted, the other pages stay, without the peers of those who called this one. */
  #claim(): void {
    const { client, room } = this.#port;
    this.#isClaimHeard = false;
    client.send(client.id ?? '', CLAIM_EVENT, room.name, { whenOffline: 'queue' }).catch(() => {
      this.#isClaimHeard = true;
    });
  }
}
