// Sessions that are not in a room here, while the store may have them there: it is told until it has heard, or they have come in again.
import type { RoomName } from '../protocol/ids.js';
import type { Session } from './session.js';
import type { Store } from './store/store.js';

/** Rooms of all sessions; past it one stays in the store until its session ends. */
const UNTOLD_LIMIT = 10_000;
/** Told again at once: more would stand before the calls of those who are here. */
const RETRIES_AT_ONCE = 200;

export class Leavings {
  private readonly untold = new Map<Session, Set<RoomName>>();
  private size = 0;

  /** @param isHere whether the session is still served here: otherwise what it is in is another worker's to say */
  constructor(
    private readonly store: Pick<Store, 'leave'>,
    private readonly isHere: (session: Session) => boolean,
  ) {}

  /** Nobody knows whether the store has the session in the room; call it in the order of the session's joins and leaves. */
  add(session: Session, room: RoomName): void {
    if (this.size >= UNTOLD_LIMIT) return;
    const rooms = this.untold.get(session) ?? new Set();
    if (rooms.has(room)) return;
    this.untold.set(session, rooms.add(room));
    this.size++;
  }

  /** It is about to come in, or to leave by another word. */
  forget(session: Session, room: RoomName): void {
    const rooms = this.untold.get(session);
    if (rooms?.delete(room) !== true) return;
    this.size--;
    if (rooms.size === 0) this.untold.delete(session);
  }

  /** Tells again; stops where the store still hears nothing. */
  async retry(): Promise<void> {
    const leavings = [...this.untold].flatMap(([session, rooms]) =>
      [...rooms].map((room) => ({ session, room })),
    );
    for (let at = 0; at < leavings.length; at += RETRIES_AT_ONCE) {
      const step = leavings.slice(at, at + RETRIES_AT_ONCE);
      const heard = await Promise.all(step.map(({ session, room }) => this.attempt(session, room)));
      if (!heard.includes(true)) return;
    }
  }

  /** Among the session's joins and leaves: a join that comes now must not be undone. */
  private attempt(session: Session, room: RoomName): Promise<boolean> {
    return new Promise((resolve) => {
      session.inRoomOrder(async () => {
        const isDue = this.untold.get(session)?.has(room) === true;
        try {
          if (isDue && this.isHere(session)) await this.store.leave(session.ref, room);
          this.forget(session, room);
          resolve(true);
        } catch {
          resolve(false);
        }
      });
    });
  }
}
