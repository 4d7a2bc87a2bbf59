// Who calls whom: ringing, taking, declining, and which of several pages of one name has the call. Nothing here knows of pictures.

/** As telephones do, ms. */
const RING_MS = 30_000;

const newId = () => crypto.getRandomValues(new Uint32Array(3)).join('-');

/**
 * The line of one page: it has one call at a time, `{ id, who, stage }`, with `stage` `calling`, `ringing` or `talking`.
 *
 * What is sent, from client to client, and so to every page of a name: `ring`, then `take` or `decline` by a page of who is called, which `settled`
 * tells its other pages, and `stop` by who gives up first. These are messages that the gateway keeps: who is cut off for a moment hears them afterwards,
 * in their order.
 */
export class Line {
  /** Tells this page from others of the same name, also when its session is another one. */
  #page = newId();
  #client;
  #changed;
  #timer;
  #ringMs;
  call = null;

  /**
   * @param changed called with the call that began or went on, `null` at its end, and then with why: `declined`, `busy`, `unanswered`, `missed`,
   * `elsewhere` (another page of this name took or declined it), `absent`, `hung up` (by the other), `ended` (by this page), or a GatewayError
   * @param ringMs how long it rings before nobody answers
   */
  constructor(client, changed, ringMs = RING_MS) {
    this.#ringMs = ringMs;
    this.#client = client;
    this.#changed = changed;
    for (const [event, hear] of Object.entries(this.#heard))
      client.onMessage(event, (said, from) => {
        // Whoever may send can send anything.
        if (typeof said?.id === 'string') hear(said, from.client);
      });
  }

  /** Rings at every page of `who`. */
  ring(who) {
    if (this.call !== null) return;
    const { id } = this.#begin({ id: newId(), who, stage: 'calling' });
    this.#client.send(who, 'ring', { id, page: this.#page }).catch((error) => {
      if (this.#is(id)) this.#end(error.code === 'not_found' ? 'absent' : error);
    });
    this.#timer = setTimeout(() => this.#stop('unanswered'), this.#ringMs);
  }

  take() {
    if (this.call?.stage !== 'ringing') return;
    this.#tell(this.call.who, 'take', { id: this.call.id, page: this.#page });
    this.#talk(this.call);
  }

  decline() {
    if (this.call?.stage !== 'ringing') return;
    this.#tell(this.call.who, 'decline', { id: this.call.id, page: this.#page, why: 'declined' });
    this.#end('ended');
  }

  /** Gives up a call that rings at the other side, or ends one. One that rings here rings on in other pages. */
  hangUp() {
    if (this.call?.stage === 'ringing') this.#end('ended');
    else if (this.call !== null) this.#stop('ended');
  }

  /** Nobody of that name is there any more. */
  gone(who) {
    if (this.call?.who !== who) return;
    if (this.call.stage === 'calling') this.#end('absent');
    else if (this.call.stage === 'ringing') this.#end('missed');
    // A call goes on without the gateway: its peer says when it is over.
  }

  /** The peer of the call `id` has ended. */
  ended(id, why) {
    if (this.#is(id)) this.#end(why);
  }

  #heard = {
    ring: ({ id, page }, who) => {
      const { call } = this;
      if (call === null) {
        this.#begin({ id, who, stage: 'ringing' });
        // In case that nobody tells when the caller gave up.
        this.#timer = setTimeout(() => this.#end('missed'), 2 * this.#ringMs);
      } else if (call.stage === 'calling' && call.who === who) this.#cross(call, id, page);
      else if (call.id !== id) this.#tell(who, 'decline', { id, page: this.#page, why: 'busy' });
    },
    take: ({ id, page }, who) => {
      // The first page that took it has it; to one that comes second this says so.
      if (this.#is(id, who) && this.call.stage === 'calling') this.#talk({ ...this.call, page });
      if (this.#is(id, who) && this.call.page !== undefined)
        this.#tell(who, 'settled', { id, page: this.call.page });
    },
    decline: ({ id, page, why }, who) => {
      if (!this.#is(id, who) || this.call.stage !== 'calling') return;
      this.#tell(who, 'settled', { id, page });
      this.#end(why === 'busy' ? 'busy' : 'declined');
    },
    settled: ({ id, page }, who) => {
      if (this.#is(id, who) && page !== this.#page) this.#end('elsewhere');
    },
    stop: ({ id }, who) => {
      if (this.#is(id, who)) this.#end(this.call.stage === 'ringing' ? 'missed' : 'hung up');
    },
  };

  /** Both called each other at the same moment: nobody need take anything, and other pages of theirs ring no longer. */
  #cross(call, id, page) {
    this.#tell(call.who, 'settled', { id: call.id, page });
    this.#talk({ ...call, id: id < call.id ? id : call.id });
  }

  #is = (id, who = this.call?.who) => this.call !== null && this.call.id === id && this.call.who === who;

  #begin(call) {
    this.call = call;
    this.#changed(call);
    return call;
  }

  #talk(call) {
    clearTimeout(this.#timer);
    this.#begin({ ...call, stage: 'talking' });
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
    this.#client.send(who, event, data).catch(() => {});
  }
}
