// Who is in a topic of a service is told when the last of its providers goes, and when there is one again.
import {
  parseServiceRoom,
  providersOf,
  type RoomName,
  type ServiceName,
  type WorkerId,
} from '../protocol/ids.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Store } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';

export interface TopicsOptions {
  worker: WorkerId;
  store: Pick<Store, 'locateMembers'>;
  registry: SessionRegistry;
  wheel: TimerWheel;
}

/** Changes are looked at together, ms. */
const LOOK_AGAIN_MS = 100;

interface Followed {
  /** Topics of the service that sessions of this worker were in. */
  readonly topics: Set<RoomName>;
  /** Providers when they were last counted; null before. */
  count: number | null;
  isLooking: boolean;
}

export class Topics {
  private readonly services = new Map<ServiceName, Followed>();

  constructor(private readonly options: TopicsOptions) {}

  /** The session is in a room, which may be a topic: then it hears how it stands with its owner. */
  follow(session: Session, room: RoomName): void {
    const own = parseServiceRoom(room);
    if (own === null || own.topic === '') return;
    const { service } = own;
    const followed = this.services.get(service) ?? { topics: new Set(), count: null, isLooking: false };
    this.services.set(service, followed);
    followed.topics.add(room);
    if (followed.count !== null) session.send({ type: 'owners', service, count: followed.count });
    this.look(service, followed);
  }

  /** The members of a service's room are not where they were. */
  changed(room: RoomName): void {
    const own = parseServiceRoom(room);
    const followed = own?.topic === '' ? this.services.get(own.service) : undefined;
    if (own !== null && followed !== undefined) this.look(own.service, followed);
  }

  /** Changes may have been missed, or will not be told much longer. Forgets what nobody here is in any more. */
  refresh(): void {
    for (const [service, followed] of this.services) {
      for (const room of followed.topics)
        if (this.options.registry.inRoom(room).size === 0) followed.topics.delete(room);
      if (followed.topics.size === 0) this.services.delete(service);
      else this.look(service, followed);
    }
  }

  private look(service: ServiceName, followed: Followed): void {
    if (followed.isLooking) return;
    followed.isLooking = true;
    const { store, worker, wheel } = this.options;
    const again = (): void => {
      // Changes that come from now on are looked at again.
      followed.isLooking = false;
      store.locateMembers(providersOf(service), worker, true).then(
        ({ length }) => {
          this.counted(service, followed, length);
        },
        // A count of a moment ago is worth more than none; `refresh` comes.
        () => undefined,
      );
    };
    if (followed.count === null) again();
    else wheel.in(LOOK_AGAIN_MS, again);
  }

  private counted(service: ServiceName, followed: Followed, count: number): void {
    const before = followed.count;
    followed.count = count;
    if (before !== null && before > 0 === count > 0) return;
    const sessions = new Set<Session>();
    for (const room of followed.topics)
      for (const session of this.options.registry.inRoom(room)) sessions.add(session);
    for (const session of sessions) session.send({ type: 'owners', service, count });
  }
}
