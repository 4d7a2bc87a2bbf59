// Handshakes that wait until those who were let in before have what they came for: waiting is cheaper than being served by half.

/** Hellos, and reads of logs, that the store owes us; from here on what was begun is finished first. */
const BEHIND_FROM = 64;
/**
 * Of so many who were let in and have not said hello yet one counts: they cost nothing now, but may all speak at once. (With 4 a worker that got a
 * tenth of a core was given 250 hellos at once, and the last of them waited for 3 s.)
 */
const SILENT_PER_PLACE = 2;
/** Handshakes that are completed in one turn of the event loop, some 3 ms: then everybody else's frames are read. */
const TURN_LIMIT_HANDSHAKES = 16;
/** Pause between two looks at a worker that is behind, ms. */
const LOOK_AGAIN_MS = 5;
/** How long a handshake waits, ms: shorter than clients wait for an answer (the SDK: 15 s), and then they are told to come back. */
const WAIT_LIMIT_MS = 8_000;
/** Handshakes that may wait, some 10 KiB each. */
const WAITING_LIMIT_HANDSHAKES = 8_192;

/** Somebody at the door. */
export interface Handshake {
  /** Completes it. */
  begin(): void;
  /** There are too many, or it has waited too long. */
  refuse(): void;
  /** Its connection has ended meanwhile. */
  isGone(): boolean;
}

export interface DoorQueueOptions {
  /** What was begun for those who are in, and waits for the store. */
  owed(): number;
  /** Those who were let in a moment ago and have not said hello. */
  silent(): number;
  now?: () => number;
}

export class DoorQueue {
  private readonly now: () => number;
  /** In the order in which they came, with the time. */
  private readonly waiting = new Map<Handshake, number>();
  private begun = 0;
  private timer: NodeJS.Timeout | NodeJS.Immediate | null = null;
  private closed = false;

  constructor(private readonly options: DoorQueueOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  enter(handshake: Handshake): void {
    if (this.waiting.size === 0 && this.begun < TURN_LIMIT_HANDSHAKES && !this.isBehind) {
      this.begun++;
      this.turnLater();
      handshake.begin();
    } else if (this.closed || this.waiting.size >= WAITING_LIMIT_HANDSHAKES) {
      handshake.refuse();
    } else {
      this.waiting.set(handshake, this.now());
      this.turnLater();
    }
  }

  /** Refuses those who still wait, and whoever comes and would have to. */
  close(): void {
    this.closed = true;
    for (const handshake of this.waiting.keys()) handshake.refuse();
    this.waiting.clear();
  }

  private turnLater(): void {
    this.timer ??= this.isBehind ? setTimeout(this.turn, LOOK_AGAIN_MS) : setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    this.timer = null;
    this.begun = 0;
    const late = this.now() - WAIT_LIMIT_MS;
    for (const [handshake, since] of this.waiting) {
      const isLate = since <= late;
      if (!isLate && (this.begun >= TURN_LIMIT_HANDSHAKES || this.isBehind)) break;
      this.waiting.delete(handshake);
      if (handshake.isGone()) continue;
      if (isLate) {
        handshake.refuse();
      } else {
        this.begun++;
        handshake.begin();
      }
    }
    if (this.waiting.size > 0) this.turnLater();
  };

  private get isBehind(): boolean {
    return this.options.owed() + this.options.silent() / SILENT_PER_PLACE >= BEHIND_FROM;
  }
}
