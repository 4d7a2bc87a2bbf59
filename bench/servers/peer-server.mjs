// PeerServer as its documentation starts it; only the number of clients that it takes is raised.
import { PeerServer } from 'peer';

PeerServer({ host: '127.0.0.1', port: Number(process.env.PORT), path: '/', concurrent_limit: 20_000 }, () =>
  console.log('ready'),
);
process.once('SIGTERM', () => process.exit(0));
