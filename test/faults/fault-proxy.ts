// A TCP proxy that misbehaves on demand, in each direction on its own: between clients and gateways, or gateways and Redis.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Random, seeded } from './random.js';

/** `up` is from who connected to the target. */
export type Direction = 'up' | 'down';

export type Mode =
  | { mode: 'pass' }
  /** Every chunk later by `ms` ± `jitterMs`, order kept. */
  | { mode: 'latency'; ms: number; jitterMs?: number }
  | { mode: 'rate'; bytesPerSecond: number }
  /** Nothing goes through and nobody is told; what arrives meanwhile waits in the sockets and comes when it passes again. */
  | { mode: 'blackhole' }
  /** In pieces of so many bytes. */
  | { mode: 'slice'; bytes: number; pauseMs: number }
  /** Inverts the bits of byte number `at` of those that come from now on (0 is the next), then passes. */
  | { mode: 'corrupt'; at: number };

/** What happens to who connects; with `blackhole` it is connected and never answered. */
export type Door = 'open' | 'refuse' | 'blackhole';

export interface Target {
  host: string;
  port: number;
}

export class FaultProxy {
  #server: Server | null = null;
  #port = 0;
  #door: Door = 'open';
  #turn = 0;
  readonly #links = new Set<Link>();
  readonly #modes: Record<Direction, Mode> = { up: { mode: 'pass' }, down: { mode: 'pass' } };
  readonly #random: Random;
  #cutAfter: Buffer | null = null;
  /** Connections that `dropReplyAfter` cut. */
  cuts = 0;

  /** With several targets connections go to them in turn, past those that refuse: a load balancer. */
  static async start(targets: readonly Target[], seed = 1, host = '127.0.0.1'): Promise<FaultProxy> {
    const proxy = new FaultProxy(targets, host, seeded(seed));
    await proxy.#listen();
    return proxy;
  }

  private constructor(
    private targets: readonly Target[],
    private readonly host: string,
    random: Random,
  ) {
    this.#random = random;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** What is open becomes a black hole for good, as when a peer's address changes; new connections pass. */
  freeze(share = 1): number {
    return this.#each(share, (link) => link.freeze());
  }

  /** For connections to come. */
  retarget(targets: readonly Target[]): void {
    this.targets = targets;
  }

  /** Of one direction, or of both; also for connections that are open. */
  set(mode: Mode, direction?: Direction): void {
    for (const each of direction === undefined ? (['up', 'down'] as const) : [direction]) {
      this.#modes[each] = mode;
      for (const link of this.#links) link.set(each, mode);
    }
  }

  async door(door: Door): Promise<void> {
    this.#door = door;
    if (door === 'refuse') await this.#deafen();
    else if (this.#server === null) await this.#listen();
  }

  /** Aborts what is open with a TCP reset, in both directions; all of it, or a share by chance. */
  reset(share = 1): number {
    return this.#each(share, (link) => link.reset());
  }

  /** Ends one direction with a FIN; the other one goes on. */
  halfClose(direction: Direction, share = 1): number {
    return this.#each(share, (link) => link.halfClose(direction));
  }

  /** After the bytes were seen going up and passed on, the next bytes that come down are not: the connection is reset instead. Once. */
  dropReplyAfter(bytes: Buffer | string): void {
    this.#cutAfter = Buffer.from(bytes);
  }

  async close(): Promise<void> {
    this.reset();
    await this.#deafen();
  }

  #each(share: number, act: (link: Link) => void): number {
    const chosen = [...this.#links].filter(() => this.#random.next() < share);
    for (const link of chosen) act(link);
    return chosen.length;
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#accept(socket),
    );
    this.#server = server;
    server.listen({ port: this.#port, host: this.host, backlog: 4096 });
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  async #deafen(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    // Its callback waits for the open connections too; they stay as they are.
    server?.close();
    await Promise.resolve();
  }

  #accept(client: Socket): void {
    const link: Link = new Link(client, this.#random, {
      ended: () => this.#links.delete(link),
      passed: (direction, chunk) => this.#watch(link, direction, chunk),
      mayPass: (direction) => !(link.marked && this.#cut(link, direction)),
    });
    this.#links.add(link);
    for (const direction of ['up', 'down'] as const) link.set(direction, this.#modes[direction]);
    if (this.#door === 'open') this.#dial(link, this.#turn++, 0);
  }

  #dial(link: Link, turn: number, attempt: number): void {
    const target = this.targets[(turn + attempt) % this.targets.length];
    if (target === undefined || attempt >= this.targets.length) return link.reset();
    const socket = connect({ ...target, allowHalfOpen: true });
    const failed = (): void => this.#dial(link, turn, attempt + 1);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      link.attach(socket);
    });
  }

  #watch(link: Link, direction: Direction, chunk: Buffer): void {
    if (direction !== 'up' || this.#cutAfter === null || !chunk.includes(this.#cutAfter)) return;
    this.#cutAfter = null;
    link.marked = true;
  }

  #cut(link: Link, direction: Direction): boolean {
    if (direction !== 'down') return false;
    this.cuts++;
    link.reset();
    return true;
  }
}

interface LinkPort {
  ended(): void;
  passed(direction: Direction, chunk: Buffer): void;
  mayPass(direction: Direction): boolean;
}

/** One connection through the proxy: two sockets, and a pipe for each direction. */
class Link {
  /** Its next reply is dropped. */
  marked = false;
  #far: Socket | null = null;
  readonly #pipes: Record<Direction, Pipe>;
  #ended = false;
  #isFrozen = false;

