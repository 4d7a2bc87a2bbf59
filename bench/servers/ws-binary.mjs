// The stricter baseline on bare ws: bytes in, bytes out, no text, and one write per socket and turn of the event loop.
import { WebSocketServer } from 'ws';

const clients = new Map();
const corked = [];
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT) });

function uncorkAll() {
  for (const socket of corked) socket.uncork();
  corked.length = 0;
}

/** The same turn's later frames join this write. */
function cork(socket) {
  if (socket.writableCorked > 0) return;
  if (corked.push(socket) === 1) setImmediate(uncorkAll);
  socket.cork();
}

server.on('connection', (socket, request) => {
  const id = new URL(request.url, 'ws://localhost').searchParams.get('id');
  const origin = Buffer.concat([Buffer.from([id.length]), Buffer.from(id)]);
  const client = { socket, stream: request.socket };
  clients.set(id, client);
  socket.on('message', (bytes) => {
    const end = 1 + bytes[0];
    const target = clients.get(bytes.latin1Slice(1, end));
    if (target === undefined) return;
    cork(target.stream);
    target.socket.send(Buffer.concat([origin, bytes.subarray(end)]));
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => clients.delete(id));
});
server.on('listening', () => console.log('ready'));
