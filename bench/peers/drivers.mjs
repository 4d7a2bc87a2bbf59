// The client's side of each peer, by name: what a generator must know to connect, write a message and read one.
//
//   open(port, id)            → { url, protocols?, hello? }: hello is sent when the socket is open
//   greet(socket, bytes, id)  → true when the handshake is done; null where being open is enough
//   write(to, payload)        → the bytes of one message to a client
//   number(bytes, count)      makes them the message with that number; left out where messages have none
//   isMessage(bytes)          whether it is an application's message; control(socket, bytes) gets all others
//   tail                      bytes that follow the payload in a message, both ways
//   verify(bytes, from, payload) → whether a message says what was sent, and by whom
import { binaryDriver, jsonDriver } from './bare-ws.mjs';
import { keptDriver, signalboxDriver } from './signalbox.mjs';
import { socketIoDriver } from './socket-io.mjs';

export const DRIVERS = {
  'ws-json': jsonDriver,
  'ws-binary': binaryDriver,
  'socket.io': socketIoDriver,
  signalbox: signalboxDriver,
  'signalbox-kept': keptDriver,
};
