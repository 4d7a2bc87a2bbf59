// Who calls whom: ringing, taking, declining, and which of several pages of one name has the call. Nothing here knows of pictures.

/** As telephones do, ms. */
const RING_MS = 30_000;
/** Until the caller has said that the call is taken, ms: who does not say so is gone. */
const TAKE_MS = 10_000;

const newId = () => crypto.getRandomValues(new Uint32Array(3)).join('-');

/**
 * The line of one page. It has one call at a time, `{ id, who, stage }`, with `stage` one of `calling`, `ringing`, `taking` and `talking`.
 *
 * What is sent goes from client to client, and so to every page of a name: the caller's page sends `ring`; a page of who is called sends `take`, or `decline`
 * (a busy one does so by itself, for all pages of its name); `settled`, by the caller's page, says which page that was, and only then both talk. `stop` is
 * the end, by either side. The gateway keeps these messages: who is cut off for a moment hears them afterwards, in their order.
 */
export class Line {
  /** Tells this page from others of the same name, also when its session is another one. */
  #page = newId();
  #client;
  #changed;
  #ringMs;
  #timer;
  #removers;
  call = null;
  /** Set by who sees that nothing comes from the other side any more: then it may call again. */
  isLost = false;

  /**
   * @param changed called with the call that began or went on; at its end with `null`, why, and the call. Why: `declined`, `busy`, `unanswered`, `missed`,
   * `elsewhere` (another page of this name took or declined it), `absent`, `hung up` (by the other), `ended` (by this page), or what `ended` was told
   * @param ringMs how long it rings before nobody answers
   */
  constructor(client, changed, ringMs = RING_MS) {
    this.#client = client;
    this.#changed = changed;
    this.#ringMs = ringMs;
    this.#removers = Object.entries(this.#heard).map(([event, hear]) =>
      client.onMessage(`phone.${event}`, (said, from) => {
        // Whoever may send can send anything.
        if (typeof said?.id === 'string' && typeof said.page === 'string') hear(said, from.client);
      }),
    );
  }

  /** Rings at every page of `who` that is open. */
  ring(who) {
    if (this.call !== null || who === this.#client.id) return;
    const id = newId();
    this.#begin({ id, who, stage: 'calling' }, this.#ringMs, 'unanswered');
    if (!this.#is(id, who)) return;
    const options = { ttlMs: this.#ringMs };
    this.#client.send(who, 'phone.ring', { id, page: this.#page }, options).catch((error) => {
      // Any other may have been heard.
      if (this.#is(id, who)) this.#stop(error.code === 'not_found' ? 'absent' : error);
    });
  }

  take() {
    if (this.call?.stage === 'ringing') this.#take(this.call);
  }

  decline() {
    if (this.call?.stage !== 'ringing') return;
    this.#tell(this.call.who, 'decline', { id: this.call.id, why: 'declined' });
    this.#end('ended');
  }

  /** Gives up a call that rings at the other side, or ends one. One that rings here rings on in other pages. */
  hangUp() {
    if (this.call?.stage === 'ringing') this.#end('ended');
    else if (this.call !== null) this.#stop('ended');
  }

  /** Presence says that `who` is away. A call goes on without the gateway, and a caller that was away for a moment says by itself when it gives up. */
  gone(who) {
    if (this.call?.stage === 'calling' && this.call.who === who) this.#stop('absent');
  }

  /** The connection of the call `id` has ended, or there was none. */
  ended(id, why) {
    if (this.call?.id === id) this.#stop(why);
  }

  /** Ends the call, and hears nothing any more. */
  close() {
    this.hangUp();
    for (const remove of this.#removers) remove();
  }

  #heard = {
    ring: ({ id, page }, who) => {
      const { call } = this;
      if (page === this.#page || call?.id === id) return;
      if (call?.who === who && call.stage === 'calling') return this.#cross(call, { id, who, page });
      // Who calls again has given up the call before, or lost it; another page of theirs is told that it is in vain.
      if (call?.who === who && call.stage === 'ringing') {
        this.#tell(who, 'decline', { id: call.id, why: 'busy' });
        this.#end('missed');
      } else if (call?.who === who && this.isLost) this.#stop('hung up');
      if (this.call === null) this.#begin({ id, who, page, stage: 'ringing' }, this.#ringMs, 'missed');
      else this.#tell(who, 'decline', { id, why: 'busy' });
    },
    take: ({ id, page }, who) => {
      if (!this.#is(id, who)) return;
      // The first page that took it has it; to one that comes second this says so, too.
      if (this.call.stage === 'calling') this.#begin({ ...this.call, page, stage: 'talking' });
      if (this.#is(id, who)) this.#settle(this.call);
    },
    decline: ({ id, page, why }, who) => {
      if (!this.#is(id, who) || this.call.stage !== 'calling') return;
      this.#settle({ id, who, page });
      this.#end(why === 'busy' ? 'busy' : 'declined');
    },
    settled: ({ id, taker }, who) => {
      if (!this.#is(id, who) || this.call.stage === 'talking') return;
      if (taker !== this.#page) this.#end('elsewhere');
      else if (this.call.stage === 'taking') this.#begin({ ...this.call, stage: 'talking' });
    },
    stop: ({ id, page, taker = this.#page }, who) => {
      // Not where another page of theirs gives up what this one has.
      if (!this.#is(id, who) || page !== this.call.page) return;
      if (taker !== this.#page) this.#end('elsewhere');
      else this.#end(this.call.stage === 'talking' ? 'hung up' : 'missed');
    },
  };

  /** Both call each other. Both see the same two ids: the call with the lesser one is taken, and stays, and the other one is not heard of any more. */
  #cross(own, theirs) {
    if (own.id < theirs.id) return;
    this.#tell(own.who, 'stop', { id: own.id, taker: theirs.page });
    this.#take(theirs);
  }

  #take({ id, who, page }) {
    this.#begin({ id, who, page, stage: 'taking' }, TAKE_MS, 'absent');
    if (this.#is(id, who)) this.#tell(who, 'take', { id });
  }

  #settle({ id, who, page }) {
    this.#tell(who, 'settled', { id, taker: page });
  }

  #is(id, who) {
    return this.call?.id === id && this.call.who === who;
  }

  /** With a time after which it is over, and why. `page` of a call is the other side's, as far as it is known. */
  #begin(call, limitMs = null, why = null) {
    clearTimeout(this.#timer);
    this.call = call;
    this.isLost = false;
    if (limitMs !== null)
      this.#timer = setTimeout(() => (why === 'missed' ? this.#end(why) : this.#stop(why)), limitMs);
    // Last, as it may end the call.
    this.#changed(call);
  }

  #stop(why) {
    this.#tell(this.call.who, 'stop', { id: this.call.id });
    this.#end(why);
  }

  #end(why) {
    const { call } = this;
    clearTimeout(this.#timer);
    this.call = null;
    this.#changed(null, why, call);
  }

  /** Who is not there any more need not hear it. */
  #tell(who, event, data) {
    this.#client.send(who, `phone.${event}`, { ...data, page: this.#page }).catch(() => {});
  }
}