  constructor(
    private readonly near: Socket,
    random: Random,
    private readonly port: LinkPort,
  ) {
    const pipe = (direction: Direction): Pipe =>
      new Pipe(random, {
        allows: () => port.mayPass(direction),
        passed: (chunk) => port.passed(direction, chunk),
      });
    this.#pipes = { up: pipe('up'), down: pipe('down') };
    this.#guard(near);
  }

  set(direction: Direction, mode: Mode): void {
    if (!this.#isFrozen) this.#pipes[direction].set(mode);
  }

  freeze(): void {
    for (const direction of ['up', 'down'] as const) this.set(direction, { mode: 'blackhole' });
    this.#isFrozen = true;
  }

  attach(far: Socket): void {
    this.#far = far;
    this.#guard(far);
    if (this.#ended) return void far.resetAndDestroy();
    this.#pipes.up.join(this.near, far);
    this.#pipes.down.join(far, this.near);
  }

  reset(): void {
    this.near.resetAndDestroy();
    this.#far?.resetAndDestroy();
    this.#end();
  }

  halfClose(direction: Direction): void {
    (direction === 'up' ? this.#far : this.near)?.end();
  }

  #guard(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on('error', () => this.reset());
    socket.on('close', () => {
      if (this.near.destroyed && (this.#far?.destroyed ?? true)) this.#end();
    });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipes.up.stop();
    this.#pipes.down.stop();
    this.port.ended();
  }
}

interface PipePort {
  /** False where the chunk must not pass any more. */
  allows(): boolean;
  passed(chunk: Buffer): void;
}

/** Bytes of one direction, in their order, as the mode lets them. */
class Pipe {
  #mode: Mode = { mode: 'pass' };
  #source: Socket | null = null;
  #sink: Socket | null = null;
  readonly #waiting: { chunk: Buffer; due: number }[] = [];
  #hasEnded = false;
  #timer: NodeJS.Timeout | null = null;
  /** Bytes since the mode was set. */
  #count = 0;

  constructor(
    private readonly random: Random,
    private readonly port: PipePort,
  ) {}

  join(source: Socket, sink: Socket): void {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => {
      this.#hasEnded = true;
      this.#pump();
    });
    sink.on('drain', () => this.#pump());
    if (this.#mode.mode !== 'blackhole') source.resume();
  }

  set(mode: Mode): void {
    this.#mode = mode;
    this.#count = 0;
    if (mode.mode === 'blackhole') this.#source?.pause();
    else if (this.#waiting.length === 0) this.#source?.resume();
    if (mode.mode !== 'latency') for (const entry of this.#waiting) entry.due = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#pump();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #take(chunk: Buffer): void {
    const mode = this.#mode;
    if (mode.mode === 'corrupt') this.#spoil(chunk, mode.at);
    this.#count += chunk.length;
    this.#waiting.push({ chunk, due: this.#dueTime() });
    // What waits here is bounded by the socket's buffer; with latency it is the delay that is meant to hold it.
    if (mode.mode !== 'latency') this.#source?.pause();
    this.#pump();
  }

  #spoil(chunk: Buffer, at: number): void {
    const byte = chunk[at - this.#count];
    if (byte !== undefined) chunk[at - this.#count] = byte ^ 0xff;
  }

  #dueTime(): number {
    if (this.#mode.mode !== 'latency') return 0;
    const { ms, jitterMs = 0 } = this.#mode;
    const due = performance.now() + ms + (2 * this.random.next() - 1) * jitterMs;
    return Math.max(due, this.#waiting.at(-1)?.due ?? 0);
  }

  #pump(): void {
    if (this.#timer !== null || this.#mode.mode === 'blackhole' || this.#sink === null) return;
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      const waitMs = entry.due - performance.now();
      if (waitMs > 0) return this.#later(waitMs);
      const piece = this.#piece(entry.chunk);
      if (piece.length === entry.chunk.length) this.#waiting.shift();
      else entry.chunk = entry.chunk.subarray(piece.length);
      if (!this.port.allows()) return;
      const hasRoom = this.#sink.write(piece);
      this.port.passed(piece);
      const pauseMs = this.#pauseAfter(piece.length);
      if (pauseMs > 0) return this.#later(pauseMs);
      if (!hasRoom) return;
    }
    if (this.#hasEnded) this.#sink.end();
    else this.#source?.resume();
  }

  #piece(chunk: Buffer): Buffer {
    const mode = this.#mode;
    if (mode.mode === 'slice') return chunk.subarray(0, mode.bytes);
    // Ten times a second, and at least a byte.
    if (mode.mode === 'rate') return chunk.subarray(0, Math.max(1, Math.floor(mode.bytesPerSecond / 10)));
    return chunk;
  }

  #pauseAfter(bytes: number): number {
    const mode = this.#mode;
    if (mode.mode === 'slice') return mode.pauseMs;
    return mode.mode === 'rate' ? (bytes / mode.bytesPerSecond) * 1000 : 0;
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, ms);
  }
}
