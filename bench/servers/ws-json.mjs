// The usual relay on bare ws: parse, look the target up, stamp the sender, stringify. No token, no limits, no rooms.
import { WebSocketServer } from 'ws';

const clients = new Map();
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT) });

server.on('connection', (socket, request) => {
  const id = new URL(request.url, 'ws://localhost').searchParams.get('id');
  clients.set(id, socket);
  socket.on('message', (bytes) => {
    const { to, event, data } = JSON.parse(bytes);
    clients.get(to)?.send(JSON.stringify({ from: id, event, data }));
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => clients.delete(id));
});
server.on('listening', () => console.log('ready'));
