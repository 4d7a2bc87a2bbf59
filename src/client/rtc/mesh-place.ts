// This client's place in a room of limited size: taken by joining, given back where several took the last one, and one for all of its pages.
import { GatewayError } from '../../protocol/errors.js';
import type { Environment } from '../environment.js';
import type { Sender } from '../events.js';
import { onWithdrawal } from '../withdrawal.js';
import type { GatewayClient } from './gateway-signaling.js';

/** By this the page of a client that came last tells its other pages so; names that begin with `~` are the SDK's own. */
const CLAIM_EVENT = '~mesh';
/** By this one whose session was lost asks whether another page took the place meanwhile; who did answers with a claim. */
const QUESTION_EVENT = '~mesh/who';
/** How long the answer may take, ms. */
const ANSWER_MS = 2_000;
/** After the place was given back, ms: any time up to this, doubled with each time. Who tries is in the room for two round trips. */
const GIVE_WAY_MS = 200;
/** Beyond it there are so many at once that they shall not be kept waiting. */
const TRIES_LIMIT = 6;
/** Most own sessions of before that are remembered: of them only what the last ones said can still come. */
const FORMER_LIMIT_SESSIONS = 8;
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
  readonly #stops: (() => void)[];
  /** The session that took it; one that came after it takes it anew. */
  #session: string | null = null;
  /** Own sessions of before: what they claimed may still come. */
  readonly #former: string[] = [];
  /** The claims of all pages come to each of them in one order: those before the own one are older. */
  #isClaimHeard = true;
  /** Another page claimed it, or asked, while this one had not taken it. */
  #isContested = false;
  /** Until then another page may have it. */
  #inDoubtUntil = 0;
  #isOwnJoin = false;
  #isClosed = false;
  /** Since it was last taken. */
  #tries = 0;

  constructor(port: PlacePort) {
    this.#port = port;
    const { client } = port;
    this.#stops = [
      client.onMessage(CLAIM_EVENT, (room, from) => {
        if (this.#isOwn(room, from) && from.session === client.sessionId) this.#isClaimHeard = true;
        else if (this.#isOfAnother(room, from)) this.#claimed();
      }),
      client.onMessage(QUESTION_EVENT, (room, from) => {
        if (this.#isOfAnother(room, from)) this.#asked();
      }),
    ];
  }

  /** Another page may have taken it while this one had no session: nobody shall be called from here before that is known. */
  get isInDoubt(): boolean {
    return this.#port.environment.now() < this.#inDoubtUntil;
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
    const isContested = own.sessions > 1 || this.#isContested;
    const isBack = this.#session !== null;
    if (this.#session !== null) this.#former.push(this.#session);
    if (this.#former.length > FORMER_LIMIT_SESSIONS) this.#former.shift();
    this.#session = client.sessionId;
    this.#tries = 0;
    this.#isContested = false;
    // What the session before it claimed came back to it, or to nobody.
    this.#isClaimHeard = true;
    // Its own joining is not in the list yet, perhaps: the number of sessions would not tell.
    if (isBack) this.#ask();
    else if (isContested) this.#claim();
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
    if (!signal?.aborted)
      await new Promise<void>((resolve) => {
        const patience = { signal, timeoutMs: ms, madeAt: environment.now() };
        const stop = onWithdrawal(patience, environment, () => {
          stop();
          resolve();
        });
      });
    if (signal?.aborted) throw new GatewayError('aborted', undefined, { cause: signal.reason });
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
    for (const stop of this.#stops) stop();
  }

  /** Given up, perhaps while something was asked. */
  #isOver(): boolean {
    return this.#isClosed;
  }

  /** A page of this client says it, about this room. */
  #isOwn(room: unknown, from: Sender): boolean {
    return room === this.#port.room.name && from.client === this.#port.client.id;
  }

  #isOfAnother(room: unknown, from: Sender): boolean {
    const { session } = from;
    const isThis = session === this.#port.client.sessionId || session === this.#session;
    return this.#isOwn(room, from) && !isThis && !this.#former.includes(session);
  }

  #claimed(): void {
    if (this.#session === null) this.#isContested = true;
    else if (this.#isClaimHeard) this.#port.onReplaced();
  }

  #asked(): void {
    const { client } = this.#port;
    if (this.#session !== client.sessionId) this.#isContested = true;
    // A claim that is on its way comes after the question, too.
    else if (this.#isClaimHeard) this.#claim();
  }

  /** Where that is not permitted, the other pages stay, without the peers of those who called this one. */
  #claim(): void {
    const { client, room } = this.#port;
    this.#isClaimHeard = false;
    client.send(client.id ?? '', CLAIM_EVENT, room.name, { whenOffline: 'queue' }).catch(() => {
      this.#isClaimHeard = true;
    });
  }

  /** Where that is not permitted, nobody answers. */
  #ask(): void {
    const { client, room, environment } = this.#port;
    this.#inDoubtUntil = environment.now() + ANSWER_MS;
    client.send(client.id ?? '', QUESTION_EVENT, room.name, { whenOffline: 'queue' }).catch(() => {});
  }
}
