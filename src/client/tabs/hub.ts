// Where the tabs of a session meet: each comes on a channel of its own, and is watched by its lock until it is gone.
import { CODES } from '../../protocol/codes.js';
import { ProtocolError } from '../../protocol/errors.js';
import type { ClientFrame } from '../../protocol/frame.js';
import { msgpackCodec } from '../../protocol/msgpack-codec.js';
import type { Environment } from '../environment.js';
import { HubSession, type HubSessionOptions } from './hub-session.js';
import { HubTab } from './hub-tab.js';
import type { ChannelLike } from './platform.js';
import { type CommonMessage, isNewer, lockOfTab, type ToHub } from './tab-messages.js';
import { Turns } from './turns.js';

export interface HubOptions extends HubSessionOptions {
  readonly environment: Environment;
  onStop(): void;
}

/** It has the one connection, and is to each tab what the gateway is to a client. */
export class Hub {
  readonly #id = crypto.randomUUID();
  readonly #since: number;
  readonly #options: HubOptions;
  /** What comes from outside. */
  readonly #turns = new Turns(() => {
    this.stop();
  });
  readonly #tabs = new Map<string, HubTab>();
  readonly #environment: Environment;
  readonly #session: HubSession;
  #common: ChannelLike | null = null;
  #isStopped = false;

  constructor(options: HubOptions) {
    const ofPage = options.environment;
    this.#options = options;
    this.#since = ofPage.now();
    const turn = (run: () => void): void => {
      this.#turns.run(run);
    };
    this.#environment = {
      ...ofPage,
      after: (ms, run) =>
        ofPage.after(ms, () => {
          turn(run);
        }),
    };
    this.#session = new HubSession(options, {
      id: this.#id,
      tabs: this.#tabs,
      environment: this.#environment,
      ofPage,
      turn,
      detach: (tab, code) => {
        this.#detach(tab, code);
      },
      expire: (tab) => {
        this.#expire(tab);
      },
      depart: (tab) => {
        this.#depart(tab);
      },
      stop: () => {
        this.stop();
      },
    });
  }

  open(): void {
    const { platform, name } = this.#options;
    this.#common = platform.channel(name);
    this.#common.onmessage = ({ data }) => {
      this.#turns.run(() => {
        const message = data as CommonMessage;
        if (message[0] === 'who') this.#announce();
        else if (message[0] === 'hub') this.#heard([message[1], message[2]]);
        else if (message[1] === this.#id) this.#meet(message[2], message[3]);
      });
    };
    platform.held().then(
      (locks) => {
        this.#session.counted(locks);
      },
      () => {
        this.#session.counted([]);
      },
    );
    this.#announce();
  }

  #announce(): void {
    if (this.#isStopped || this.#session.isLeaving) return;
    const message: CommonMessage = ['hub', this.#id, this.#since];
    this.#common?.postMessage(message);
  }

  /** Another hub of the session: this one hung, and its lock was taken away, or the other one did. */
  #heard(other: readonly [id: string, since: number]): void {
    if (isNewer(other, [this.#id, this.#since])) this.stop();
    else this.#announce();
  }

  /** The client of this page is closed. */
  forsake(): void {
    if (this.#tabs.size === 0) this.stop();
  }

  /** The session goes on at another hub, or is over. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#session.close();
    for (const tab of this.#tabs.values()) {
      tab.close(1006);
      tab.dispose();
    }
    this.#tabs.clear();
    this.#session.calls?.close();
    this.#common?.close();
    this.#options.onStop();
  }

  #meet(channel: string, id: string): void {
    if (this.#isStopped || this.#session.isLeaving) return;
    let tab = this.#tabs.get(id);
    if (tab === undefined) {
      tab = new HubTab(id, (full) => {
        this.#detach(full, CODES.slow_consumer.close);
      });
      this.#tabs.set(id, tab);
      this.#watch(tab);
    }
    const known = tab;
    // Where it asks again it has not heard the answer.
    if (tab.isAt(channel)) return tab.post(['there']);
    tab.connect(
      channel,
      this.#options.platform.channel(channel),
      (message) => {
        this.#turns.run(() => {
          this.#take(known, message);
        });
      },
      () => {
        this.#turns.run(() => {
          // What came behind it would be written before it.
          this.#detach(known, 1006);
        });
      },
    );
    tab.cancelExpiry();
    this.#session.calls?.detached(tab);
    tab.post(['there']);
  }

  /** Its lock is free when it is gone, by whatever way. */
  #watch(tab: HubTab): void {
    const { platform, name } = this.#options;
    const waiting = new AbortController();
    tab.stopWatching = () => {
      waiting.abort();
    };
    platform.hold(lockOfTab(name, tab.id), { signal: waiting.signal }).then(
      (release) => {
        release();
        this.#turns.run(() => {
          if (this.#tabs.get(tab.id) === tab) this.#depart(tab);
        });
      },
      () => {},
    );
  }

  #take(tab: HubTab, message: ToHub): void {
    switch (message[0]) {
      case 'enter': {
        const [, token, notes, notesOf, brought, isBehind] = message;
        Object.assign(tab, { token, notes, notesOf, isBehind });
        return this.#session.entered(brought);
      }
      case 'frame':
        return this.#frame(tab, message[1], message[2]);
      case 'kept':
        return this.#session.calls?.noted(tab, message[1]);
      case 'leave':
        return this.#left(tab);
      case 'ping':
        return tab.post(['pong']);
      case 'read':
        return;
      default:
        message satisfies never;
    }
  }

  #frame(tab: HubTab, at: number, bytes: Uint8Array): void {
    let frame: ClientFrame;
    try {
      frame = msgpackCodec.decodeClient(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) return this.#detach(tab, 1011);
      // As the gateway does: undecodable bytes end the connection, a wrong field only its call.
      if (error.code === 'bad_frame' || !tab.isAttached) return this.#detach(tab, 4500);
      const { code, ref, message: text } = error;
      if (ref > 0) tab.write({ type: 'error', ref, code, text, expected: null });
      return tab.post(['took', at]);
    }
    if (frame.type === 'hello') {
      tab.hello = frame;
      tab.places.clear();
      for (const [channel, place] of frame.resume?.cursors ?? []) tab.places.set(channel, place);
      tab.post(['took', at]);
      return this.#session.asked(tab, frame);
    }
    if (frame.type === 'bye') return this.#bye(tab);
    if (!tab.isAttached || !this.#session.isUp) return;
    try {
      if ((frame.type === 'send' || frame.type === 'publish') && frame.seq)
        return this.#session.calls?.message(tab, at, frame, frame.seq);
      this.#session.pass(tab, at, frame);
    } catch (error) {
      // It cannot be written, as where it is too large.
      const code = error instanceof ProtocolError ? error.code : 'internal_error';
      if ('ref' in frame && frame.ref > 0)
        tab.write({ type: 'error', ref: frame.ref, code, text: code, expected: null });
    }
    tab.post(['took', at]);
  }

  /** The connection of a tab is over; the tab is not. */
  #left(tab: HubTab): void {
    tab.disconnect();
    this.#session.left(tab);
    this.#expire(tab);
  }

  /** It does not read, or not note: it gets what it missed when it is back. */
  #detach(tab: HubTab, code: number): void {
    // First what it must not keep.
    this.#session.calls?.detached(tab);
    tab.close(code);
    this.#left(tab);
  }

  #expire(tab: HubTab): void {
    tab.cancelExpiry();
    tab.cancelExpiry = this.#environment.after(this.#session.patienceMs, () => {
      if (!tab.isAttached && tab.hello === null) this.#depart(tab);
    });
  }

  #bye(tab: HubTab): void {
    if (this.#tabs.size === 1 && this.#session.isUp) return this.#farewell(tab);
    tab.close(1000);
    this.#depart(tab);
  }

  /** The last one ends the session: it is told when the gateway knows. */
  #farewell(tab: HubTab): void {
    const farewell = this.#session.farewell();
    if (farewell === null) return this.#depart(tab);
    void farewell.then(() => {
      tab.close(1000);
      this.stop();
    });
  }

  /** For good. */
  #depart(tab: HubTab): void {
    tab.isGone = true;
    this.#tabs.delete(tab.id);
    this.#session.departed(tab);
    tab.dispose();
    if (this.#tabs.size > 0) return this.#session.advance();
    this.#session.end();
    this.stop();
  }
}
