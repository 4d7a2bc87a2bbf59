// A peer to every member of a room: who comes calls those who are there, who goes is let go, what is sent goes to everybody.
import { GatewayError } from '../../protocol/errors.js';
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import { Listeners } from '../listeners.js';
import { MeshCallers } from './mesh-callers.js';
import { type MeshClient, MeshPlace, type MeshRoom } from './mesh-place.js';
import { MeshStreams } from './mesh-streams.js';
import type { PeerError } from './peer-errors.js';
import { type PeerCallOptions, type Peers, peersOf, type PeersPort } from './peers.js';
import type { PeerState } from './recovery.js';
import { assertTracks, type PeerEvents, type RTCSignalingPeer } from './signaling-peer.js';

/** Everybody sends everything to everybody else: a camera of 1 Mbit/s to seven others is what a good uplink carries. */
const LIMIT_DEFAULT_MEMBERS = 8;
/** A peer connection costs a browser megabytes and sockets, and each has its own encoders. */
const LIMIT_MOST_MEMBERS = 32;
/** Until one who came and did not call is called, a member whose peer failed is called again, or the members are asked for again, ms. */
const RETRY_MS = 3_000;
/** Most callers that are remembered for not being in the room. */
const OUTSIDERS_LIMIT = 64;

/** How a mesh is made; also what each of its peers gets. */
export interface MeshOptions extends Omit<PeerCallOptions, 'name' | 'standing' | 'signal'> {
  /** Most members of the room, this client among them; 2 to 32, default 8. */
  limitMembers?: number;
  /** Sent to everybody from the first offer on. */
  streams?: readonly MediaStream[];
  /** Of every `RTCPeerConnection`; `iceServers` are the gateway's unless given. */
  configuration?: RTCConfiguration;
  /** Gives up entering with `aborted`. */
  signal?: AbortSignal;
}

/** Somebody who answered. */
export interface MeshMember {
  /** The client's id. */
  readonly id: string;
  readonly peer: RTCSignalingPeer;
  /** What it sends. */
  readonly streams: ReadonlySet<MediaStream>;
}

/** What a mesh tells of. */
export type MeshEvents = {
  /** Somebody is there, and answered; its peer may not be connected yet. */
  join: [member: MeshMember];
  /** Its peer is over: see the event `close` of a peer. Where it is in the room still, it is called again. */
  leave: [member: MeshMember, reason: PeerEvents['close'][0]];
  /** A member sends a stream. */
  stream: [stream: MediaStream, member: MeshMember];
  /** A member took the stream, or its last track, away. */
  streamEnded: [stream: MediaStream, member: MeshMember];
  state: [state: PeerState, member: MeshMember];
  /** That client is in the room and has no peer: the mesh has as many members as it may. */
  limit: [client: string];
  /** What went wrong with the peer of that client, or with the room (null). */
  error: [error: PeerError | Error, client: string | null];
  /**
   * Once, when the mesh is over: `closed` where it was left or the client closed; else why: `replaced` by a page of this client that
   * came later, `limit` where the session was lost and others took its place meanwhile.
   */
  close: [reason: 'closed' | GatewayError];
};

interface Entry extends MeshMember {
  readonly streams: Set<MediaStream>;
  /** The application was told of it. */
  isMet: boolean;
}

/** A limit that can never be meant is a mistake of the program. @throws TypeError */
function checkedLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 2 && limit <= LIMIT_MOST_MEMBERS) return limit;
  throw new TypeError(`options.limitMembers is 2 to ${LIMIT_MOST_MEMBERS}.`);
}

/** A peer to every other member of a room that has a mesh of it; made by `room.mesh()`. */
export class Mesh {
  readonly limitMembers: number;
  readonly #client: MeshClient;
  readonly #room: MeshRoom;
  readonly #place: MeshPlace;
  readonly #peers: Peers;
  readonly #options: MeshOptions;
  readonly #environment: Environment;
  readonly #listeners = new Listeners<MeshEvents>((error) => console.error('signalbox:', error));
  readonly #streams = new MeshStreams();
  readonly #entries = new Map<string, Entry>();
  /** In the room, as far as was told. */
  readonly #present = new Set<string>();
  /** Said good-bye and are in the room still: they call when they want to. */
  readonly #departed = new Set<string>();
  /** Called without being in the room. */
  readonly #outsiders = new Set<string>();
  readonly #callers: MeshCallers;
  readonly #stops: (() => void)[] = [];
  #cancelRetry: (() => void) | null = null;
  /** The members were read; nothing that is told makes them be read before that. */
  #hasEntered = false;
  #isReading = false;
  /** The members that are being read may be older than what was told. */
  #isStale = false;
  #isOver = false;

