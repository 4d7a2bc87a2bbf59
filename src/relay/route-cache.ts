// Where clients are, as this worker last heard: the store tells when a cached place changes.
import type { ClientId, WorkerId } from '../protocol/ids.js';
import type { SessionPlace, Store } from '../session/store/store.js';

/** A route is asked for anew after this time even when no change was told, ms: a lost notice costs no more than that. */
const ROUTE_TTL_MS = 30_000;
/** Most routes kept in one worker, about 300 bytes each. */
const ROUTES_LIMIT = 50_000;

interface CachedRoute {
  places: readonly SessionPlace[];
  until: number;
}

export class RouteCache {
  private readonly routes = new Map<ClientId, CachedRoute>();
  private readonly loading = new Map<ClientId, Promise<readonly SessionPlace[]>>();

  constructor(
    private readonly store: Store,
    private readonly worker: WorkerId,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The cached places; undefined when they must be loaded, or while they are being loaded. */
  peek(client: ClientId): readonly SessionPlace[] | undefined {
    const route = this.routes.get(client);
    return route !== undefined && route.until > this.now() ? route.places : undefined;
  }

  /** Asks the store; calls for the same client share one question, and are answered in the order they were made. */
  load(client: ClientId): Promise<readonly SessionPlace[]> {
    const running = this.loading.get(client);
    if (running !== undefined) return running;
    const loading = this.store.locate(client, this.worker).then(
      (places) => {
        // A change that came while the question was under way removed it from `loading`: the answer may be old.
        if (this.loading.get(client) === loading) {
          this.loading.delete(client);
          if (places.length > 0) this.keep(client, places);
        }
        return places;
      },
      (error: unknown) => {
        if (this.loading.get(client) === loading) this.loading.delete(client);
        throw error;
      },
    );
    this.loading.set(client, loading);
    return loading;
  }

  forget(client: ClientId): void {
    this.routes.delete(client);
    this.loading.delete(client);
  }

  clear(): void {
    this.routes.clear();
    this.loading.clear();
  }

  private keep(client: ClientId, places: readonly SessionPlace[]): void {
    this.routes.delete(client);
    this.routes.set(client, { places, until: this.now() + ROUTE_TTL_MS });
    if (this.routes.size <= ROUTES_LIMIT) return;
    const oldest = this.routes.keys().next();
    if (oldest.done !== true) this.routes.delete(oldest.value);
  }
}
