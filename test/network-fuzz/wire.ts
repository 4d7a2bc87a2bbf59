// What stands between the browsers and the server, in a process on the server's machine: it makes their ways longer.
import { fileURLToPath } from 'node:url';
import { FaultProxy } from '../faults/fault-proxy.js';
import { spawnOn, type Talker } from './talk.js';
import { UdpProxy } from './udp-proxy.js';

/** Of the machine on which it stands. */
export interface WireOptions {
  host: string;
  gatewayPort: number;
  turnPort: number;
  /** By the addresses of those who connect: a TCP port of its own for each. */
  clients: readonly string[];
}

export interface WirePorts {
  /** By address. */
  tcp: Record<string, number>;
  udp: number;
}

/** From now on, whatever comes from that address and goes to it takes so long, each way. */
export interface WireOrder {
  address: string;
  delayMs: number;
}

export class Wire {
  private constructor(
    private readonly talker: Talker<WireOrder, WirePorts>,
    readonly ports: WirePorts,
  ) {}

  /** @param turnAt the port that the UDP proxy shall have, which the gateway tells its clients */
  static async start(wrap: readonly string[], options: WireOptions, turnAt: number): Promise<Wire> {
    const order = JSON.stringify({ ...options, turnAt });
    const talker = await spawnOn<WireOrder, WirePorts>(wrap, fileURLToPath(import.meta.url), [order]);
    return new Wire(talker, talker.first);
  }

  /** Resolves when it is so. */
  async delay(address: string, delayMs: number): Promise<void> {
    await this.talker.ask({ address, delayMs });
  }

  stop(): Promise<void> {
    return this.talker.stop();
  }
}

async function serve({
  host,
  gatewayPort,
  turnPort,
  clients,
  turnAt,
}: WireOptions & { turnAt: number }): Promise<void> {
  const udp = await UdpProxy.start({ address: host, port: turnPort }, { address: host, port: turnAt });
  const tcp = new Map<string, FaultProxy>();
  for (const [index, address] of clients.entries())
    tcp.set(address, await FaultProxy.start([{ host, port: gatewayPort }], index, host));
  process.on('message', ({ address, delayMs }: WireOrder) => {
    udp.delay(address, delayMs);
    tcp.get(address)?.set(delayMs === 0 ? { mode: 'pass' } : { mode: 'latency', ms: delayMs });
    process.send?.(null);
  });
  process.once('disconnect', () => process.exit());
  const ports = Object.fromEntries([...tcp].map(([address, { port }]) => [address, port]));
  process.send?.({ tcp: ports, udp: udp.port } satisfies WirePorts);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await serve(JSON.parse(process.argv[2] ?? '{}') as WireOptions & { turnAt: number });
