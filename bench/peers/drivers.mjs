// The client's side of each peer, by name: what a generator must know to connect, write a message and read one.
//
//   open(port, id, room)      → { url, protocols?, hello? }: hello is sent when the socket is open
//   greet(end, bytes)         → true when the handshake is done (end: { id, room, socket }); null where being open is enough
//   split(end, bytes, take)   calls take for each unit in a WebSocket message; left out where a message is one unit
//   write(to, payload, from)  → the bytes of one message to a client
//   number(bytes, count)      makes them the connection's message of that number; left out where messages have none
//   publish(room, payload, from) → the bytes of one message to a room
//   isMessage(bytes)          whether it is an application's message; control(socket, bytes) gets all others
//   tail, publishTail         bytes that follow the payload in a message, both ways; in a published one
//   prepare(recorded)         → a signal of a recorded call as signal and hear take it
//   signal(recorded, { end, to, session }), hear(bytes, from, recorded)  write and read a signal of a recorded call
//   verify(bytes, from, payload) → whether a message says what was sent, and by whom
import { binaryDriver, jsonDriver, sharedDriver } from './bare-ws.mjs';
import { natsDriver, natsRoomDriver } from './nats.mjs';
import { peerServerDriver } from './peer-server.mjs';
import { peerServerCallDriver, signalboxCallDriver } from './recorded-calls.mjs';
import { keptDriver, roomDriver, signalboxDriver } from './signalbox.mjs';
import { socketIoDriver, socketIoRoomDriver } from './socket-io.mjs';

export const DRIVERS = {
  'ws-json': jsonDriver,
  'ws-binary': binaryDriver,
  'ws-shared': sharedDriver,
  nats: natsDriver,
  'nats-room': natsRoomDriver,
  'peer-server': peerServerDriver,
  'peer-server-call': peerServerCallDriver,
  'socket.io': socketIoDriver,
  'socket.io-room': socketIoRoomDriver,
  signalbox: signalboxDriver,
  'signalbox-call': signalboxCallDriver,
  'signalbox-kept': keptDriver,
  'signalbox-room': roomDriver,
};
