// Where clients and providers are, as this worker last heard: the store tells when a cached place changes.
import type { ClientId, WorkerId } from '../protocol/ids.js';
import type { SessionPlace, Store } from '../session/store/store.js';

/** A route is asked for anew after this time even when no change was told, ms: a lost notice costs no more than that. */
const ROUTE_TTL_MS = 30_000;
/** Most routes kept in one worker, about 300 bytes each. */
const ROUTES_LIMIT = 50_000;

interface CachedRoute<Place> {
  places: readonly Place[];
  until: number;
}

export class PlaceCache<Name, Place> {
  private readonly routes = new Map<Name, CachedRoute<Place>>();
  private readonly loading = new Map<Name, Promise<readonly Place[]>>();

  /** @param find asks the store, and to be told of changes */
  constructor(
    private readonly find: (name: Name) => Promise<readonly Place[]>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The cached places; undefined when they must be loaded, or while they are being loaded. */
  peek(name: Name): readonly Place[] | undefined {
    const route = this.routes.get(name);
    return route !== undefined && route.until > this.now() ? route.places : undefined;
  }

  /** Asks the store; calls for the same name share one question, and are answered in the order they were made. */
  load(name: Name): Promise<readonly Place[]> {
    const running = this.loading.get(name);
    if (running !== undefined) return running;
    const loading = this.find(name).then(
      (places) => {
        // A change that came while the question was under way removed it from `loading`: the answer may be old.
        if (this.loading.get(name) === loading) {
          this.loading.delete(name);
          if (places.length > 0) this.keep(name, places);
        }
        return places;
      },
      (error: unknown) => {
        if (this.loading.get(name) === loading) this.loading.delete(name);
        throw error;
      },
    );
    this.loading.set(name, loading);
    return loading;
  }

  forget(name: Name): void {
    this.routes.delete(name);
    this.loading.delete(name);
  }

  clear(): void {
    this.routes.clear();
    this.loading.clear();
  }

  private keep(name: Name, places: readonly Place[]): void {
    this.routes.delete(name);
    this.routes.set(name, { places, until: this.now() + ROUTE_TTL_MS });
    if (this.routes.size <= ROUTES_LIMIT) return;
    const oldest = this.routes.keys().next();
    if (oldest.done !== true) this.routes.delete(oldest.value);
  }
}

/** Where the sessions of clients are. */
export class RouteCache extends PlaceCache<ClientId, SessionPlace> {
  constructor(store: Pick<Store, 'locate'>, worker: WorkerId, now?: () => number) {
    super((client) => store.locate(client, worker), now);
  }
}