  /** Resolves when this client is in the room and has called everybody; see `Room.mesh`. */
  static async open(
    client: MeshClient,
    room: MeshRoom,
    peers: Peers,
    options: MeshOptions = {},
  ): Promise<Mesh> {
    const limit = checkedLimit(options.limitMembers ?? LIMIT_DEFAULT_MEMBERS);
    const { signal } = options;
    if (signal?.aborted) throw new GatewayError('aborted', undefined, { cause: signal.reason });
    // As every call: who is closed is not connected again by it.
    if (client.state === 'closed') throw new GatewayError('closed');
    const mesh = new Mesh(client, room, peers, options, limit);
    try {
      await client.connect(signal && { signal });
      await mesh.#enter(signal);
      return mesh;
    } catch (error) {
      // Why it could not enter is what its caller wants to know.
      await mesh.leave().catch(() => {});
      throw error;
    }
  }

  private constructor(client: MeshClient, room: MeshRoom, peers: Peers, options: MeshOptions, limit: number) {
    this.limitMembers = limit;
    this.#client = client;
    this.#room = room;
    this.#peers = peers;
    this.#options = options;
    this.#environment = options.environment ?? REAL_ENVIRONMENT;
    this.#callers = new MeshCallers(this.#environment);
    this.#place = new MeshPlace({
      client,
      room,
      limitMembers: limit,
      environment: this.#environment,
      onReplaced: () => this.#leave(new GatewayError('replaced', 'Another page of this client came later.')),
    });
    for (const stream of options.streams ?? []) this.#streams.add(stream);
    // Calls that come while this client enters are seen to when the members are known.
    this.#stops.push(peers.accept(this.#name, ({ client }) => this.#called(client)));
  }

  /** Those who answered. */
  get members(): MeshMember[] {
    return [...this.#entries.values()].filter(({ isMet }) => isMet);
  }

  /** Calls `listener` for each such event. Returns a function that removes it. */
  on<E extends keyof MeshEvents>(event: E, listener: (...args: MeshEvents[E]) => unknown): () => void {
    return this.#listeners.add(event, listener);
  }

  /** Sends the tracks of a stream to every member, and to those who come later; called again, those that it has more by now. @throws GatewayError `bad_parameter` where no track of it is live */
  addStream(stream: MediaStream): void {
    this.#assertOpen();
    assertTracks(stream);
    this.#streams.add(stream);
    this.#forEach((peer) => peer.addStream(stream));
  }

  /** Stops sending it. */
  removeStream(stream: MediaStream): void {
    this.#assertOpen();
    this.#streams.remove(stream);
    this.#forEach((peer) => peer.removeStream(stream));
  }

  /** Sends `next` where `previous` was sent, without a negotiation: camera to screen and back. @throws GatewayError `bad_parameter` where `previous` is not sent, or is of another kind */
  replaceTrack(previous: MediaStreamTrack, next: MediaStreamTrack): void {
    this.#assertOpen();
    // Each peer would refuse it, and the next one that is made would not.
    if (previous.kind !== next.kind)
      throw new GatewayError('bad_parameter', `${next.kind} cannot take the place of ${previous.kind}.`);
    if (!this.#streams.replace(previous, next))
      throw new GatewayError('bad_parameter', 'That track is not sent.');
    this.#forEach((peer) => peer.replaceTrack(previous, next));
  }

  /** Says good-bye to everybody, and leaves the room where the mesh joined it. Idempotent. */
  async leave(): Promise<void> {
    if (this.#isOver) return;
    this.#end('closed');
    await this.#place.giveBack();
  }

  get #name(): string {
    return `~mesh/${this.#room.name}`;
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    await this.#place.join(signal);
    this.#stops.push(
      this.#room.onPresence((change) => this.#changed(change)),
      this.#client.on('state', (state, { code }) => {
        if (state === 'closed' && code === 'closed') this.#end('closed');
        // Changes that were told meanwhile were told to nobody.
        else if (state === 'connected') this.#look();
      }),
    );
    if (!(await this.#read(signal))) throw roomIsFull();
    // Closed, or replaced by another page, in the last moment.
    if (this.#isOver) throw new GatewayError('closed');
  }

  #changed({ joined, left }: { joined: string[]; left: string[] }): void {
    let isStale = false;
    for (const client of joined) {
      this.#present.add(client);
      this.#departed.delete(client);
      // Whoever enters calls; one who did so before its joining was told did it in vain.
      isStale = this.#outsiders.delete(client) || isStale;
      // One whose session was lost has not entered: it came back, and believes that it has its peers.
      if (!this.#entries.has(client)) this.#later();
    }
    for (const client of left) {
      this.#present.delete(client);
      this.#departed.delete(client);
      this.#callers.forget(client);
      // It may have come back meanwhile, and called: the list knows.
      isStale = this.#entries.has(client) || isStale;
    }
    if (isStale) this.#look();
  }

  /** Another client's first signal. Who is in the room is answered at once, for everybody else the list is looked at. */
  #called(client: string): void {
    if (this.#isOver || client === this.#client.id || this.#outsiders.has(client)) return;
    if (!this.#present.has(client)) {
      if (this.#outsiders.size >= OUTSIDERS_LIMIT) this.#outsiders.clear();
      this.#outsiders.add(client);
      return this.#look();
    }
    // A page that was loaded again, or another of the same client: the newest has the peer.
    this.#entries.get(client)?.peer.close();
    if (this.#callers.callsTooOften(client)) {
      // Its newest page is called from here, later and once, also where the one before said good-bye.
      this.#departed.delete(client);
      return this.#later();
    }
    if (this.#hasRoomFor(client)) this.#make(client);
  }

  /** Asks who is in the room, and brings the peers in line with it. */
  #look(): void {
    if (this.#isOver) return;
    this.#isStale = this.#isReading;
    // Who enters looks by itself, and sees to calls that came meanwhile.
    if (this.#isReading || !this.#hasEntered) return;
    this.#read().then(
      (isIn) => isIn || this.#leave(roomIsFull()),
      (error: unknown) => {
        if (this.#isOver || this.#client.state === 'closed') return;
        this.#listeners.emit('error', error instanceof Error ? error : new Error(String(error)), null);
        this.#later();
      },
    );
  }

  /** Until this client has a place in the room; false where there is none. */
  async #read(signal?: AbortSignal): Promise<boolean> {
    this.#isReading = true;
    try {
      do {
        this.#isStale = false;
        if (await this.#update(signal)) return (this.#hasEntered = true);
      } while (await this.#place.givesWay(signal));
      return false;
    } finally {
      this.#isReading = false;
      this.#lookAgain();
    }
  }

  #lookAgain(): void {
    if (this.#isStale) this.#look();
  }

  async #update(signal: AbortSignal | undefined): Promise<boolean> {
    const page = await this.#place.members(signal);
    if (this.#isOver) return true;
    if (!this.#place.take(page)) return false;
    const { members, cursor } = page;
    const clients = members.map(({ client }) => client).filter((client) => client !== this.#client.id);
    this.#present.clear();
    for (const client of clients) this.#present.add(client);
    const { isInDoubt } = this.#place;
    // Back as a new session, it is not there yet.
    if (this.#room.joined && (isInDoubt || clients.length === members.length)) this.#later();
    this.#callers.keepOnly(this.#present);
    for (const [client, { peer }] of this.#entries)
      if (cursor === null && !this.#present.has(client)) peer.close();
    // Who is called has its peer with another page of this client, perhaps, and would give it up for this one.
    if (isInDoubt) return true;
    for (const client of clients) {
      const wasOutsider = this.#outsiders.delete(client);
      if (this.#entries.has(client) || (this.#departed.has(client) && !wasOutsider)) continue;
      if (!this.#hasRoomFor(client)) continue;
      const peer = this.#make(client, wasOutsider);
      // With nothing to send they connect all the same; who never answers is not here.
      peer.connect().catch(() => {});
    }
    return true;
  }

  #hasRoomFor(client: string): boolean {
    if (this.#entries.size + 1 < this.limitMembers) return true;
    this.#listeners.emit('limit', client);
    return false;
  }

  /** @param greets its first words were not heard */
  #make(client: string, greets = false): RTCSignalingPeer {
    const { configuration = {} } = this.#options;
    const options = { ...this.#options, name: this.#name, greets };
    const peer = this.#peers.make(client, configuration, options);
    const entry: Entry = { id: client, peer, streams: new Set(), isMet: false };
    this.#departed.delete(client);
    this.#entries.set(client, entry);
    peer.on('state', (state) => {
      if (state === 'closed') return;
      this.#meet(entry);
      this.#listeners.emit('state', state, entry);
    });
    peer.on('datachannel', () => this.#meet(entry));
    peer.on('track', ({ streams }) => {
      this.#meet(entry);
      for (const stream of streams) this.#hear(entry, stream);
    });
    peer.on('error', (error) => this.#listeners.emit('error', error, client));
    peer.on('close', (reason) => this.#ended(entry, reason));
    this.#try(peer, this.#streams.sendAll(peer), client);
    return peer;
  }

  #meet(entry: Entry): void {
    if (entry.isMet) return;
    entry.isMet = true;
    this.#listeners.emit('join', entry);
  }

  #hear(entry: Entry, stream: MediaStream): void {
    // Taken away and sent again it is the same object.
    if (entry.streams.has(stream)) return;
    entry.streams.add(stream);
    const gone = new AbortController();
    const look = (): void => {
      if (stream.getTracks().length > 0 || !entry.streams.delete(stream)) return;
      gone.abort();
      this.#listeners.emit('streamEnded', stream, entry);
    };
    stream.addEventListener('removetrack', look, { signal: gone.signal });
    this.#listeners.emit('stream', stream, entry);
  }

  #ended(entry: Entry, reason: PeerEvents['close'][0]): void {
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    if (reason === 'remote') this.#departed.add(entry.id);
    if (entry.isMet) this.#listeners.emit('leave', entry, reason);
    // What failed is tried again while its member is there.
    if (reason instanceof GatewayError && reason.code !== 'closed') this.#later();
  }

  #later(): void {
    if (this.#isOver) return;
    this.#cancelRetry ??= this.#environment.after(RETRY_MS, () => {
      this.#cancelRetry = null;
      this.#look();
    });
  }

  #forEach(run: (peer: RTCSignalingPeer) => Promise<unknown>): void {
    for (const { id, peer } of this.#entries.values()) this.#try(peer, run(peer), id);
  }

  /** What a peer that is over did not do is of no interest; it has told why. */
  #try(peer: RTCSignalingPeer, work: Promise<unknown>, client: string): void {
    work.catch((error: unknown) => {
      if (peer.state === 'closed' || (error instanceof GatewayError && error.code === 'aborted')) return;
      // Nobody answered yet: the streams go with the first offer, whenever that is.
      if (peer.state === 'new') return;
      this.#listeners.emit('error', error instanceof Error ? error : new Error(String(error)), client);
    });
  }

  #assertOpen(): void {
    if (this.#isOver) throw new GatewayError('closed');
  }

  #leave(reason: GatewayError): void {
    if (this.#isOver) return;
    this.#end(reason);
    // Without a connection the gateway finds out by itself.
    this.#place.giveBack().catch(() => {});
  }

  #end(reason: MeshEvents['close'][0]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#place.close();
    for (const stop of this.#stops) stop();
    this.#cancelRetry?.();
    for (const { peer } of [...this.#entries.values()]) peer.close();
    this.#listeners.emit('close', reason);
  }
}

function roomIsFull(): GatewayError {
  return new GatewayError('limit', 'The room has more members than the mesh may have.');
}

/** See `Room.mesh`. */
export function openMesh(
  client: MeshClient,
  port: PeersPort,
  room: MeshRoom,
  options?: MeshOptions,
): Promise<Mesh> {
  return Mesh.open(client, room, peersOf(client, port), options);
}
