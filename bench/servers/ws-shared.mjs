// A room on bare ws: the message is made once, and one buffer goes to every member in a loop. No token, no limits, no order kept.
import { WebSocketServer } from 'ws';

/** Name of a room → sockets of its members. */
const rooms = new Map();
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT) });

function enter(name, socket) {
  const members = rooms.get(name) ?? new Set();
  rooms.set(name, members.add(socket));
  socket.on('close', () => members.delete(socket));
}

server.on('connection', (socket, request) => {
  const query = new URL(request.url, 'ws://localhost').searchParams;
  const id = query.get('id');
  if (query.has('room')) enter(query.get('room'), socket);
  socket.on('message', (bytes) => {
    const { room, event, data } = JSON.parse(bytes);
    const shared = Buffer.from(JSON.stringify({ room, from: id, event, data }));
    for (const member of rooms.get(room) ?? []) member.send(shared, { binary: false });
  });
  socket.on('error', () => socket.terminate());
});
server.on('listening', () => console.log('ready'));
