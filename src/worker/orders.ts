// What the primary asks of a worker, and the answers.
import type { Metrics } from '../metrics.js';
import { GatewayError } from '../protocol/errors.js';
import type { NodeRelay } from '../relay/node-relay.js';
import type { Store } from '../session/store/store.js';
import type { ToPrimary, ToWorker } from './control.js';
import type { Gateway } from './gateway.js';
import type { ServerCalls } from './server-calls.js';
import type { TestDoor } from './test-door.js';

export interface OrdersOptions {
  store: Store;
  relay: NodeRelay;
  metrics: Metrics;
  gateway: Pick<Gateway, 'doubt'>;
  /** Null where there is no connection test page. */
  testDoor: Pick<TestDoor, 'learn'> | null;
  calls: ServerCalls;
  tell: (message: ToPrimary) => Promise<void>;
  drain: (delayMs: number) => Promise<void>;
  accept: (accept: boolean, order: number) => void;
}

export class Orders {
  constructor(private readonly options: OrdersOptions) {}

  receive(message: ToWorker): void {
    const { store, relay, metrics, gateway, testDoor, calls, tell, drain, accept } = this.options;
    switch (message.type) {
      case 'siblings':
        relay.setSiblings(message.workers);
        return;
      case 'drain':
        void drain(message.delayMs);
        return;
      case 'retire':
        store.retire(message.worker).catch(() => {
          metrics.storeErrors.inc({ kind: 'retire' });
        });
        return;
      case 'doubt':
        gateway.doubt(message.agoMs);
        return;
      case 'tests':
        testDoor?.learn(message.summary);
        return;
      case 'accept':
        accept(message.accept, message.order);
        return;
      case 'metrics':
        void tellMetrics(message.id, metrics, tell);
        return;
      case 'locate':
        void store
          .locate(message.client, null)
          .catch(() => null)
          .then((places) => tell({ type: 'located', id: message.id, places }));
        return;
      case 'revoke':
        void store
          .revoke(message.revocation)
          .then(
            () => null,
            (error: unknown) => (error instanceof GatewayError ? error.code : 'internal_error'),
          )
          .then((refusal) => tell({ type: 'revoked', id: message.id, refusal }));
        return;
      case 'call':
        void Promise.all(message.calls.map((call) => calls.make(call))).then((answers) =>
          tell({ type: 'called', id: message.id, answers }),
        );
        return;
      default:
        message satisfies never;
    }
  }
}

/** @param id the question's; 0 for what a worker that drained has counted in all */
export async function tellMetrics(id: number, metrics: Metrics, tell: OrdersOptions['tell']): Promise<void> {
  await tell({ type: 'metrics', id, values: await metrics.registry.getMetricsAsJSON() });
}
