// Socket.IO as its documentation writes it: WebSocket only, a room per client; with WORKERS=2 the cluster adapter, or with REDIS_URL that of Redis.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { createAdapter as createRedisAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

const port = Number(process.env.PORT);
const workers = Number(process.env.WORKERS);

function startServer() {
  const http = createServer();
  // WebSocket alone needs no sticky sessions. Its own limit on messages stays as it is.
  const io = new Server(http, { transports: ['websocket'], serveClient: false });
  const { REDIS_URL } = process.env;
  if (REDIS_URL !== undefined) io.adapter(createRedisAdapter(new Redis(REDIS_URL), new Redis(REDIS_URL)));
  else if (cluster.isWorker) io.adapter(createAdapter());
  io.on('connection', (socket) => {
    const { id, room } = socket.handshake.auth;
    socket.join(room === undefined ? id : [id, room]);
    socket.on('relay', (to, data) => io.to(to).emit('relay', id, data));
    socket.on('publish', (name, data) => io.to(name).emit('relay', id, data));
  });
  http.listen(port, '127.0.0.1', () => cluster.isPrimary && console.log('ready'));
}

function startWorkers() {
  if (process.env.REDIS_URL === undefined) setupPrimary();
  let listening = 0;
  cluster.on('listening', () => {
    if (++listening === workers) console.log('ready');
  });
  for (let i = 0; i < workers; i++) cluster.fork();
  process.once('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
    process.exit(0);
  });
}

if (workers > 1 && cluster.isPrimary) startWorkers();
else startServer();
