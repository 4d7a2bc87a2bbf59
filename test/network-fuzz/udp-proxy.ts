// A UDP proxy that delays: each sender has a socket of its own towards the target, as behind a NAT, and datagrams keep their order.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** A sender that was silent for so long has a new port when it comes again, ms; calls send something each few seconds. */
const IDLE_MS = 60_000;
/** Datagrams of one sender and direction that wait; one more is dropped, as a router's queue does. */
const QUEUE_LIMIT = 4_096;

export interface Endpoint {
  address: string;
  port: number;
}

export class UdpProxy {
  readonly #door = createSocket('udp4');
  readonly #flows = new Map<string, Flow>();
  readonly #delays = new Map<string, number>();
  /** Dropped because a queue was full. */
  dropped = 0;

  /** @param at port 0 for any */
  static async start(target: Endpoint, at: Endpoint): Promise<UdpProxy> {
    const proxy = new UdpProxy(target, at.address);
    proxy.#door.bind(at.port, at.address);
    await once(proxy.#door, 'listening');
    return proxy;
  }

  private constructor(
    private readonly target: Endpoint,
    private readonly host: string,
  ) {
    this.#door.on('message', (datagram, from) => this.#flow(from).up(datagram, this.#delay(from)));
  }

  get port(): number {
    return this.#door.address().port;
  }

  get flows(): number {
    return this.#flows.size;
  }

  /** What comes from that address, and what goes to it, is late by so much from now on. */
  delay(address: string, ms: number): void {
    this.#delays.set(address, ms);
  }

  close(): void {
    for (const flow of this.#flows.values()) flow.close();
    this.#flows.clear();
    this.#door.close();
  }

  #delay({ address }: Endpoint): number {
    return this.#delays.get(address) ?? 0;
  }

  #flow({ address, port }: Endpoint): Flow {
    const from = { address, port };
    const key = `${address}:${port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const flow = new Flow(this.target, this.host, {
      down: (datagram) => this.#door.send(datagram, port, address),
      delay: () => this.#delay(from),
      dropped: () => this.dropped++,
      idle: () => this.#flows.delete(key),
    });
    this.#flows.set(key, flow);
    return flow;
  }
}

interface FlowPort {
  down(datagram: Buffer): void;
  delay(): number;
  dropped(): void;
  idle(): void;
}

/** One sender: its socket towards the target, and what is under way in each direction. */
class Flow {
  readonly #socket: Socket = createSocket('udp4');
  readonly #up: DelayLine;
  readonly #down: DelayLine;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    target: Endpoint,
    host: string,
    private readonly port: FlowPort,
  ) {
    this.#up = new DelayLine((datagram) => this.#socket.send(datagram, target.port, target.address));
    this.#down = new DelayLine((datagram) => port.down(datagram));
    this.#socket.bind(0, host);
    this.#socket.on('message', (datagram) => {
      if (!this.#down.put(datagram, port.delay())) port.dropped();
      this.#rest();
    });
    // The target is gone (ICMP): the sender finds out by silence, as over a network.
    this.#socket.on('error', () => {});
  }

  up(datagram: Buffer, delayMs: number): void {
    if (!this.#up.put(datagram, delayMs)) this.port.dropped();
    this.#rest();
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#up.close();
    this.#down.close();
    this.#socket.close();
  }

  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.port.idle();
      this.close();
    }, IDLE_MS);
  }
}

/** First in, first out, each after its delay. */
class DelayLine {
  readonly #waiting: { datagram: Buffer; due: number }[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly pass: (datagram: Buffer) => void) {}

  /** False where there is no room. */
  put(datagram: Buffer, delayMs: number): boolean {
    if (this.#waiting.length >= QUEUE_LIMIT) return false;
    const due = Math.max(performance.now() + delayMs, this.#waiting.at(-1)?.due ?? 0);
    this.#waiting.push({ datagram, due });
    if (this.#timer === null) this.#pump();
    return true;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #pump(): void {
    this.#timer = null;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const waitMs = next.due - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(waitMs));
        return;
      }
      this.#waiting.shift();
      this.pass(next.datagram);
    }
  }
}
