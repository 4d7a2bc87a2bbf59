// One session of a virtual user: speaks signalbox.v1.msgpack with msgpack5, written from docs/protocol.md, not with our SDK.
const { EventEmitter } = require('node:events');
const { isDeepStrictEqual } = require('node:util');
const msgpack5 = require('msgpack5');
const WebSocket = require('ws');

const msgpack = msgpack5();
const SUBPROTOCOL = 'signalbox.v1.msgpack';
const VERSION = 1;
const PAYLOAD_MSGPACK = 1;
const TYPE = {
  hello: 0,
  welcome: 1,
  ping: 2,
  pong: 3,
  ok: 5,
  error: 6,
  bye: 9,
  send: 16,
  message: 17,
  request: 19,
  requested: 20,
  reply: 21,
  response: 23,
  join: 32,
  leave: 33,
  publish: 35,
  roomMessage: 36,
};

const encodeData = (data) => msgpack.encode(data).slice();

class Session {
  #options;
  #socket = null;
  #events = new EventEmitter().setMaxListeners(0);
  #pending = new Map();
  #lastRef = 0;
  #resume = null;

  /** @param options url, token (a function that makes one), timeoutMs, onUnexpected(text) */
  constructor(options) {
    this.#options = options;
  }

  /** Client id and session id, from the welcome. */
  client = null;
  id = null;

  /** Opens a connection and waits for the welcome; continues the session where there is one. */
  async connect() {
    const { url, token } = this.#options;
    const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false });
    this.#socket = socket;
    const welcomed = this.#once('welcome', 'welcome timeout');
    // Who awaits it may still wait for the socket to open.
    welcomed.catch(() => {});
    await this.#within('handshake timeout', (resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', (error) => reject(new Error(`handshake: ${error.code ?? error.message}`)));
    });
    socket.on('message', (bytes) => this.#take(socket, bytes));
    socket.on('close', (code) => this.#closed(socket, code));
    this.#write([TYPE.hello, VERSION, token(), this.#resume, 'signalbox-load']);
    const info = await welcomed;
    if (this.#resume !== null && !(info.resumed && info.session === this.id))
      throw new Error('session not resumed');
    this.#resume = [info.session, info.resumeKey];
    this.client = info.client;
    this.id = info.session;
  }

  /** Cuts the connection without a word, as a network does. */
  drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.terminate();
  }

  /** Ends the session; the gateway must close with 1000. */
  async close() {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    const code = await this.#within('close timeout', (resolve) => {
      socket.once('close', resolve);
      socket.send(msgpack.encode([TYPE.bye]).slice());
    });
    if (code !== 1000) throw new Error(`closed with ${code}`);
  }

  join(room) {
    return this.#call('join timeout', (ref) => [TYPE.join, ref, room]);
  }

  leave(room) {
    return this.#call('leave timeout', (ref) => [TYPE.leave, ref, room]);
  }

  /** Resolves when accepted. */
  send(to, event, data) {
    return this.#call('send timeout', (ref) => [
      TYPE.send,
      ref,
      null,
      {},
      to,
      event,
      PAYLOAD_MSGPACK,
      encodeData(data),
    ]);
  }

  /** Resolves with the answer. */
  request(to, event, data) {
    const { timeoutMs } = this.#options;
    return this.#call('request timeout', (ref) => [
      TYPE.request,
      ref,
      timeoutMs,
      {},
      to,
      event,
      PAYLOAD_MSGPACK,
      encodeData(data),
    ]);
  }

  publish(room, event, data) {
    const options = { self: false };
    return this.#call('publish timeout', (ref) => [
      TYPE.publish,
      ref,
      null,
      options,
      room,
      event,
      PAYLOAD_MSGPACK,
      encodeData(data),
    ]);
  }

  /** Resolves when a message (with `room`: in that room) with exactly this sender, event and data arrives. */
  hears({ room = null, from, event, data }) {
    return this.#within('message timeout', (resolve) => {
      const listen = (message) => {
        if (message.room !== room || message.from !== from || message.event !== event) return;
        if (!isDeepStrictEqual(message.data, data)) return;
        this.#events.off('message', listen);
        resolve();
      };
      this.#events.on('message', listen);
    });
  }

  /** Every wait of this class ends: with what it waits for, with the end of the connection, or with a time-out. */
  #within(whatIfLate, start) {
    return new Promise((resolve, reject) => {
      const end = (settle) => (value) => {
        clearTimeout(timer);
        this.#events.off('lost', fail);
        settle(value);
      };
      const fail = end(reject);
      const timer = setTimeout(() => fail(new Error(whatIfLate)), this.#options.timeoutMs);
      this.#events.on('lost', fail);
      start(end(resolve), fail);
    });
  }

  #once(event, whatIfLate) {
    return this.#within(whatIfLate, (resolve) => this.#events.once(event, resolve));
  }

  #call(whatIfLate, frame) {
    const ref = ++this.#lastRef;
    return this.#within(whatIfLate, (resolve, reject) => {
      this.#pending.set(ref, { resolve, reject });
      this.#write(frame(ref));
    }).finally(() => this.#pending.delete(ref));
  }

  #write(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new Error('not connected');
    this.#socket.send(msgpack.encode(frame).slice());
  }

  #take(socket, bytes) {
    // What still comes on a connection that this side has cut belongs to nobody.
    if (socket !== this.#socket) return;
    try {
      this.#receive(bytes);
    } catch (error) {
      this.#options.onUnexpected(`bad frame: ${error.message}`);
    }
  }

  #receive(bytes) {
    const [type, ...fields] = msgpack.decode(bytes);
    switch (type) {
      case TYPE.welcome:
        return this.#events.emit('welcome', fields[0]);
      case TYPE.ping:
        return this.#write([TYPE.pong]);
      case TYPE.ok:
        return this.#pending.get(fields[0])?.resolve(fields[1]);
      case TYPE.error:
        return this.#refused(fields);
      case TYPE.response:
        return this.#pending.get(fields[0])?.resolve(msgpack.decode(fields[2]));
      case TYPE.message: {
        const [, , from, , event, , data] = fields;
        return this.#events.emit('message', { room: null, from, event, data: msgpack.decode(data) });
      }
      case TYPE.roomMessage: {
        const [, , room, from, , event, , data] = fields;
        return this.#events.emit('message', { room, from, event, data: msgpack.decode(data) });
      }
      case TYPE.requested: {
        // The application of a virtual user: every request is answered with its own data.
        const [handle, , , , , encoding, data] = fields;
        return this.#write([TYPE.reply, handle, encoding, data]);
      }
    }
  }

  #refused([ref, code]) {
    const call = this.#pending.get(ref);
    if (call) call.reject(new Error(`refused: ${code}`));
    else this.#options.onUnexpected(`refused: ${code}`);
  }

  #closed(socket, code) {
    // One that this side ended.
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#options.onUnexpected(`connection lost: ${code}`);
    this.#events.emit('lost', new Error(`connection lost: ${code}`));
  }
}

module.exports = { Session };
