// Who may connect at all: rates and counts by address, what the worker can hold, and whether it takes anybody in now.
import type { Config } from '../config.js';
import type { CloseCode } from '../protocol/codes.js';
import { BucketMap } from '../session/rate-limit.js';

export interface AdmissionOptions {
  config: Config;
  /** Whether the worker is about to go. */
  isDraining: () => boolean;
  /** Whether memory runs short. */
  isShedding: () => boolean;
}

/** One for all doors of a worker: another transport is no way around a limit. */
export class Admission {
  private readonly handshakes: BucketMap;
  private readonly requests: BucketMap;
  private readonly byAddress = new Map<string, number>();
  /** Connections of all transports. */
  connections = 0;

  constructor(private readonly options: AdmissionOptions) {
    const { handshakesPerSecondLimit, rates } = options.config.limits;
    this.handshakes = new BucketMap({
      perSecond: handshakesPerSecondLimit,
      burst: handshakesPerSecondLimit * 2,
    });
    this.requests = new BucketMap(rates.address.messages);
  }

  /** Counts a handshake; false when the address makes too many. */
  takeHandshake(address: string): boolean {
    return this.handshakes.take(address, 1, performance.now()) === 0;
  }

  /** Counts a request of a connection that stands; false when the address makes more than it may send messages. */
  takeRequest(address: string): boolean {
    return this.requests.take(address, 1, performance.now()) === 0;
  }

  /** Why a newcomer cannot be taken in; null when it can. */
  overload(address: string): CloseCode | null {
    const { config, isDraining, isShedding } = this.options;
    const { connectionsLimit, connectionsPerAddressLimit } = config.limits;
    if (isDraining()) return 'restart';
    if (this.connections >= connectionsLimit || isShedding()) return 'overloaded';
    const here = this.byAddress.get(address) ?? 0;
    return connectionsPerAddressLimit > 0 && here >= connectionsPerAddressLimit ? 'limit_exceeded' : null;
  }

  enter(address: string): void {
    this.connections++;
    this.byAddress.set(address, (this.byAddress.get(address) ?? 0) + 1);
  }

  /** A connection from this address is gone. */
  exit(address: string): void {
    this.connections--;
    const left = (this.byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.byAddress.delete(address);
    else this.byAddress.set(address, left);
  }

  /** Forgets the addresses that have been quiet. */
  prune(): void {
    const now = performance.now();
    this.handshakes.prune(now);
    this.requests.prune(now);
  }
}
